from __future__ import annotations

from datetime import timedelta

import pytest

from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.state import FileState
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from logsync_streams.storage.naming import alias_name
from retention.archive import folder
from retention.archiver import STEPS, Changed
from retention.lease import HELD_SECONDS, Lease, LeaseLost, LeaseTaken
from retention.objects import MemoryObjects, ObjectMissing
from retention.plan import Action
from retention.run import Guard, Receipt, receipts, run
from tables.tombstones import tombstone_key
from tests.contract.documents import DAY, stored
from tests.retention import (
    AUTH_TARGET,
    DEFAULT_TARGET,
    DUE,
    PAY_TARGET,
    SleepyObjects,
    archived,
    archiver,
    documents,
    failing_at,
    fill,
    stored_ids,
)
from tests.unit.test_retention_late import archive_all, drop_all

YESTERDAYS_AUTH = alias_name("auth", DAY - timedelta(days=1))
FREE = Guard(3, 100_000)


class Crash(BaseException):
    """As a kill: nothing of ours catches it."""


@pytest.fixture
def store():
    one = MemoryStore()
    return Store(one, one, one)


@pytest.fixture
def objects():
    return MemoryObjects()


async def nothing_held():
    return {}


async def run_once(one, guard=FREE, holds=nothing_held):
    lease = Lease(one.state, one.now)
    await lease.take()
    try:
        return await run(one, one.state, lease, guard, holds)
    finally:
        await lease.give_back()


async def test_what_is_due_is_archived_document_for_document_and_then_dropped(store, objects, tmp_path):
    auth, pay = documents(120, AUTH_TARGET, "auth"), documents(30, PAY_TARGET, "pay")
    await fill(store, auth + pay)

    receipt = await run_once(archiver(store.admin, objects, tmp_path))

    assert [] == receipt.problems
    assert {AUTH_TARGET: 120, PAY_TARGET: 30} == receipt.dropped
    assert set() == await stored_ids(store.admin)
    assert {log.id: stored(log) for log in auth} == archived(objects)
    assert len(objects.held) > 3  # several parts
    assert [] == list((tmp_path / "work").iterdir())


async def test_of_a_shared_index_the_archived_services_logs_are_in_the_archive(store, objects, tmp_path):
    auth, pay = documents(20, DEFAULT_TARGET, "auth"), documents(20, DEFAULT_TARGET, "pay")
    await fill(store, auth + pay)

    await run_once(archiver(store.admin, objects, tmp_path))

    assert {log.id for log in auth} == archived(objects).keys()
    assert set() == await stored_ids(store.admin)


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_loses_nothing_and_the_next_run_ends_the_work(step, store, objects, tmp_path):
    auth = documents(100, AUTH_TARGET, "auth")
    await fill(store, auth)
    crashing = archiver(store.admin, objects, tmp_path, step=failing_at(step, [1], Crash))

    with pytest.raises(Crash):
        await run_once(crashing)

    assert {log.id for log in auth} == await stored_ids(store.admin) | archived(objects).keys()
    await run_once(archiver(store.admin, objects, tmp_path))

    assert {log.id for log in auth} == archived(objects).keys()
    assert set() == await stored_ids(store.admin)
    assert 1 == len([key for key in objects.held if key.endswith("manifest.json")])


class Broken(MemoryObjects):
    """Fails at the n-th call."""

    def __init__(self, at, error):
        super().__init__()
        self.left, self.error = at, error

    def _count(self):
        self.left -= 1
        if self.left == 0:
            raise self.error

    def upload(self, *args, **kwargs):
        self._count()
        super().upload(*args, **kwargs)

    def put(self, *args, **kwargs):
        super().put(*args, **kwargs)
        self._count()  # it was done, but nobody heard

    def read(self, key):
        self._count()
        return super().read(key)


@pytest.mark.parametrize("at", [1, 2, 5, 9, 14, 16, 17, 18, 20, 24, 28])
@pytest.mark.parametrize("error", [Unavailable("500"), ConfigurationError(["403"])], ids=["500", "403"])
async def test_a_bucket_that_fails_at_any_request_loses_nothing(at, error, store, tmp_path):
    auth = documents(100, AUTH_TARGET, "auth")
    await fill(store, auth)
    objects = Broken(at, error)

    try:
        await run_once(archiver(store.admin, objects, tmp_path))
    except (Unavailable, ConfigurationError):
        assert objects.left <= 0
    objects.left = 0

    assert {log.id for log in auth} == await stored_ids(store.admin) | archived(objects).keys()
    await run_once(archiver(store.admin, objects, tmp_path))

    assert {log.id for log in auth} == archived(objects).keys()
    assert set() == await stored_ids(store.admin)


