"""Pruning: by policy and not before, never what is held, and a crash anywhere is put right by the next run."""

from __future__ import annotations

from datetime import date

import pytest

from logsync_streams.errors import Unavailable
from logsync_streams.state import FileState
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from retention.objects import MemoryObjects
from retention.plan import DAY_MS, day_end
from retention.policy import parse_policies
from retention.prune import STEPS, Pruned, PrunePlan, Pruner, kept_until, make_plan, receipts, unfinished
from retention.restore import archives
from tests.contract.documents import DAY
from tests.retention import AUTH_TARGET, DEFAULT_TARGET, archiver, documents, failing_at, fill, stored_ids
from tests.unit.test_retention_archiver import Crash, run_once

HERE = {"archive_to_s3": True, "s3_bucket": "logs", "s3_prefix": "archive"}
OVER = day_end(DAY) + 10 * DAY_MS


def policies(**others):
    entries = {
        "auth": {"retention_days": 2, "archive_days": 10, **HERE},
        "default": {"retention_days": 1, "archive_days": 5, **HERE},
    }
    return parse_policies({"retention_policies": entries | others}, "policies")


@pytest.fixture
async def kept(tmp_path):
    """The bucket with two archives, several parts each, and the state; their days are dropped."""
    one, objects = MemoryStore(), MemoryObjects()
    store = Store(one, one, one)
    await fill(store, documents(60, AUTH_TARGET, "auth") + documents(60, DEFAULT_TARGET, "shop"))
    await run_once(archiver(store.admin, objects, tmp_path, policies=policies()))

    assert (set(), 2) == (await stored_ids(store.admin), len(manifests(objects)))
    return objects, FileState(tmp_path / "state.ndjson")


def manifests(objects):
    return [key for key in objects.held if key.endswith("manifest.json")]


async def planned(kept, now=OVER, given=None, aliases=()):
    objects, state = kept
    chosen = given or policies()
    left = await unfinished(state, lambda _: objects)
    return make_plan(chosen, archives(chosen, lambda _: objects), aliases, now, left)


async def prune(kept, plan, **others):
    objects, state = kept
    return await Pruner(lambda _: objects, state, lambda: OVER, "a@b", **others).run(plan)


async def test_each_archive_goes_when_its_policys_days_are_over_and_not_before(kept):
    objects, state = kept
    early = await planned(kept, now=day_end(DAY) + 5 * DAY_MS - 1)
    first = await planned(kept, now=OVER - 1)

    assert ((), 2, ["default"], 1) == (early.due, early.kept, [one.dataset for one in first.due], first.kept)
    done = await prune(kept, first)

    assert ["default"] == [one.dataset for one in done]
    assert ["auth"] == [key.split("/")[1] for key in manifests(objects)]
    assert not [key for key in objects.held if "/default/" in key]
    [receipt] = await receipts(state)
    assert ("a@b", 60, {"shop": 60}) == (receipt.by, receipt.archives[0].documents, receipt.archives[0].services)
    assert "archive_days 5 of the policy 'default'" in receipt.archives[0].reason
    assert ["auth"] == [one.dataset for one in (await planned(kept)).due]


async def test_nothing_goes_under_a_legal_hold_or_while_its_day_is_in_the_store(kept):
    hold = policies(auth={"retention_days": 2, "archive_days": 10, "legal_hold": True, **HERE})
    held = await planned(kept, given=hold, aliases=[DEFAULT_TARGET])

    assert ((), 1) == (held.due, held.kept)
    [(folder, why)] = held.held
    assert "/default/" in folder
    assert f"{DEFAULT_TARGET} is in the store still" in why
    assert (None, "legal hold of the policy 'auth'") == kept_until(hold, "auth", DAY, ["auth"])


def test_of_the_policies_of_all_its_logs_the_longest_counts_and_none_is_for_ever():
    given = policies(pay={"retention_days": 1, "archive_days": 90, **HERE}, shop={"retention_days": 1})
    day = date(2026, 11, 1)

    assert day_end(day) + 90 * DAY_MS == kept_until(given, "default", day, ["auth", "pay", "x"])[0]
    assert None is kept_until(given, "default", day, ["auth", "shop"])[0]
    assert day_end(day) + 5 * DAY_MS == kept_until(given, "default", day, [])[0]


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_leaves_no_manifest_that_lies_and_the_next_run_ends_the_work(step, kept):
    objects, state = kept
    with pytest.raises(Crash):
        await prune(kept, await planned(kept), step=failing_at(step, [1], Crash))

    for found in archives(policies(), lambda _: objects):
        assert {part.key for part in found.manifest.parts} <= objects.held.keys()
    plan = await planned(kept)
    await prune(kept, plan)

    assert {} == objects.held
    assert PrunePlan() == await planned(kept)
    assert {"auth", "default"} == {one.dataset for receipt in await receipts(state) for one in receipt.archives}


async def test_parts_without_a_manifest_that_no_receipt_names_are_left_alone(kept):
    objects, _ = kept
    for key in manifests(objects):
        del objects.held[key]
    before = dict(objects.held)

    await prune(kept, await planned(kept))

    assert before == objects.held


async def test_what_is_left_of_a_begun_removal_stays_when_a_legal_hold_has_come(kept):
    objects, _ = kept
    with pytest.raises(Crash):
        await prune(kept, await planned(kept), step=failing_at("manifest", [1], Crash))
    before = dict(objects.held)
    hold = policies(auth={"retention_days": 2, "archive_days": 10, "legal_hold": True, **HERE}, default={
        "retention_days": 1, "legal_hold": True, **HERE})  # fmt: skip

    plan = await planned(kept, given=hold)
    await prune(kept, plan)

    assert ((), before) == (plan.left, objects.held)
    assert ["its removal had begun, its manifest is gone; now legal hold of the policy 'auth'"] == [
        why for _, why in plan.held
    ]


class Bounded(FileState):
    """Refuses a value that is no record of Kafka's."""

    async def decide(self, key, value):
        if len(value) > 1_000_000:
            raise Unavailable("MessageSizeTooLargeError")
        return await super().decide(key, value)


async def test_archives_of_thousands_of_services_are_named_in_as_many_receipts_as_it_takes(tmp_path):
    services = {f"a-service-with-a-name-{number}": 1 for number in range(10_000)}
    objects, state = MemoryObjects(), Bounded(tmp_path / "state.ndjson")
    due = [
        Pruned("logs", f"a/{day}/", "auth", f"2026-01-{day:02}", 10_000, 1, services, "it is time")
        for day in range(1, 11)
    ]
    objects.held = {f"{pruned.folder}{name}": b"x" for pruned in due for name in ("manifest.json", "part-1")}

    done = await prune((objects, state), PrunePlan(due=tuple(due)))

    assert ({}, due) == (objects.held, done)
    assert due == [pruned for receipt in await receipts(state) for pruned in receipt.archives]
