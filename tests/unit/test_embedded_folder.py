"""The embedded store's folder: who may open it, what a crash leaves, and what is said when it is broken."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from logsync_streams.configuration import load
from logsync_streams.errors import ConfigurationError, InvalidQuery, Unavailable
from logsync_streams.storage import embedded_index, embedded_schema
from logsync_streams.storage.api import (
    STORED,
    All,
    Cursor,
    Equals,
    Exists,
    PortionsUnknown,
    Reaction,
    SearchRequest,
    Text,
)
from logsync_streams.storage.embedded import EmbeddedReader, EmbeddedStore
from logsync_streams.storage.factory import Store, open_reader, open_store
from retention.objects import MemoryObjects
from retention.plan import Action
from tests.contract.documents import NOON, TARGET, make_document
from tests.contract.steps import found
from tests.retention import AUTH_TARGET, archiver, documents, fill

pytestmark = pytest.mark.embedded
INDEX = f"{TARGET}-000001"


async def store_with(folder: Path, *messages: str) -> EmbeddedStore:
    store = EmbeddedStore(folder)
    await store.create(TARGET)
    await store.write([make_document({"message": message}) for message in messages])
    return store


async def test_a_second_writer_is_told_who_the_first_is_and_what_to_do(tmp_path: Path):
    store = EmbeddedStore(tmp_path / "store")
    try:
        with pytest.raises(ConfigurationError, match=rf"process {os.getpid()} writes to .*; stop it, or name another"):
            EmbeddedStore(tmp_path / "store")
    finally:
        await store.close()

    await EmbeddedStore(tmp_path / "store").close()


@pytest.mark.parametrize("broken", [b"", b"{}", b"\xff\x00garbage", b'{"schema": []}'])
async def test_a_broken_index_is_named_at_the_start_with_what_to_do(tmp_path: Path, broken: bytes):
    await (await store_with(tmp_path, "one")).close()
    (tmp_path / INDEX / "meta.json").write_bytes(broken)

    for opening in (EmbeddedStore, EmbeddedReader):
        with pytest.raises(ConfigurationError, match=rf"{INDEX}.*cannot be read.*move it away"):
            opening(tmp_path)


async def test_a_folder_that_is_a_file_is_a_readable_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match=r"LOGSYNC_DATA_DIR: the folder .* cannot be used"):
        EmbeddedStore(tmp_path / "file")


async def test_an_index_that_breaks_holds_its_documents_until_it_is_mended(tmp_path: Path):
    store = await store_with(tmp_path, "one")
    document = make_document({"message": "two"})
    meta = tmp_path / INDEX / "meta.json"
    whole = meta.read_bytes()
    try:
        meta.write_bytes(b"broken")
        outcomes = await store.write([document])

        assert [(Reaction.HOLD, "embedded_store_failed")] == [(one.reaction, one.reason) for one in outcomes]
        with pytest.raises(Unavailable, match="cannot be read"):
            await store.search(SearchRequest(All()))

        meta.write_bytes(whole)

        assert [STORED] == await store.write([document])
        assert 2 == len(await found(store, All()))
    finally:
        await store.close()


async def test_what_a_crash_left_half_made_or_half_dropped_is_no_index_and_goes(tmp_path: Path):
    (tmp_path / f"new.{INDEX}").mkdir()
    (tmp_path / f"dropped.{INDEX}").mkdir()
    (tmp_path / f"dropped.{INDEX}" / "rest").touch()

    store = EmbeddedStore(tmp_path)
    try:
        assert [] == await store.indices()
        assert ["lock"] == os.listdir(tmp_path)
    finally:
        await store.close()


@pytest.mark.parametrize("renames", [0, 1, 2])
async def test_an_erasure_cut_off_anywhere_leaves_all_other_logs_and_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
):
    store = await store_with(tmp_path, "gone", "kept", "kept too")
    [gone] = await found(store, Text("gone"))
    left = [renames]
    rename = Path.rename

    def cut_off(path: Path, target: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(path, target)

    def no_more_removing(*args: object, **kwargs: object) -> None:
        if not left[0] and kwargs.get("ignore_errors") is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", cut_off)
    monkeypatch.setattr(shutil, "rmtree", no_more_removing)
    with pytest.raises(KeyboardInterrupt):
        await store.erase(INDEX, [gone])
    monkeypatch.undo()
    await store.close()

    again = EmbeddedStore(tmp_path)
    try:
        assert (3 if renames == 0 else 2) == len(await found(again, All()))
        await again.erase(INDEX, [gone])
        assert 2 == len(await found(again, Text("kept"))) == len(await found(again, All()))
    finally:
        await again.close()
    assert [INDEX] == folders(tmp_path)


async def test_nothing_of_an_erased_log_is_left_in_the_folder_and_readers_beside_go_on(tmp_path: Path):
    store = await store_with(tmp_path, "zanzibar", "kept")
    reader = EmbeddedReader(tmp_path)
    try:
        [gone] = await found(reader, Text("zanzibar"))
        assert contains(tmp_path, b"zanzibar")

        await store.erase(INDEX, [gone])

        assert not contains(tmp_path, b"zanzibar")
        assert 1 == len(await found(reader, Text("kept"))) == len(await found(reader, All()))
    finally:
        await reader.close()
        await store.close()


def folders(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()]


def contains(folder: Path, text: bytes) -> bool:
    return any(text in path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_reader_beside_the_writer_sees_each_write_and_each_drop(tmp_path: Path):
    store = await store_with(tmp_path, "one")
    reader = EmbeddedReader(tmp_path)
    try:
        assert 1 == (await reader.search(SearchRequest(All()))).total
        await store.write([make_document({"message": "two"})])
        assert 2 == (await reader.search(SearchRequest(All()))).total
        await store.next_generation(TARGET)
        await store.write([make_document({"message": "three"})])
        assert 3 == (await reader.search(SearchRequest(All()))).total
        await store.drop(INDEX)
        assert 1 == (await reader.search(SearchRequest(All()))).total
    finally:
        await reader.close()
        await store.close()


async def test_a_reader_waits_for_the_worker_that_makes_the_store(tmp_path: Path):
    reader = EmbeddedReader(tmp_path / "later")
    try:
        with pytest.raises(Unavailable, match="made by the worker: start that first"):
            await reader.ready()
        await (await store_with(tmp_path / "later", "one")).close()

        await reader.ready()
        assert 1 == (await reader.search(SearchRequest(All()))).total
    finally:
        await reader.close()


async def test_more_targets_than_writers_may_be_open_are_all_written(tmp_path: Path):
    store = EmbeddedStore(tmp_path)
    targets = [f"logsync-set{i}-2026.11.24" for i in range(7)]
    try:
        for target in targets:
            await store.create(target)
        for _ in range(2):
            documents = [make_document({"message": target}, target=target) for target in targets]

            assert [STORED] * 7 == await store.write(documents)
        assert 14 == (await store.search(SearchRequest(All()))).total
    finally:
        await store.close()


_WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from logsync_streams.storage.embedded import EmbeddedStore
from tests.contract.documents import TARGET, make_document

async def main():
    store = EmbeddedStore(Path(sys.argv[1]))
    await store.create(TARGET)
    while True:
        documents = [make_document({"message": "acknowledged"}) for _ in range(20)]
        await store.write(documents)
        print(" ".join(document.id for document in documents), flush=True)

asyncio.run(main())
"""