async def archived_not_dropped(store, objects, folder):
    auth = documents(100, AUTH_TARGET, "auth")
    await fill(store, auth)
    waiting = archiver(store.admin, objects, folder, grace_ms=1000)
    await run_once(waiting)

    assert Action.WAIT is (await waiting.plan({})).entries[0].action
    return auth


def flip(objects, key):
    content = objects.held[key]
    objects.held[key] = content[:40] + bytes([content[40] ^ 1]) + content[41:]


def cut(objects, key):
    objects.held[key] = objects.held[key][:-7]


def remove(objects, key):
    objects.delete(key)


@pytest.mark.parametrize("damage", [flip, cut, remove])
@pytest.mark.parametrize("which", [0, -1])
async def test_a_damaged_object_is_named_and_nothing_is_dropped(damage, which, store, objects, tmp_path):
    auth = await archived_not_dropped(store, objects, tmp_path)
    key = sorted(key for key in objects.held if "part-" in key)[which]
    damage(objects, key)

    receipt = await run_once(archiver(store.admin, objects, tmp_path))

    assert {} == receipt.dropped
    assert key in receipt.problems[0]
    assert {log.id for log in auth} == await stored_ids(store.admin)


@pytest.mark.parametrize("damage", [flip, cut])
async def test_a_damaged_manifest_holds_its_day_back_by_name_and_no_other_day(damage, store, objects, tmp_path):
    auth = await archived_not_dropped(store, objects, tmp_path)
    (key,) = [key for key in objects.held if key.endswith("manifest.json")]
    damage(objects, key)
    await fill(store, documents(5, PAY_TARGET, "pay") + documents(5, YESTERDAYS_AUTH, "auth"))
    one = archiver(store.admin, objects, tmp_path)

    receipt = await run_once(one)
    (left,) = (await one.plan({})).entries

    assert {YESTERDAYS_AUTH: 5, PAY_TARGET: 5} == receipt.dropped
    assert [True] == [key in problem for problem in receipt.problems]
    assert (Action.HELD, True) == (left.action, key in left.reasons[0])
    assert {log.id for log in auth} == await stored_ids(store.admin)


async def test_a_manifest_damaged_since_the_plan_stops_the_archiving_of_its_day(store, objects, tmp_path):
    auth = await archived_not_dropped(store, objects, tmp_path)
    (key,) = [key for key in objects.held if key.endswith("manifest.json")]
    one = archiver(store.admin, objects, tmp_path)
    (entry,) = (await one.plan({})).entries
    flip(objects, key)
    before = dict(objects.held)

    with pytest.raises(Changed, match=key):
        await one.archive(entry)

    assert before == objects.held
    assert {log.id for log in auth} == await stored_ids(store.admin)


async def test_a_bucket_that_is_away_holds_its_days_back_asked_once_and_the_others_go(store, objects, tmp_path):
    await archived_not_dropped(store, objects, tmp_path)
    await fill(store, documents(5, YESTERDAYS_AUTH, "auth"))
    for info in await store.admin.indices():
        await store.admin.block_writes(str(info.name))
    await fill(store, documents(5, PAY_TARGET, "pay"))
    asked = []

    class Away(MemoryObjects):
        def read(self, key):
            asked.append(key)
            raise Unavailable("s3://logs: timed out")

    receipt = await run_once(archiver(store.admin, Away(), tmp_path))

    assert {PAY_TARGET: 5} == receipt.dropped
    assert {AUTH_TARGET: ["s3://logs: timed out"], YESTERDAYS_AUTH: ["s3://logs: timed out"]} == receipt.held
    assert 2 == len(receipt.problems)
    assert 2 == len(asked)  # once a plan, of which a run makes two


