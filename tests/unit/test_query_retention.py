"""`GET /api/retention`: what a run left in `logs-state`, in the form that the document of the API promises."""

from __future__ import annotations

from typing import Any

import pytest

from logsync_streams.errors import Unavailable
from logsync_streams.query.retention import SCHEMA
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from retention.objects import MemoryObjects
from retention.plan import Action, Entry, Plan
from retention.run import Guard, run
from retention.shown import MAX_DAYS, View, plan_view
from tests.contract.documents import DAY
from tests.query import client_over
from tests.retention import AUTH_TARGET, DEFAULT_TARGET, DUE, PAY_TARGET, archiver, documents, fill
from tests.unit.test_retention_run import taken


async def answered(view: View | None) -> tuple[int, Any]:
    async with client_over(MemoryStore(), retention=view) as client:
        answer = await client.get("/api/retention")
    return answer.status_code, answer.json()


@pytest.fixture
async def state(tmp_path):
    """What a run leaves that archived a day, dropped another, and found a third held back."""
    one = MemoryStore()
    store = Store(one, one, one)
    for target, service in ((AUTH_TARGET, "auth"), (PAY_TARGET, "pay"), (DEFAULT_TARGET, "shop")):
        await fill(store, documents(10, target, service))
    worker = archiver(store.admin, MemoryObjects(), tmp_path, grace_ms=1000)

    async def holds():
        return {DEFAULT_TARGET: ["2 open dead letters are for it (logsync dlq list)"]}

    await run(worker, worker.state, await taken(worker), Guard(3, 1000), holds)
    return worker.state


async def test_the_plan_and_the_last_run_are_told(state):
    status, answer = await answered(View(state.read, lambda: DUE))

    assert 200 == status
    assert {DEFAULT_TARGET: "held", AUTH_TARGET: "wait"} == {
        day["alias"]: day["action"] for day in answer["plan"]["days"]
    }
    assert ["2 open dead letters are for it (logsync dlq list)"] in [day["reasons"] for day in answer["plan"]["days"]]
    assert [(10, 10, 1, [])] == [
        (one["archived_documents"], one["dropped_documents"], one["held_days"], one["problems"])
        for one in answer["runs"]
    ]


async def test_what_is_told_has_the_members_of_the_documents_schema(state):
    _, answer = await answered(View(state.read, lambda: DUE))
    plan, runs = SCHEMA["properties"]["plan"]["anyOf"][0], SCHEMA["properties"]["runs"]

    assert set(SCHEMA["properties"]) == set(answer)
    assert set(plan["properties"]) == set(answer["plan"])
    assert set(plan["properties"]["days"]["items"]["properties"]) == set(answer["plan"]["days"][0])
    assert set(runs["items"]["properties"]) == set(answer["runs"][0])


async def test_before_the_first_run_there_is_no_plan():
    async def nothing():
        return {"tombstone/x": b"{}"}

    status, answer = await answered(View(nothing, lambda: DUE))

    assert (200, {"plan": None, "runs": []}) == (status, answer)


async def test_the_state_is_read_at_most_twice_a_minute(state):
    clock, reads = [DUE], 0

    async def read():
        nonlocal reads
        reads += 1
        return await state.read()

    view = View(read, lambda: clock[0])
    for later in (0, 10_000, 29_999, 30_000, 40_000):
        clock[0] = DUE + later
        await view()

    assert 2 == reads


async def test_a_state_that_is_away_and_a_process_that_knows_nothing_are_503():
    async def away():
        raise Unavailable("no broker answers")

    assert 503 == (await answered(View(away, lambda: DUE)))[0]
    assert 503 == (await answered(None))[0]


def test_a_plan_of_very_many_days_is_cut_and_what_is_due_comes_first():
    kept = Entry("logsync-a-2026.11.24", "a", DAY, (), (), DUE, "default", Action.KEEP, ("kept",))
    held = Entry("logsync-b-2026.11.24", "b", DAY, (), (), DUE, "default", Action.HELD, ("x" * 1000,) * 100)
    shown = plan_view(Plan((*[kept] * 1000, held)), DUE)

    assert (MAX_DAYS, 1001 - MAX_DAYS, "b") == (len(shown["days"]), shown["more_days"], shown["days"][0]["dataset"])
    assert [300] * 5 == [len(reason) for reason in shown["days"][0]["reasons"]]
