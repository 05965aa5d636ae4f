"""Generations of an alias: which indices stand behind it, and which ids the earlier ones hold already.

Elasticsearch knows a second `create` only within one index, but an id must be stored once behind its alias. Nearly
every alias has one index, and then all this costs one request at its first write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from urllib.parse import quote

from logsync_streams.storage.api import DUPLICATE, STORED, Document, Outcome, Reaction
from logsync_streams.storage.documents import WRITE_BLOCKED
from logsync_streams.storage.elasticsearch_client import Connection
from logsync_streams.storage.elasticsearch_errors import unavailable
from logsync_streams.storage.naming import parse_index

_LOOKUPS = 2000  # ids in one request
_KEPT = 1000  # aliases remembered; a day's few datasets and some late days


class Generations:
    """Remembers the indices behind each alias that was written to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, tuple[str, ...]] = {}
        # target -> (index, id) stored in an index that we had not known as the newest
        self._strays: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)

    async def stored_earlier(self, documents: Sequence[Document]) -> set[tuple[str, str]]:
        """(target, id) of those that an earlier generation holds. Raises Unavailable, TransportError."""
        found: set[tuple[str, str]] = set()
        for target in dict.fromkeys([document.target for document in documents]):
            if target in self._strays:
                await self._settle(target)
            indices = self._known.get(target)
            if indices is None:
                indices = await self._learn(target)
            if len(indices) > 1:
                ids = [document.id for document in documents if document.target == target]
                held = await held_ids(self._connection, indices[:-1], ids)
                found.update((target, id) for id in held)
        return found

    async def settled(
        self, documents: Sequence[Document], indices: Sequence[str], outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """The outcomes, set right where another process has opened a generation since we last looked: a document that
        was stored there for the second time is removed, and is a duplicate. Raises Unavailable, TransportError.
        """
        if not self._strays and all(outcome is STORED for outcome in outcomes):
            written = {(document.target, index) for document, index in zip(documents, indices, strict=True)}
            if all(self._known.get(target, ())[-1:] == (index,) for target, index in written):
                return list(outcomes)  # as nearly always
        for document, index, outcome in zip(documents, indices, outcomes, strict=True):
            if outcome.reaction is Reaction.STORED:
                if self._known.get(document.target, ())[-1:] != (index,):
                    self._strays[document.target].add((index, document.id))
            elif outcome.reaction is Reaction.HOLD or outcome.reason == WRITE_BLOCKED:
                self._known.pop(document.target, None)  # missing, blocked: look again before the next write
        if not self._strays:
            return list(outcomes)
        removed: set[tuple[str, str]] = set()
        for target in list(self._strays):
            removed |= await self._settle(target)
        return [
            DUPLICATE if (index, document.id) in removed else outcome
            for document, index, outcome in zip(documents, indices, outcomes, strict=True)
        ]

    async def _settle(self, target: str) -> set[tuple[str, str]]:
        """Remove what was stored a second time, and forget these strays; they are kept when it cannot be done now."""
        strays = self._strays.pop(target, set())  # two requests may be answered at a time: each id is one's alone
        try:
            return await self._removed(target, strays)
        except BaseException:
            self._strays[target] |= strays
            raise

    async def _removed(self, target: str, strays: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        removed: set[tuple[str, str]] = set()
        if not strays:
            return removed
        behind = await self._learn(target)
        for index in {index for index, _ in strays}:
            ids = [id for its_index, id in strays if its_index == index]
            for id in await held_ids(self._connection, [name for name in behind if name < index], ids):
                path = f"/{quote(index, safe='')}/_doc/{quote(id, safe='')}"
                await self._connection.ask("DELETE", path, allowed=frozenset({404}))
                removed.add((index, id))
        return removed

    async def _learn(self, target: str) -> tuple[str, ...]:
        indices = await indices_behind(self._connection, [target])
        if len(self._known) >= _KEPT:
            self._known.clear()
        if indices:
            self._known[target] = indices
        return indices


async def indices_behind(connection: Connection, names: Collection[str]) -> tuple[str, ...]:
    """The indices that these aliases and indices stand for, oldest generation first; missing ones stand for none.

    Names that cannot be ours are taken as missing. Raises Unavailable.
    """
    ours = sorted(name for name in names if parse_index(name))
    if not ours:
        return ()
    path = "/" + ",".join(quote(name, safe="") for name in ours) + "/_alias"
    params = {"ignore_unavailable": "true", "allow_no_indices": "true"}
    answer = await connection.ask("GET", path, params=params, allowed=frozenset({404}))
    return () if answer.status == 404 else tuple(sorted(answer.body))


async def held_ids(connection: Connection, indices: Sequence[str], ids: Sequence[str]) -> set[str]:
    """Those of `ids` that one of these indices holds, not yet visible ones included. Raises Unavailable."""
    lookups = [(index, id) for index in indices for id in ids]
    found: set[str] = set()
    for start in range(0, len(lookups), _LOOKUPS):
        found |= await _held(connection, lookups[start : start + _LOOKUPS])
    return found


async def _held(connection: Connection, lookups: Sequence[tuple[str, str]]) -> set[str]:
    body = {"docs": [{"_index": index, "_id": id, "_source": False} for index, id in lookups]}
    params = {"filter_path": "docs._id,docs.found,docs.error.type"}
    answer = await connection.ask("POST", "/_mget", params=params, body=body)
    found: set[str] = set()
    for doc in answer.body.get("docs", []):
        error_type = (doc.get("error") or {}).get("type", "")
        if error_type and error_type != "index_not_found_exception":  # dropped meanwhile
            raise unavailable(503, error_type)
        if doc.get("found"):
            found.add(doc["_id"])
    return found
