"""Children of `logsync dev`: their output is kept, their end is noticed, and none outlives the supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from logsync_streams.dev.child import Child
from logsync_streams.dev.keeper import Keeper


def python(tmp_path: Path, code: str, name: str = "part") -> Child:
    return Child(name, [sys.executable, "-c", code], dict(os.environ), tmp_path)


SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


async def until(condition, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


async def test_output_of_both_kinds_is_kept_in_the_log_file(tmp_path):
    child = python(tmp_path, "import sys; print('to out', flush=True); print('to err', file=sys.stderr); sys.exit(3)")
    await child.start()

    assert await child.wait() == 3
    assert (tmp_path / "part.log").read_text().splitlines() == ["to out", "to err"]
    assert list(child.last_lines) == ["to out", "to err"]


async def test_bytes_that_are_no_text_do_not_end_the_log(tmp_path):
    child = python(tmp_path, r"import sys; sys.stdout.buffer.write(b'\xff\n' + b'x' * 3_000_000 + b'\nafter\n')")
    await child.start()
    await child.wait()

    assert child.last_lines[0] == "\\xff"
    assert child.last_lines[-1] == "after"


async def test_stop_ends_a_child_that_listens_to_sigterm(tmp_path):
    child = python(tmp_path, SLEEPER)
    await child.start()
    await until(lambda: child.last_lines)

    assert await child.stop(30) == -signal.SIGTERM


async def test_stop_kills_a_child_that_does_not_listen(tmp_path):
    child = python(tmp_path, STUBBORN)
    await child.start()
    await until(lambda: child.last_lines)

    assert await child.stop(0.1) == -signal.SIGKILL


async def test_a_child_is_in_a_session_of_its_own(tmp_path):
    child = python(tmp_path, SLEEPER)
    await child.start()
    await until(lambda: child.last_lines)

    assert os.getsid(child.pid) == child.pid

    await child.stop(30)


def test_a_child_ends_when_its_supervisor_is_killed(tmp_path):
    supervisor = (
        "import asyncio, os, sys; from pathlib import Path; from logsync_streams.dev.child import Child\n"
        "async def main():\n"
        f"    child = Child('part', [sys.executable, '-c', {SLEEPER!r}], dict(os.environ), Path({str(tmp_path)!r}))\n"
        "    await child.start()\n"
        "    while not child.last_lines: await asyncio.sleep(0.02)\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", supervisor], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        # An orphan that has ended stays a zombie where nobody collects it.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


async def test_a_part_that_dies_is_started_again_and_this_is_said(tmp_path):
    said: list[str] = []
    keeper = Keeper(python(tmp_path, SLEEPER, "worker"), say=said.append, give_up=pytest.fail)
    await keeper.start()
    await until(lambda: keeper.child.last_lines)
    first = keeper.child.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: keeper.child.pid != first and keeper.child.last_lines)

    assert keeper.restarts == 1
    assert said[0].startswith("worker ended unexpectedly (signal SIGKILL); starting it again in 1 s")

    await keeper.stop(30)
    assert keeper.gone


async def test_a_part_with_wrong_settings_is_given_up_with_its_own_words(tmp_path):
    given_up: list[str] = []
    child = python(tmp_path, "import sys; print('LOGSYNC_X: no such setting'); sys.exit(2)", "collector")
    keeper = Keeper(child, say=pytest.fail, give_up=given_up.append)
    await keeper.start()
    await until(lambda: given_up)

    assert "collector ended unexpectedly (exit code 2)" in given_up[0]
    assert "LOGSYNC_X: no such setting" in given_up[0]


async def test_the_broker_is_not_started_again(tmp_path):
    given_up: list[str] = []
    keeper = Keeper(python(tmp_path, "", "broker"), say=pytest.fail, give_up=given_up.append, restart=False)
    await keeper.start()
    await until(lambda: given_up)

    assert given_up == ["broker ended unexpectedly (exit code 0)"]
    assert keeper.gone


async def test_a_part_that_is_being_stopped_is_not_started_again(tmp_path):
    keeper = Keeper(python(tmp_path, SLEEPER), say=pytest.fail, give_up=pytest.fail)
    await keeper.start()
    await until(lambda: keeper.child.last_lines)
    await keeper.stop(30)

    assert keeper.restarts == 0
    assert not keeper.child.running
