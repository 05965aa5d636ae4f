"""Erasing: gone from everywhere, nothing else gone, and the same erasure run again ends what a crash cut off."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import Any

import orjson
import pytest

from logsync_streams.errors import ConfigurationError, InvalidQuery
from logsync_streams.events import receive_day
from logsync_streams.query.language import parse
from logsync_streams.state import FileState
from logsync_streams.storage.api import DUPLICATE, All
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from retention.archive import verify
from retention.erase import STEPS, Eraser
from retention.erase_find import Where
from retention.erase_receipt import new_salt, proof_of, receipts
from retention.lease import LeaseLost
from retention.objects import MemoryObjects
from retention.plan import DAY_MS
from retention.restore import Wanted, archives, restore
from tables.erased import ids_in_force
from tests.contract.documents import NOON
from tests.contract.steps import found
from tests.retention import (
    AUTH_TARGET,
    DEFAULT_TARGET,
    DUE,
    POLICIES,
    SleepyObjects,
    archived,
    archiver,
    documents,
    failing_at,
    fill,
    stored_ids,
)
from tests.unit.test_retention_archiver import Crash, run_once
from tests.unit.test_retention_late import archive_all, drop_all

QUERY = "user.id:42 OR user.id:7"
INDEX, SHARED = f"{AUTH_TARGET}-000001", f"{DEFAULT_TARGET}-000001"
TODAY = receive_day(DUE)


class Letters:
    """Dead letters by id, each a document."""

    def __init__(self, logs):
        self.open = {log.id: orjson.loads(log.body) for log in logs}

    async def find(self, takes, held, ids):
        taken = {id: document for id, document in self.open.items() if id in ids or takes(document)}
        stay = {id for id, document in taken.items() if id not in ids and held(document, "default")}
        return {id: date(2026, 11, 24) for id in taken.keys() - stay}, len(stay)

    async def erase(self, ids):
        gone = self.open.keys() & set(ids)
        for id in gone:
            del self.open[id]
        return len(gone)


class Rig:
    """A store with an archived day, a shared day of which one service is archived, and today; and dead letters."""

    def __init__(self, folder):
        one = MemoryStore()
        self.folder, self.store, self.objects = folder, Store(one, one, one), MemoryObjects()
        self.state = FileState(folder / "state.ndjson")
        self.auth = documents(60, AUTH_TARGET, "auth")
        self.shared = documents(50, DEFAULT_TARGET, "auth") + documents(50, DEFAULT_TARGET, "pay")
        self.dead = documents(50, "", "shop")
        self.letters = Letters(self.dead)
        self.logs = [*self.auth, *self.shared, *self.dead]
        self.gone = {log.id for log in self.logs if orjson.loads(log.body)["user"]["id"] in ("42", "7")}

    async def fill(self):
        await fill(self.store, self.auth + self.shared)
        await archive_all(self.archiver)
        return self

    @property
    def archiver(self):
        return archiver(self.store.admin, self.objects, self.folder)

    def eraser(self, **others):
        async def sleep(seconds):
            assert 0 < seconds <= 15

        given: dict[str, Any] = {
            "policies": POLICIES,
            "letters": self.letters,
            "state": self.state,
            "now": lambda: DUE,
            "work": self.folder / "work",
            "max_ids": 1000,
            "topic_days": 14,
            "settle_seconds": 15,
            "sleep": sleep,
        }
        return Eraser(self.store, lambda _: self.objects, **given | others)

    async def erase(self, query=QUERY, **others):
        eraser = self.eraser(**others)
        return await eraser.run(await eraser.find(Where(parse(query))), "a@b", proof_of(query, "salt"))

    async def everywhere(self):
        """Ids in the store, in archives and in dead letters."""
        return await stored_ids(self.store.admin), archived(self.objects).keys(), self.letters.open.keys()

    async def assert_erased(self):
        stored, kept, dead = await self.everywhere()
        left = {log.id for log in self.logs} - self.gone

        assert left == stored | dead
        assert left & {log.id for log in self.auth} <= kept
        assert not self.gone & kept
        for one in archives(POLICIES, lambda _: self.objects):
            verify(self.objects, one.manifest)
        named = {part.key for one in archives(POLICIES, lambda _: self.objects) for part in one.manifest.parts}
        assert named == {key for key in self.objects.held if "part-" in key}
        assert not any(work.is_file() for work in (self.folder / "work").rglob("*"))
        await drop_all(self.archiver)  # what was erased does not hold the days back
        assert set() == await stored_ids(self.store.admin)


@pytest.fixture
async def rig(tmp_path):
    return await Rig(tmp_path).fill()


async def test_the_logs_are_gone_from_store_archives_and_dead_letters_and_all_others_are_there(rig):
    before = {one.folder: one.manifest for one in archives(POLICIES, lambda _: rig.objects)}

    receipt = await rig.erase()

    assert 8 == len(rig.gone)
    assert ({INDEX: 2, SHARED: 4}, 2, []) == (receipt.store, receipt.dead_letters, receipt.problems)
    assert {2} == set(receipt.archives.values())
    after = {one.folder: one.manifest for one in archives(POLICIES, lambda _: rig.objects)}
    assert {folder: (2, manifest.sha256) for folder, manifest in before.items()} == {
        folder: (manifest.revision, manifest.previous) for folder, manifest in after.items()
    }
    assert [(58, {"auth": 58}), (96, {"auth": 48})] == sorted(
        (manifest.index_documents, manifest.services) for manifest in after.values()
    )
    await rig.assert_erased()


async def test_parts_without_such_logs_stay_as_they_are(rig):
    before = {part.key for one in archives(POLICIES, lambda _: rig.objects) for part in one.manifest.parts}

    await rig.erase("user.id:42")
    after = {part.key for one in archives(POLICIES, lambda _: rig.objects) for part in one.manifest.parts}

    assert (2, 2) == (len(before - after), len(after - before))
    assert len(before & after) > 2


async def test_an_erased_log_cannot_be_restored_and_is_refused_as_long_as_a_topic_may_bring_it_back(rig):
    [old] = [one for one in archives(POLICIES, lambda _: rig.objects) if "/auth/" in one.folder]
    copy = MemoryObjects(dict(rig.objects.held))  # as a copy of the bucket from before would be
    await rig.erase()
    refused = ids_in_force(await rig.state.read(), TODAY)

    async def among(ids):
        return refused & set(ids)

    done = await restore(copy, old, Wanted(), rig.store, date(2026, 12, 24), dry_run=False, erased=among)

    assert (0, 58, 2) == (done.documents, done.there, done.erased)
    assert rig.gone == refused == ids_in_force(await rig.state.read(), TODAY + timedelta(days=14))
    assert set() == ids_in_force(await rig.state.read(), TODAY + timedelta(days=15))


async def test_a_log_received_long_ago_is_refused_as_long_for_a_replay_may_have_been_appended_today(rig):
    later = DUE + 60 * DAY_MS

    await rig.erase(now=lambda: later)

    assert rig.gone == ids_in_force(await rig.state.read(), receive_day(later) + timedelta(days=14))


async def test_restored_logs_are_erased_as_well(rig):
    await drop_all(rig.archiver)
    for one in list(archives(POLICIES, lambda _: rig.objects)):
        await restore(rig.objects, one, Wanted(), rig.store, date(2026, 12, 24), dry_run=False)

    receipt = await rig.erase()

    assert [2, 2] == list(receipt.store.values())
    assert all("restored-" in index for index in receipt.store)
    assert not rig.gone & (await stored_ids(rig.store.admin) | archived(rig.objects).keys())


async def test_what_is_written_again_meanwhile_is_erased_again(rig):
    [hit] = [log for log in rig.auth if orjson.loads(log.body)["user"]["id"] == "42"]

    async def write_again():
        await rig.store.admin.next_generation(AUTH_TARGET)
        await rig.store.writer.write([hit])

    class Late(Letters):
        async def erase(self, ids):
            await write_again()  # after the store's turn
            return await super().erase(ids)

    rig.letters = Late(rig.dead)
    receipt = await rig.erase()

    assert 1 == receipt.store[f"{AUTH_TARGET}-000002"]
    assert not rig.gone & await stored_ids(rig.store.admin)


async def test_what_the_store_writes_after_its_writer_gave_up_is_erased_and_no_step_of_the_clock_cuts_the_wait(
    rig,
):
    [hit] = [log for log in rig.auth if orjson.loads(log.body)["user"]["id"] == "42"]
    days, slept = count(DUE, DAY_MS), []

    async def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:  # after the store's turn
            await rig.store.admin.next_generation(AUTH_TARGET)
            await rig.store.writer.write([hit])

    receipt = await rig.erase(sleep=sleep, now=lambda: next(days), monotonic=lambda: 100.0)

    assert [15, 15] == slept
    assert 1 == receipt.store[f"{AUTH_TARGET}-000002"]
    assert not rig.gone & await stored_ids(rig.store.admin)


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_loses_no_other_log_and_the_same_erasure_again_ends_the_work(step, rig):
    with pytest.raises(Crash):
        await rig.erase(step=failing_at(step, [1], Crash))

    stored, kept, dead = await rig.everywhere()
    assert {log.id for log in rig.logs} - rig.gone <= stored | dead
    assert {log.id for log in rig.auth} - rig.gone <= kept
    for one in archives(POLICIES, lambda _: rig.objects):
        verify(rig.objects, one.manifest)

    await rig.erase()

    await rig.assert_erased()


@pytest.mark.parametrize("step", STEPS)
async def test_a_retention_run_between_crash_and_rerun_drops_nothing_that_is_not_archived_as_it_is(step, rig):
    with pytest.raises(Crash):
        await rig.erase(step=failing_at(step, [1], Crash))

    await run_once(rig.archiver)

    stored, kept, _ = await rig.everywhere()
    archiving = {log.id for log in rig.logs if b'"auth"' in log.body} - rig.gone
    assert archiving <= stored | kept
    await rig.erase()
    stored, kept, dead = await rig.everywhere()
    assert archiving <= stored | kept
    assert not rig.gone & (stored | kept | dead)


async def test_what_another_has_named_since_this_one_looked_is_not_swept(rig):
    late = rig.eraser()
    nothing = await late.find(Where(parse("user.id:no_one")))
    slept: list[float] = []

    class Admin:
        def __getattr__(self, name):
            return getattr(rig.store.admin, name)

        async def indices(self):
            counted = await rig.store.admin.indices()
            if not slept:  # for longer than its lease, and its clock does not say so
                slept.append(await rig.erase())
            return counted

    admin: Any = Admin()
    late.store = Store(rig.store.writer, rig.store.reader, admin)
    await late.run(nothing, "a@b", "")

    await rig.assert_erased()


@pytest.mark.parametrize("left", ["beside a manifest", "without a manifest", "by a rewrite"])
async def test_the_lease_is_asked_for_before_each_thing_that_is_swept(left, rig):
    [one] = [one for one in archives(POLICIES, lambda _: rig.objects) if "/auth/" in one.folder]
    key = f"{one.folder}part-00009-0123456789ab.ndjson.zst"
    if left == "without a manifest":
        for name in [name for name in rig.objects.held if name.startswith(one.folder)]:
            del rig.objects.held[name]
    rig.objects.held[key] = b"of an attempt"
    objects = SleepyObjects(rig.objects.held)
    eraser = rig.eraser()
    found = await eraser.find(Where(parse(QUERY if left == "by a rewrite" else "user.id:no_one")))
    eraser.objects, eraser.check = (lambda _: objects), objects.check
    with pytest.raises(LeaseLost):
        await eraser.run(found, "a@b", "")

    assert key in rig.objects.held


async def test_a_receipt_says_who_when_and_how_many_and_nothing_of_what_was_looked_for(rig):
    salt = new_salt()
    eraser = rig.eraser()
    await eraser.run(await eraser.find(Where(parse(QUERY))), "a@b", proof_of(QUERY, salt))
    [receipt] = await receipts(rig.state)
    written = (rig.folder / "state.ndjson").read_text()

    assert ("a@b", DUE, DUE, proof_of(QUERY, salt)) == (
        receipt.by,
        receipt.begun_at,
        receipt.ended_at,
        receipt.proof,
    )
    assert proof_of(QUERY, salt) != proof_of(QUERY, new_salt())
    assert not [word for word in ("user.id", salt) if word in written]


async def test_an_erasure_that_was_cut_off_is_on_record(rig):
    with pytest.raises(Crash):
        await rig.erase(step=failing_at("store", [1], Crash))

    assert [0] == [receipt.ended_at for receipt in await receipts(rig.state)]


@pytest.mark.parametrize("damaged", ["part", "manifest"])
async def test_of_a_damaged_archive_nothing_is_erased_nor_of_its_index_and_mended_it_is(damaged, rig):
    [one] = [one for one in archives(POLICIES, lambda _: rig.objects) if "/auth/" in one.folder]
    key = one.manifest.parts[0].key if damaged == "part" else f"{one.folder}manifest.json"
    whole = rig.objects.held[key]
    rig.objects.held[key] = whole[:-1]

    receipt = await rig.erase()

    assert any(key in problem for problem in receipt.problems)
    assert {SHARED: 4} == receipt.store
    assert any(problem.startswith(f"{INDEX}: nothing was erased from it") for problem in receipt.problems)
    assert not rig.gone & (await stored_ids(rig.store.admin) - {log.id for log in rig.auth})
    rig.objects.held[key] = whole  # mended, as from the bucket's versions

    await rig.erase()

    await rig.assert_erased()


async def test_what_is_under_a_legal_hold_stays_everywhere_and_is_named(rig):
    held = {**POLICIES, "auth": replace(POLICIES["auth"], legal_hold=True)}

    receipt = await rig.erase(policies=held)
    stored, kept, dead = await rig.everywhere()

    of_auth = {log.id for log in rig.logs if b'"auth"' in log.body}
    assert of_auth <= stored
    assert of_auth <= kept
    assert ({SHARED: 2}, 2, {}) == (receipt.store, receipt.dead_letters, receipt.archives)
    assert rig.gone - of_auth == rig.gone - stored - dead
    assert 4 == len([problem for problem in receipt.problems if "2 logs in" in problem and "legal hold" in problem])
    assert rig.gone - of_auth == ids_in_force(await rig.state.read(), TODAY)


async def test_ids_that_are_refused_no_more_are_forgotten_by_the_next_erasure(rig):
    await rig.erase("user.id:1")
    before = [key for key in await rig.state.read() if key.startswith("erased/")]
    later = DUE + 15 * DAY_MS

    await rig.erase("user.id:2", now=lambda: later)
    after = [key for key in await rig.state.read() if key.startswith("erased/")]

    assert (1, 1, set()) == (len(before), len(after), set(before) & set(after))


async def test_more_than_can_be_remembered_is_refused_before_anything_is_done(rig):
    before = await rig.everywhere()
    with pytest.raises(ConfigurationError, match="LOGSYNC_RETENTION__MAX_ERASED_IDS: 5"):
        await rig.erase(max_ids=5)
    await rig.erase("user.id:1", max_ids=10)
    with pytest.raises(ConfigurationError, match="LOGSYNC_RETENTION__MAX_ERASED_IDS: 10"):
        await rig.erase(max_ids=10)

    assert [len(one) for one in before] != [len(one) for one in await rig.everywhere()]
    assert rig.gone <= set().union(*await rig.everywhere())


async def test_times_choose_and_a_query_that_cannot_be_is_refused(rig):
    eraser = rig.eraser()
    chosen = await eraser.find(Where(All(), NOON + 10, NOON + 12))

    assert {INDEX: 2, SHARED: 4} == {index: len(ids) for index, ids in chosen.store.items()}
    assert 2 == len(chosen.letters)
    with pytest.raises(InvalidQuery):
        await eraser.find(Where(parse("event.original:x")))


async def test_the_other_logs_can_still_be_found_and_are_known_as_duplicates(rig):
    await rig.erase()

    assert [DUPLICATE] == await rig.store.writer.write([rig.auth[3]])
    assert not rig.gone & await found(rig.store.reader, All())
