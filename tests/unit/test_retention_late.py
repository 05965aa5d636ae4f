"""Logs that come while their day is being archived, or after it was dropped."""

from __future__ import annotations

import asyncio

from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from retention.objects import MemoryObjects
from retention.plan import Action
from tables.tombstones import Tombstones
from tests.contract.documents import NOON
from tests.index_path import Path, record
from tests.retention import AUTH_TARGET, archived, archiver, documents, fill, stored_ids


def opened():
    one = MemoryStore()
    return Store(one, one, one)


async def archive_all(one):
    for entry in (await one.plan({})).of(Action.ARCHIVE):
        await one.archive(entry)


async def drop_all(one):
    for entry in (await one.plan({})).of(Action.DROP):
        await one.drop(entry, {})


def path_with_tombstones(store, one):
    path = Path(store, NOON)
    tombstones = Tombstones(one.state.read)
    path.targets._tombstone, path.targets._reload = tombstones.stands, tombstones.reload
    return path


async def test_a_late_log_of_an_archived_day_is_stored_and_archived_in_its_turn(tmp_path):
    store, objects = opened(), MemoryObjects()
    logs, (late,) = documents(10, AUTH_TARGET, "auth"), documents(1, AUTH_TARGET, "auth")
    await fill(store, logs)
    one = archiver(store.admin, objects, tmp_path)
    path = path_with_tombstones(store, one)
    await archive_all(one)

    await path.index([record(AUTH_TARGET, late.body, logs[3].body)])
    await archive_all(one)
    await drop_all(one)

    assert {log.id for log in [*logs, late]} == archived(objects).keys()
    assert [] == path.dead.letters


async def test_a_late_log_of_a_dropped_day_is_a_dead_letter_and_no_index_comes_back(tmp_path):
    store, objects = opened(), MemoryObjects()
    logs, (late,) = documents(10, AUTH_TARGET, "auth"), documents(1, AUTH_TARGET, "auth")
    await fill(store, logs)
    one = archiver(store.admin, objects, tmp_path)
    knew_it, new = path_with_tombstones(store, one), path_with_tombstones(store, one)
    await knew_it.index([record(AUTH_TARGET, logs[0].body)])  # so that it has seen the index

    await archive_all(one)
    await drop_all(one)
    for path in (knew_it, new):
        await path.index([record(AUTH_TARGET, late.body)])

        assert [late.id] == [key.partition("/")[0] for key, _, _ in path.dead.letters]
        assert {b"expired"} == {headers["logsync-category"] for _, _, headers in path.dead.letters}
    assert [] == await store.admin.indices()


async def test_a_log_that_comes_between_the_tombstone_and_the_drop_does_not_wait_for_the_drop(tmp_path):
    store, objects = opened(), MemoryObjects()
    logs, (late,) = documents(10, AUTH_TARGET, "auth"), documents(1, AUTH_TARGET, "auth")
    await fill(store, logs)
    tasks: list[asyncio.Future[None]] = []

    async def meanwhile():
        await late_path.index([record(AUTH_TARGET, late.body)])

    def step(name):
        if name == "tombstone" and not tasks:  # the first is of the day that the log is of
            tasks.append(asyncio.ensure_future(meanwhile()))

    one = archiver(store.admin, objects, tmp_path, step=step)
    late_path = path_with_tombstones(store, one)
    await late_path.index([record(AUTH_TARGET, logs[0].body)])
    await archive_all(one)
    dropping = store.admin.drop

    async def slow_drop(index):
        await asyncio.wait(tasks)
        await dropping(index)

    store.admin.drop = slow_drop
    await drop_all(one)

    assert 1 == len(late_path.dead.letters)
    assert set() == await stored_ids(store.admin)
