"""One run after another: one at a time, stopped at a safe point, never far more than usual, each with its receipt."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from logsync_streams import metrics
from logsync_streams.cli import retention_run
from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.state import FileState
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from logsync_streams.storage.naming import alias_name
from retention import archive as archive_module
from retention import run as run_module
from retention.lease import HELD_SECONDS, Lease, LeaseLost, LeaseTaken, held
from retention.objects import MemoryObjects
from retention.policy import parse_policies
from retention.run import Guard, Receipt, Stopped, receipts, run
from tests.contract.documents import DAY
from tests.retention import AUTH_TARGET, DUE, PAY_TARGET, archived, archiver, documents, fill, stored_ids

HELD_MS = round(HELD_SECONDS * 1000)
FREE = Guard(3, 100_000)
TOMORROWS_PAY = alias_name("pay", DAY + timedelta(days=1))


@pytest.fixture
async def store():
    one = MemoryStore()
    return Store(one, one, one)


@pytest.fixture
def objects():
    return MemoryObjects()


async def nothing_held():
    return {}


async def run_by(one, lease, guard=FREE, **others):
    return await run(one, one.state, lease, guard, nothing_held, **others)


async def taken(one):
    lease = Lease(one.state, one.now)
    await lease.take()
    return lease


async def test_a_lease_leaves_one_key_however_often_it_was_renewed(tmp_path):
    state, clock = FileState(tmp_path / "s"), [DUE]
    for _ in range(3):
        lease = Lease(state, lambda: clock[0])
        await lease.take()
        for _ in range(5):
            clock[0] += 1000
            await lease.renew()
        await lease.give_back()

    assert 1 == len(await state.read())


async def test_who_slept_and_takes_a_key_that_was_used_and_forgotten_has_no_lease(tmp_path):
    state = FileState(tmp_path / "s")
    sleeper, worker = Lease(state, lambda: DUE), Lease(state, lambda: DUE)
    await worker.take()
    await worker.renew()
    with pytest.raises(LeaseTaken):
        await sleeper._write(1, HELD_MS)  # as it saw the chain before

    worker.check()
    with pytest.raises(LeaseLost):
        sleeper.check()
    await worker.renew()


async def test_a_lease_that_is_held_for_long_is_renewed_and_given_back_at_the_end(tmp_path):
    state = FileState(tmp_path / "s")
    clock = iter(range(DUE, DUE + 10**9, 1000))  # each look is a second later
    second = Lease(state, lambda: next(clock), 5)
    async with held(state, lambda: next(clock), 0.5):
        with pytest.raises(LeaseTaken):
            await Lease(state, lambda: DUE, 5).take()
    await second.take()


class Cut(FileState):
    """Its reads fail as often as `cut` says."""

    cut = 0

    async def read(self):
        if self.cut:
            self.cut -= 1
            raise Unavailable("Kafka is away")
        return await super().read()


async def test_a_renewal_of_which_the_answer_was_lost_is_the_holders_own_and_is_given_back(tmp_path):
    state, clock = Cut(tmp_path / "s"), [DUE]
    lease = Lease(state, lambda: clock[0])
    await lease.take()
    clock[0] += 1000
    state.cut = 1
    with pytest.raises(Unavailable, match="Kafka is away"):
        await lease.renew()
    clock[0] += HELD_MS
    await lease.renew()
    lease.check()
    await lease.give_back()
    clock[0] += 1

    await Lease(state, lambda: clock[0]).take()

    assert 1 == len(await state.read())


async def test_a_lease_is_over_after_its_time_however_far_the_clock_is_set_back(tmp_path):
    passed, clock = [0.0], [DUE]
    lease = Lease(FileState(tmp_path / "s"), lambda: clock[0], steady=lambda: passed[0])
    await lease.take()
    clock[0] -= 3_600_000
    passed[0] = HELD_SECONDS
    lease.check()
    passed[0] += 0.001
    with pytest.raises(LeaseLost):
        lease.check()


async def test_a_lease_that_another_has_taken_is_lost_at_once_though_the_clock_was_set_back(tmp_path):
    state, clock = FileState(tmp_path / "s"), [DUE]
    lease = Lease(state, lambda: clock[0], steady=lambda: 0)
    await lease.take()
    await Lease(state, lambda: DUE + HELD_MS).take()
    clock[0] -= 3_600_000
    lease.check()
    with pytest.raises(LeaseTaken):
        await lease.renew()

    with pytest.raises(LeaseLost):
        lease.check()


async def test_a_lease_lost_during_a_long_day_stops_it_before_the_manifest(store, objects, tmp_path):
    await fill(store, documents(100, AUTH_TARGET, "auth"))
    clock = [DUE]
    one = archiver(store.admin, objects, tmp_path, now=lambda: clock[0])
    lease = await taken(one)

    def late(step):
        if step == "exported":
            clock[0] += HELD_MS + 1

    one.step = late
    with pytest.raises(LeaseLost):
        await run_by(one, lease)

    (receipt,) = await receipts(one.state)

    assert ({}, {}) == (receipt.archived, receipt.dropped)
    assert "run out" in receipt.unfinished
    assert {} == archived(objects)
    assert 100 == len(await stored_ids(store.admin))


class FullFile:
    """A file on a disk that has no room, when it is written to and when it is closed."""

    def __init__(self, path):
        self.name = str(path)
        path.touch()

    def write(self, data=b""):
        raise OSError(errno.ENOSPC, "No space left on device")

    flush = close = write


async def test_a_full_disk_is_a_problem_of_the_day_in_the_receipt_and_leaves_no_file(
    store, objects, tmp_path, monkeypatch
):
    await fill(store, documents(50, AUTH_TARGET, "auth") + documents(50, PAY_TARGET, "pay"))
    one = archiver(store.admin, objects, tmp_path)
    full = SimpleNamespace(NamedTemporaryFile=lambda **_: FullFile(tmp_path / "work" / "part-1"))
    with monkeypatch.context() as patched:
        patched.setattr(archive_module, "tempfile", full)
        receipt = await run_by(one, await taken(one))

    problem = f"{AUTH_TARGET}: {tmp_path / 'work'}: No space left on device: see that its disk has room"
    assert [True] == [problem in line for line in receipt.problems]
    assert {PAY_TARGET: 50} == receipt.dropped
    assert [receipt] == await receipts(one.state)
    assert [] == list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("step", ["re-counted", "tombstone"])
async def test_a_lease_lost_before_a_drop_leaves_the_index(store, objects, tmp_path, step):
    await fill(store, documents(50, AUTH_TARGET, "auth"))
    clock = [DUE]
    one = archiver(store.admin, objects, tmp_path, now=lambda: clock[0])
    lease = await taken(one)

    def late(name):
        if name == step:
            clock[0] += HELD_MS + 1

    one.step = late
    with pytest.raises(LeaseLost):
        await run_by(one, lease)

    assert 50 == len(await stored_ids(store.admin))

    one.step = lambda _: None
    await run_by(one, await taken(one))

    assert set() == await stored_ids(store.admin)


async def test_a_stop_ends_a_long_day_at_the_next_page_and_the_next_run_goes_on(store, objects, tmp_path):
    logs = documents(3000, AUTH_TARGET, "auth")
    await fill(store, logs)
    one, pages = archiver(store.admin, objects, tmp_path, part_bytes=10**6), []

    class Counting(run_module.Watch):
        def advance(self, documents):
            pages.append(documents)

    with pytest.raises(Stopped):
        await run_by(one, await taken(one), stopping=lambda: len(pages) >= 2, watch=Counting())

    assert 2 == len(pages)
    assert {} == archived(objects)

    told = await run_by(one, await taken(archiver(store.admin, objects, tmp_path, now=lambda: DUE + HELD_MS + 1)))

    assert ({AUTH_TARGET: 3000}, {AUTH_TARGET: 3000}) == (told.archived, told.dropped)
    assert {log.id for log in logs} == set(archived(objects))


async def test_the_first_run_of_all_drops_no_more_than_half_of_the_store_unless_told(store, objects, tmp_path):
    await fill(
        store, documents(60, PAY_TARGET, "pay") + documents(40, alias_name("pay", DAY + timedelta(days=30)), "pay")
    )
    one = archiver(store.admin, objects, tmp_path)
    lease = await taken(one)
    refused = await run_by(one, lease, Guard(3, 10))
    told = await run_by(one, lease, Guard(3, 10, override=True))

    assert "60 documents would be dropped, far more than the runs before (50 at most)" in refused.problems[0]
    assert ({}, {PAY_TARGET: 60}) == (refused.dropped, told.dropped)


async def test_later_runs_are_compared_with_the_most_of_those_before(store, objects, tmp_path):
    clock = [DUE]
    one = archiver(store.admin, objects, tmp_path, now=lambda: clock[0])
    lease = Lease(one.state, lambda: DUE)
    await lease.take()
    dropped = []
    for day, number in enumerate([20, 60, 181]):
        await fill(store, documents(number, alias_name("pay", DAY + timedelta(days=day)), "pay"))
        clock[0] += 1
        receipt = await run_by(one, lease, Guard(3, 20))
        dropped.append((sum(receipt.dropped.values()), len(receipt.problems)))

    assert [(20, 0), (60, 0), (0, 1)] == dropped


async def test_what_is_not_wanted_is_not_dropped(store, objects, tmp_path):
    await fill(store, documents(5, PAY_TARGET, "pay") + documents(7, TOMORROWS_PAY, "pay"))
    asked = []

    async def refuse(number):
        asked.append(number)
        return False

    one = archiver(store.admin, objects, tmp_path)
    receipt = await run_by(one, await taken(one), agreed=refuse)

    assert [12] == asked
    assert ({}, "nothing was dropped: it was not wanted") == (receipt.dropped, receipt.unfinished)
    assert 12 == len(await stored_ids(store.admin))


async def test_a_day_that_is_held_back_while_the_question_waits_is_not_dropped(store, objects, tmp_path):
    await fill(store, documents(5, PAY_TARGET, "pay"))
    late: dict[str, list[str]] = {}

    async def holds():
        return dict(late)

    async def agree_late(number):
        late[PAY_TARGET] = ["1 open dead letters are for it"]
        return True

    one = archiver(store.admin, objects, tmp_path)
    receipt = await run(one, one.state, await taken(one), FREE, holds, agreed=agree_late)

    assert {} == receipt.dropped
    assert 5 == len(await stored_ids(store.admin))


@pytest.mark.parametrize(("held", "days_overdue"), [({PAY_TARGET: ["1 open dead letters are for it"]}, 2), ({}, 0)])
async def test_a_day_that_is_held_back_is_overdue_until_it_goes(held, days_overdue, store, objects, tmp_path):
    await fill(store, documents(5, PAY_TARGET, "pay"))
    one = archiver(store.admin, objects, tmp_path)
    (entry,) = (await one.plan({})).entries
    assert entry.due_at is not None
    later = entry.due_at + 2 * 86_400_000
    two_days_later = replace(one, now=lambda: later)

    async def holds():
        return held

    await run(two_days_later, one.state, await taken(two_days_later), FREE, holds)

    assert days_overdue * 86_400 == metrics.retention_overdue_seconds._value.get()


async def test_a_day_under_a_legal_hold_is_never_overdue(store, objects, tmp_path):
    await fill(store, documents(5, PAY_TARGET, "pay"))
    kept = parse_policies({"retention_policies": {"pay": {"retention_days": 1, "legal_hold": True}}}, "test")
    one = archiver(store.admin, objects, tmp_path, policies=kept)
    metrics.retention_overdue_seconds.set(1)

    async def holds():
        return {PAY_TARGET: ["1 open dead letters are for it"]}

    receipt = await run(one, one.state, await taken(one), FREE, holds)

    assert ({}, 0) == (receipt.held, metrics.retention_overdue_seconds._value.get())


async def test_each_run_leaves_a_receipt_and_the_oldest_go(store, objects, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "MAX_RECEIPTS", 3)
    clock = [DUE]
    one = archiver(store.admin, objects, tmp_path, now=lambda: clock[0])
    lease = Lease(one.state, lambda: DUE)
    await lease.take()
    for _ in range(5):
        clock[0] += 1000
        await run_by(one, lease)

    assert [DUE + 3000, DUE + 4000, DUE + 5000] == [receipt.begun_at for receipt in await receipts(one.state)]


@pytest.fixture
def served(monkeypatch):
    """Serve with runs that end so, one after the other, then stop: the pauses between them, and what was said."""

    async def act(*ends: Exception | Receipt) -> tuple[list[float], list[str]]:
        stop, left = asyncio.Event(), list(ends)
        pauses: list[float] = []
        said: list[str] = []

        async def one_run() -> Receipt:
            end = left.pop(0)
            if isinstance(end, Exception):
                raise end
            return end

        async def wait_for(waiting, seconds):
            waiting.close()
            pauses.append(seconds)
            if not left:
                stop.set()
            raise TimeoutError

        metrics.retention_problems.set(0)
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "wait_for", wait_for)
            await retention_run._serve(one_run, stop, 3600, said.append)
        return pauses, said

    return act


async def test_who_finds_another_at_work_says_so_and_comes_back_when_that_ones_lease_ends(served):
    pauses, said = await served(
        LeaseTaken("host/1/2 is at it", retry_after_seconds=7), LeaseTaken("still", retry_after_seconds=99_999)
    )

    assert [7, 3600] == pauses
    assert "another process is at work: host/1/2 is at it" == said[0]
    assert 0 == metrics.retention_problems._value.get()


async def test_a_run_that_could_not_be_made_is_a_problem_and_is_tried_again_soon(served):
    pauses, said = await served(Receipt(DUE), Unavailable("Kafka is away"), ConfigurationError(["no such bucket"]))

    assert ([3600, 300, 300], ["nothing is due"]) == (pauses, said)
    assert 1 == metrics.retention_problems._value.get()


async def test_a_run_that_lost_its_lease_is_gone_on_with_in_a_moment(served):
    pauses, _ = await served(LeaseLost("run out", retry_after_seconds=30))

    assert [30] == pauses


async def test_what_cannot_be_served_at_all_is_refused_at_the_start(served):
    with pytest.raises(ConfigurationError, match="a delete phase"):
        await served(Unavailable("Kafka is away"), ConfigurationError(["the ILM policy 'short' has a delete phase"]))
