"""Writing to Elasticsearch: bulk requests of the documents' bytes as they are, and an outcome for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
from elastic_transport import ConnectionTimeout, TransportError

from logsync_streams.errors import ConfigurationError
from logsync_streams.storage import values
from logsync_streams.storage.api import DUPLICATE, Document, Outcome, Reaction
from logsync_streams.storage.elasticsearch_client import Abilities, Connection
from logsync_streams.storage.elasticsearch_errors import (
    StoreUnavailable,
    classify_failure,
    classify_item,
    classify_request,
)
from logsync_streams.storage.elasticsearch_generations import Generations
from logsync_streams.storage.elasticsearch_query import label_pair
from logsync_streams.storage.elasticsearch_templates import LABEL_PAIRS, PRESENT
from logsync_streams.storage.mapping import FIELDS, IGNORE_ABOVE, LABELS, FieldType

_MAX_ID_BYTES = 512  # Elasticsearch refuses the whole request for a longer one
_SURELY_FITS = _MAX_ID_BYTES // 4  # characters, whichever they are
_FILTER = "items.create.status,items.create._index,items.create.error"


class ElasticsearchWriter:
    """An EventWriter. Closing it closes the connection that it shares.

    A write is several requests, and ends within the time of one: an erasure waits no longer for those under way.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._generations = Generations(connection)

    async def write(self, documents: Sequence[Document]) -> list[Outcome]:
        try:
            async with asyncio.timeout(self._connection.store.request_timeout_seconds):
                return await self._write(documents)
        except TimeoutError:
            return [classify_failure(ConnectionTimeout("all of the write"))] * len(documents)

    async def close(self) -> None:
        await self._connection.close()

    async def _write(self, documents: Sequence[Document]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {
            place: problem for place, document in enumerate(documents) if (problem := unfit(document)) is not None
        }
        try:
            stored = await self._generations.stored_earlier(
                [document for place, document in enumerate(documents) if place not in outcomes]
                if outcomes
                else documents
            )
            if not outcomes and not stored:  # as nearly always
                return await self._bulk(documents)
            rest = [place for place in range(len(documents)) if place not in outcomes]
            for place in rest:
                if (documents[place].target, documents[place].id) in stored:
                    outcomes[place] = DUPLICATE
            rest = [place for place in rest if place not in outcomes]
            if rest:
                answers = await self._bulk([documents[place] for place in rest])
                outcomes.update(zip(rest, answers, strict=True))
        except TransportError as error:
            return _filled(documents, outcomes, classify_failure(error))
        except ConfigurationError as error:
            return _filled(documents, outcomes, Outcome(Reaction.HOLD, "configuration", str(error)))
        except StoreUnavailable as error:
            return _filled(documents, outcomes, error.outcome)
        return [outcomes[place] for place in range(len(documents))]

    async def _bulk(self, documents: Sequence[Document]) -> list[Outcome]:
        body = bulk_body(documents, await self._connection.abilities())
        answer = await self._connection.request("POST", "/_bulk", params={"filter_path": _FILTER}, body=body)
        if answer.status >= 300:
            refused = classify_request(answer.status, answer.body)
            return [refused] * len(documents)
        items = answer.body.get("items", [])
        if len(items) != len(documents):
            odd = Outcome(Reaction.RETRY, "bad_answer", f"{len(items)} answers for {len(documents)} documents")
            return [odd] * len(documents)
        outcomes, indices = _read(items)
        return await self._generations.settled(documents, indices, outcomes)


def _read(items: list[dict[str, Any]]) -> tuple[list[Outcome], list[str]]:
    """Of each item its outcome and the index it was for."""
    outcomes: list[Outcome] = []
    indices: list[str] = []
    seen: dict[int, tuple[Outcome, str]] = {}  # equal items are mostly one object (elasticsearch_client._same_items)
    for item in items:
        known = seen.get(id(item))
        if known is None:
            created = item["create"]
            known = seen[id(item)] = (classify_item(created), created.get("_index", ""))
        outcomes.append(known[0])
        indices.append(known[1])
    return outcomes, indices


def bulk_body(documents: Sequence[Document], abilities: Abilities) -> bytes:
    """The request: an action line and the document's own bytes for each, with what only the search needs added."""
    lines: list[bytes] = []
    actions: dict[str, bytes] = {}
    for document in documents:
        action = actions.get(document.target)
        if action is None:
            action = b'{"create":{"_index":%s,"require_alias":true,"_id":' % orjson.dumps(document.target)
            actions[document.target] = action
        body = document.body
        if b"\n" in body:  # between JSON's tokens only: within texts it is escaped
            body = body.replace(b"\n", b" ")
        if _needs_search_fields(body, abilities):
            body = with_search_fields(body, abilities)
        lines += (action, orjson.dumps(document.id), b"}}\n", body, b"\n")
    return b"".join(lines)


def _needs_search_fields(body: bytes, abilities: Abilities) -> bool:
    """Whether it may. Parsing costs more than sending: where nothing can be too long, the bytes are not looked into."""
    if not abilities.flattened and b'"labels"' in body:
        return True
    if len(body) <= IGNORE_ABOVE:
        return False
    if not abilities.lists_ignored:
        return True
    # Within texts the quotes would be escaped, so the labels begin here or later. `process` writes the long texts, the
    # message and the original, before them.
    begin = body.find(b'"labels":{')
    return len(body) - begin > IGNORE_ABOVE if begin >= 0 else b'"labels"' in body


def with_search_fields(body: bytes, abilities: Abilities) -> bytes:
    """The document with the fields that find what the mapping cannot. Bytes that are no JSON stay as they are: the
    server's refusal is the one that counts.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(parsed, dict):
        return body
    present: set[str] = set()
    pairs: set[str] = set()
    for key, value in values.labels(parsed):
        text = values.keyword(value)
        if text is None:
            present.add(LABELS + key)
        elif not abilities.flattened:
            pairs.add(label_pair(key, text))
    if not abilities.lists_ignored:
        present.update(
            name
            for name, kind in FIELDS.items()
            if kind is FieldType.KEYWORD and None in map(values.keyword, values.leaves(parsed, name))
        )
    added: dict[str, Any] = {}
    if present:
        added[PRESENT] = sorted(present)
    if pairs:
        added[LABEL_PAIRS] = sorted(pairs)
    if not added:
        return body
    # Spliced in, not written anew: the document keeps its own bytes, its numbers' digits too.
    return body.rstrip()[:-1] + b"," + orjson.dumps(added)[1:]


def unfit(document: Document) -> Outcome | None:
    """A dead letter for what would make Elasticsearch refuse the whole request, or lose the log in no order."""
    _, id, body = document
    if body[:1] != b"{" and not body.lstrip().startswith(b"{"):
        return Outcome(Reaction.DEAD_LETTER, "document_unreadable", "a JSON object is expected", "mapping")
    if b'"@timestamp"' not in body:
        return Outcome(Reaction.DEAD_LETTER, "document_unreadable", "the document has no @timestamp", "mapping")
    if not 0 < len(id) <= _SURELY_FITS and not 0 < len(id.encode(errors="surrogatepass")) <= _MAX_ID_BYTES:
        return Outcome(Reaction.DEAD_LETTER, "id_unfit", f"an id has 1 to {_MAX_ID_BYTES} bytes", "undecodable")
    return None


def _filled(documents: Sequence[Document], outcomes: dict[int, Outcome], rest: Outcome) -> list[Outcome]:
    return [outcomes.get(place, rest) for place in range(len(documents))]