def killed_while_writing(folder: Path) -> list[str]:
    """The ids that a process had acknowledged when it was killed in the middle of its writes."""
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITE_FOR_EVER, str(folder)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(15)]
    finally:
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
    lines += rest.splitlines(keepends=True)
    return [id for line in lines if line.endswith("\n") for id in line.split()]


async def test_what_was_acknowledged_outlives_a_sigkill_and_the_folder_opens_again(tmp_path: Path):
    acknowledged = await asyncio.to_thread(killed_while_writing, tmp_path)

    store = EmbeddedStore(tmp_path)
    try:
        there = await found(store, All())
    finally:
        await store.close()

    assert 300 <= len(acknowledged)
    assert set() == set(acknowledged) - there


async def test_an_index_of_an_older_version_lacks_a_field_and_is_searched_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as older:
        older.setattr(embedded_schema, "_NUMBERS", embedded_schema._NUMBERS - {"source.port"})
        store = EmbeddedStore(tmp_path)
        await store.create(TARGET)
        await store.close()

    store = EmbeddedStore(tmp_path)
    document = make_document({"message": "one", "source": {"port": 514}})
    try:
        assert [STORED] == await store.write([document])
        assert set() == await found(store, Equals("source.port", "514"))
        assert {document.id} == await found(store, Exists("source.port"))
    finally:
        await store.close()


@pytest.mark.parametrize("cursor", [Cursor(NOON, "no id"), Cursor(2**63, "0" * 32 + "-00000")])
async def test_a_cursor_that_was_never_given_out_is_refused(tmp_path: Path, cursor: Cursor):
    store = await store_with(tmp_path, "one")
    try:
        with pytest.raises(InvalidQuery):
            await store.search(SearchRequest(All(), after=cursor))
    finally:
        await store.close()


async def test_a_closed_store_holds_what_it_is_given_and_can_be_closed_again(tmp_path: Path):
    store = await store_with(tmp_path, "one")
    await store.close()
    await store.close()

    assert [Reaction.HOLD] == [one.reaction for one in await store.write([make_document({"message": "late"})])]


async def test_the_settings_open_the_store_and_a_reader_on_the_same_folder(tmp_path: Path):
    settings = load({"LOGSYNC_STORE__KIND": "embedded", "LOGSYNC_DATA_DIR": str(tmp_path)})
    store, reader = open_store(settings), open_reader(settings)
    try:
        await store.admin.create(TARGET)
        await store.writer.write([make_document({"message": "one"})])

        assert 1 == (await reader.search(SearchRequest(All()))).total
    finally:
        await reader.close()
        await store.close()


async def test_without_tantivy_the_extra_to_install_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.startswith("logsync_streams.storage.embedded")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("logsync_streams.storage.embedded")
    monkeypatch.setitem(sys.modules, "tantivy", None)

    with pytest.raises(
        ConfigurationError, match=r"needs the package tantivy: pip install 'logsync-streams\[embedded\]'"
    ):
        open_store(load({"LOGSYNC_STORE__KIND": "embedded", "LOGSYNC_DATA_DIR": str(tmp_path)}))


async def test_an_index_of_more_services_than_it_can_tell_says_so_and_its_day_is_held_back(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_index, "_MOST_VALUES", 3)
    one = EmbeddedStore(tmp_path / "store")
    try:
        store = Store(one, one, one)
        for service in ("a", "b", "c"):
            await fill(store, documents(2, AUTH_TARGET, service))
        index = f"{AUTH_TARGET}-000001"

        assert 6 == sum(portion.documents for portion in await one.portions(index))

        await fill(store, documents(1, AUTH_TARGET, "d"))
        with pytest.raises(PortionsUnknown, match=rf"{index}: more than 3 different service.name"):
            await one.portions(index)
        plan = await archiver(one, MemoryObjects(), tmp_path).plan({})

        assert [(AUTH_TARGET, Action.HELD)] == [(entry.alias, entry.action) for entry in plan.entries]
        assert "its day is kept" in plan.entries[0].reasons[0]
    finally:
        await one.close()