async def test_a_late_log_opens_a_second_generation_that_is_archived_in_its_turn(store, objects, tmp_path):
    auth = await archived_not_dropped(store, objects, tmp_path)
    (late,) = documents(1, AUTH_TARGET, "auth")
    await store.admin.next_generation(AUTH_TARGET)
    await fill(store, [late])

    await run_once(archiver(store.admin, objects, tmp_path))

    assert {log.id for log in [*auth, late]} == archived(objects).keys()
    assert set() == await stored_ids(store.admin)


async def test_a_log_that_came_since_the_plan_is_not_dropped_with_its_day(store, objects, tmp_path):
    await archived_not_dropped(store, objects, tmp_path)
    one = archiver(store.admin, objects, tmp_path)
    (entry,) = (await one.plan({})).entries
    await store.admin.next_generation(AUTH_TARGET)
    await fill(store, documents(1, AUTH_TARGET, "auth"))

    with pytest.raises(Changed):
        await one.drop(entry, {})

    assert 101 == len(await stored_ids(store.admin))


async def test_the_tombstone_is_there_before_the_index_goes(store, objects, tmp_path):
    await fill(store, documents(5, PAY_TARGET, "pay"))
    one = archiver(store.admin, objects, tmp_path, step=failing_at("tombstone", [1], Crash))

    with pytest.raises(Crash):
        await run_once(one)

    assert tombstone_key(PAY_TARGET) in await FileState(tmp_path / "state.ndjson").read()
    assert 5 == len(await stored_ids(store.admin))


async def test_what_is_held_back_is_neither_blocked_nor_dropped_and_is_in_the_receipt(store, objects, tmp_path):
    await fill(store, documents(5, PAY_TARGET, "pay"))

    async def held():
        return {PAY_TARGET: ["1 dead letter targets it"]}

    receipt = await run_once(archiver(store.admin, objects, tmp_path), holds=held)

    assert {PAY_TARGET: ["1 dead letter targets it"]} == receipt.held
    assert [False] == [info.write_blocked for info in await store.admin.indices()]


async def test_far_more_than_the_runs_before_is_not_dropped_unless_told(store, objects, tmp_path):
    await fill(store, documents(40, PAY_TARGET, "pay"))
    strict = Guard(3, 10)

    refused = await run_once(archiver(store.admin, objects, tmp_path), strict)
    later = archiver(store.admin, objects, tmp_path, now=lambda: DUE + 1)
    told = await run_once(later, Guard(3, 10, override=True))
    kept = await receipts(FileState(tmp_path / "state.ndjson"))

    assert "--allow-large-drop" in refused.problems[0]
    assert ({}, {PAY_TARGET: 40}) == (refused.dropped, told.dropped)
    assert [[], [PAY_TARGET]] == [list(one.dropped) for one in kept]


async def test_two_never_hold_the_lease_and_that_of_a_dead_one_runs_out(tmp_path):
    state, clock = FileState(tmp_path / "state.ndjson"), [DUE]
    first, second = Lease(state, lambda: clock[0]), Lease(state, lambda: clock[0])
    await first.take()
    with pytest.raises(LeaseTaken):
        await second.take()
    clock[0] += round(HELD_SECONDS * 1000) + 1
    await second.take()

    with pytest.raises(LeaseLost):
        first.check()
    with pytest.raises(LeaseTaken):
        await first.renew()


def test_a_missing_bucket_object_is_told_by_name(objects):
    with pytest.raises(ObjectMissing, match="some/key"):
        objects.read("some/key")


def test_a_receipt_begins_empty():
    assert (0, {}, []) == (Receipt(1).archived_bytes, Receipt(1).dropped, Receipt(1).problems)


@pytest.mark.parametrize("at", ["manifest", "drop"])
async def test_who_slept_past_its_lease_while_it_read_back_tidies_nothing(at, store, tmp_path):
    objects = SleepyObjects()
    await fill(store, documents(20, AUTH_TARGET, "auth"))
    [info] = await store.admin.indices()
    left = f"{folder('archive', info.name)}part-00009-0123456789ab.ndjson.zst"
    one = archiver(store.admin, objects, tmp_path)
    if at == "drop":
        await archive_all(one)
    objects.held[left] = b"of an attempt"
    objects.slept = False
    one.proceed = objects.check
    with pytest.raises(LeaseLost):
        await (drop_all if at == "drop" else archive_all)(one)

    assert left in objects.held
