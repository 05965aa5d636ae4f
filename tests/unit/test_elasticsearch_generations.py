"""Two bulk requests in flight at a time share what is known of an alias's generations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from logsync_streams.storage.api import DUPLICATE, STORED, Document, Outcome, Reaction
from logsync_streams.storage.documents import ALIAS_MISSING, WRITE_BLOCKED
from logsync_streams.storage.elasticsearch_client import Answer
from logsync_streams.storage.elasticsearch_generations import Generations

TARGET = "logsync-default-2026.01.01"
OLD, NEW = f"{TARGET}-000001", f"{TARGET}-000002"
REFUSED = Outcome(Reaction.RETRY, "busy", "")


class Connection:
    """Two generations; the older one holds `held`."""

    def __init__(self, held: set[str]) -> None:
        self.held, self.deleted, self.looked = held, list[str](), 0

    async def ask(self, method: str, path: str, **asked: Any) -> Answer:
        await asyncio.sleep(0)  # here the other request goes on
        if method == "DELETE":
            self.deleted.append(path)
        if path == "/_mget":
            return Answer(
                200, {"docs": [{"_id": d["_id"], "found": d["_id"] in self.held} for d in asked["body"]["docs"]]}
            )
        self.looked += path.endswith("/_alias")
        return Answer(200, {OLD: {}, NEW: {}})


async def test_two_requests_with_refusals_at_a_time_each_settle_what_they_stored():
    connection = Connection(held={"a2", "b2"})
    generations = Generations(connection)  # type: ignore[arg-type]  # what it asks of a connection

    async def settled(name: str) -> list[Outcome]:
        documents = [Document(TARGET, f"{name}{number}", b"{}") for number in range(3)]
        return await generations.settled(documents, ["", NEW, NEW], [REFUSED, STORED, STORED])

    first, second = await asyncio.gather(settled("a"), settled("b"))

    assert [REFUSED, STORED, DUPLICATE] == first == second
    assert [f"/{NEW}/_doc/a2", f"/{NEW}/_doc/b2"] == sorted(connection.deleted)


async def test_a_store_that_is_busy_is_not_asked_again_for_the_indices_behind_an_alias():
    connection = Connection(held=set())
    generations = Generations(connection)  # type: ignore[arg-type]  # what it asks of a connection
    documents = [Document(TARGET, "a", b"{}"), Document(TARGET, "b", b"{}")]
    for _ in range(3):
        await generations.stored_earlier(documents)
        await generations.settled(documents, ["", NEW], [REFUSED, STORED])

    assert 1 == connection.looked


@pytest.mark.parametrize(
    "outcome",
    [Outcome(Reaction.RETRY, WRITE_BLOCKED), Outcome(Reaction.HOLD, ALIAS_MISSING)],
    ids=lambda one: one.reason,
)
async def test_an_answer_about_the_index_itself_is_reason_to_look_again(outcome: Outcome):
    connection = Connection(held=set())
    generations = Generations(connection)  # type: ignore[arg-type]  # what it asks of a connection
    documents = [Document(TARGET, "a", b"{}")]
    for _ in range(2):
        await generations.stored_earlier(documents)
        await generations.settled(documents, [""], [outcome])

    assert 2 == connection.looked
