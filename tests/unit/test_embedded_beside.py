"""The embedded store from another process than the worker: what changes something goes through the worker."""

from __future__ import annotations

import asyncio
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from logsync_streams.configuration import load
from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.storage import embedded_commands
from logsync_streams.storage.api import DUPLICATE, STORED, Reaction
from logsync_streams.storage.embedded import EmbeddedStore, StoreTaken
from logsync_streams.storage.embedded_beside import BesideWriter
from logsync_streams.storage.embedded_commands import SOCKET, CommandSocket
from logsync_streams.storage.factory import Store, open_store, open_store_beside
from logsync_streams.storage.naming import alias_name
from retention.objects import MemoryObjects
from tests.contract.documents import DAY, TARGET, make_document
from tests.retention import AUTH_TARGET, archived, archiver, documents, fill, stored_ids
from tests.unit.test_retention_archiver import run_once

pytestmark = pytest.mark.embedded
FIRST, SECOND = f"{TARGET}-000001", f"{TARGET}-000002"


@pytest.fixture
async def worker(tmp_path: Path):
    """The process that writes, taking commands."""
    store = EmbeddedStore(tmp_path / "store")
    commands = CommandSocket(store, tmp_path / "store")
    await commands.open()
    yield store
    await commands.close()
    await store.close()


@pytest.fixture
async def beside(worker, tmp_path: Path):
    one = BesideWriter(tmp_path / "store", "process 1")
    yield one
    await one.close()


async def test_every_change_is_made_by_the_worker_and_seen_by_both(worker: EmbeddedStore, beside: BesideWriter):
    kept, late = make_document({"message": "kept"}), make_document({"message": "late"})
    await beside.create(TARGET)

    assert [STORED] == await beside.write([kept])
    assert [DUPLICATE] == await worker.write([kept])

    await beside.block_writes(FIRST)
    (refused,) = await beside.write([late])

    assert (Reaction.RETRY, "write_blocked") == (refused.reaction, refused.reason)

    await beside.next_generation(TARGET)

    assert [STORED] == await beside.write([late])
    assert {kept.id, late.id} == await stored_ids(worker) == await stored_ids(beside)

    await beside.erase(FIRST, [kept.id])

    assert {late.id} == await stored_ids(worker) == await stored_ids(beside)

    await beside.drop(FIRST)

    assert [SECOND] == [str(info.name) for info in await worker.indices()]
    assert await worker.indices() == await beside.indices()
    assert await worker.portions(SECOND) == await beside.portions(SECOND)


async def test_a_day_is_archived_and_dropped_through_the_worker_while_it_writes(
    worker: EmbeddedStore, beside: BesideWriter, tmp_path: Path
):
    not_due = alias_name("default", DAY + timedelta(days=9))
    logs, today = documents(300, AUTH_TARGET, "auth"), make_document({"message": "today"}, target=not_due)
    await fill(Store(worker, worker, worker), logs)
    await worker.create(not_due)
    objects = MemoryObjects()

    written, _ = await asyncio.gather(worker.write([today]), run_once(archiver(beside, objects, tmp_path)))

    assert [STORED] == written
    assert {log.id for log in logs} == set(archived(objects))
    assert {today.id} == await stored_ids(worker)


async def test_only_the_owner_may_open_the_socket(worker: EmbeddedStore, tmp_path: Path):
    assert 0o600 == stat.S_IMODE((tmp_path / "store" / SOCKET).stat().st_mode)


async def test_a_command_opens_the_store_itself_or_goes_through_the_process_that_has_it(tmp_path: Path):
    settings = load({"LOGSYNC_STORE__KIND": "embedded", "LOGSYNC_DATA_DIR": str(tmp_path)})
    first = open_store_beside(settings)
    second = open_store_beside(settings)
    try:
        assert (EmbeddedStore, BesideWriter) == (type(first.writer), type(second.writer))
        with pytest.raises(StoreTaken):
            open_store(settings)  # a second worker
        with pytest.raises(Unavailable, match=r"process \d+ writes to .* and takes no commands .*try again"):
            await second.admin.create(TARGET)
    finally:
        await second.close()
        await first.close()


async def test_the_socket_of_a_killed_worker_is_in_nobodys_way(worker: EmbeddedStore, tmp_path: Path):
    again = CommandSocket(worker, tmp_path / "store")  # finds the other's socket there
    await again.open()
    beside = BesideWriter(tmp_path / "store", "process 1")
    await beside.create(TARGET)

    assert [FIRST] == [str(info.name) for info in await worker.indices()]

    await beside.close()
    await again.close()


async def test_the_data_folder_may_have_a_long_name(tmp_path: Path):
    folder = tmp_path / ("deep" * 20) / ("deeper" * 10) / "store"
    store = EmbeddedStore(folder)
    commands, beside = CommandSocket(store, folder), BesideWriter(folder, "process 1")
    await commands.open()
    await beside.create(TARGET)

    assert [FIRST] == [str(info.name) for info in await store.indices()]

    await commands.close()
    await beside.close()
    await store.close()


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\1\x01", b"\0\0\0\x09\x91"])
async def test_what_is_no_command_ends_its_connection_and_nothing_else(
    worker: EmbeddedStore, beside: BesideWriter, tmp_path: Path, sent: bytes
):
    with embedded_commands.address(tmp_path / "store") as path:
        reader, writer = await asyncio.open_unix_connection(path)
    writer.write(sent)
    writer.write_eof()

    assert b"" == await asyncio.wait_for(reader.read(), 30)

    writer.close()
    await beside.create(TARGET)  # the next is served


async def test_a_refusal_comes_back_as_what_it_was(beside: BesideWriter):
    with pytest.raises(ConfigurationError, match="knows no command 'shrink': run it and `logsync` in one version"):
        await beside._command("shrink")
    with pytest.raises(Unavailable, match="the embedded store failed: "):
        await beside.create("not a target")
