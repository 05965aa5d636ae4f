"""`logsync retention run` at a terminal: a bar for each day on stderr, and a question before anything is dropped."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from datetime import date

import pytest

from deploy.servers import free_port
from logsync_streams.storage.embedded import EmbeddedStore
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import alias_name
from tests.retention import documents, fill

pytestmark = pytest.mark.embedded
OLD = alias_name("pay", date(2026, 1, 1))


async def number_stored(folder):
    one = EmbeddedStore(folder / "data/store")
    infos = await one.indices()
    await one.close()
    return sum(info.documents for info in infos)


@pytest.fixture
async def settings(tmp_path):
    """100 logs of a day that is long due, by a policy that keeps no archive."""
    one = EmbeddedStore(tmp_path / "data/store")
    await fill(Store(one, one, one), documents(100, OLD, "pay"))
    await one.close()
    return {
        "LOGSYNC_STORE__KIND": "embedded",
        "LOGSYNC_KAFKA__EMBEDDED": "true",
        "LOGSYNC_KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "LOGSYNC_DATA_DIR": str(tmp_path / "data"),
        "TERM": "xterm",
    }


def run(settings, *arguments, typed=None):
    """(exit code, stdout, stderr); typed: at a terminal, which stdin and stderr are then."""
    command = [sys.executable, "-m", "logsync_streams.cli", "retention", "run", *arguments]
    if typed is None:
        done = subprocess.run(
            command, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode, done.stdout, done.stderr
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=settings, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True) as one:
        os.close(theirs)
        os.write(ours, typed.encode())  # waits in the terminal until it is asked for
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # Linux says so when the other side has closed a terminal
        assert one.stdout is not None
        said = one.stdout.read()
    os.close(ours)
    return one.returncode, said, shown.decode(errors="replace")


async def test_the_number_typed_at_the_terminal_drops_and_each_day_has_its_bar(settings, tmp_path):
    code, said, shown = await asyncio.to_thread(run, settings, typed="100\n")

    assert 0 == code, said + shown
    assert "To drop 100 documents from the store for ever, type 100: " in said
    assert f"dropping {OLD}" in shown
    assert "100/100" in shown
    assert 0 == await number_stored(tmp_path)


async def test_anything_else_typed_drops_nothing(settings, tmp_path):
    code, said, _ = await asyncio.to_thread(run, settings, typed="yes\n")

    assert 1 == code
    assert "nothing was dropped: it was not wanted" in said
    assert 100 == await number_stored(tmp_path)


async def test_without_a_terminal_nothing_is_asked_and_no_bar_is_shown(settings, tmp_path):
    code, said, shown = await asyncio.to_thread(run, settings)

    assert (0, [f"dropped {OLD}: 100 documents"]) == (code, said.splitlines())
    assert "dropping" not in shown
    assert "\x1b" not in shown
    assert 0 == await number_stored(tmp_path)
