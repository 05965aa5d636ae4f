"""The store in memory: for tests and trials without a folder; the simplest reading of what api.py asks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from logsync_streams.storage.api import (
    DUPLICATE,
    STORED,
    Bucket,
    Cursor,
    Document,
    Facet,
    FacetsRequest,
    HistogramRequest,
    Hit,
    IndexInfo,
    Outcome,
    Page,
    Portion,
    Query,
    SearchRequest,
    Stored,
)
from logsync_streams.storage.counting import (
    bucket_start,
    check_facets,
    check_histogram,
    counted,
    filled,
    ranked,
)
from logsync_streams.storage.documents import (
    alias_missing,
    event_alias,
    hit,
    read_body,
    stored,
    unreadable,
    write_blocked,
)
from logsync_streams.storage.evaluate import compiled
from logsync_streams.storage.naming import IndexName
from logsync_streams.storage.portions import counted_portions


@dataclass
class _Index:
    name: IndexName
    documents: dict[str, bytes] = field(default_factory=dict)
    write_blocked: bool = False


@dataclass(frozen=True, order=True)
class _Entry:
    place: Cursor
    index: str = field(compare=False)
    document: dict[str, Any] = field(compare=False)


class MemoryStore:
    """EventWriter, EventReader and IndexAdmin in one. What it holds is gone with the object."""

    def __init__(self) -> None:
        self._indices: dict[str, _Index] = {}
        self._entries: list[_Entry] = []

    # ------------------------------------------------------------------------------------------------- EventWriter

    async def write(self, documents: Sequence[Document]) -> list[Outcome]:
        return [self._write(document) for document in documents]

    def _write(self, document: Document) -> Outcome:
        generations = self._generations(document.target)
        if not generations:
            return alias_missing(document.target)
        if any(document.id in index.documents for index in generations):
            return DUPLICATE
        newest = generations[-1]
        if newest.write_blocked:
            return write_blocked(str(newest.name))
        try:
            parsed, timestamp = read_body(document.body)
        except ValueError as error:
            return unreadable(error)
        newest.documents[document.id] = document.body
        insort(self._entries, _Entry(Cursor(timestamp, document.id), str(newest.name), parsed))
        return STORED

    # ------------------------------------------------------------------------------------------------- EventReader

    async def search(self, request: SearchRequest) -> Page:
        found = self._matching(request.query, request.start, request.end)
        total = len(found)
        places = [entry.place for entry in found]
        if request.order == "asc":
            found = found[0 if request.after is None else bisect_right(places, request.after) :]
        else:
            found = found[: len(found) if request.after is None else bisect_left(places, request.after)][::-1]
        page = found[: request.limit]
        return Page(
            hits=[hit(entry.index, entry.place, entry.document) for entry in page],
            total=total,
            relation="eq",
            cursor=page[-1].place if page and len(found) > len(page) else None,
        )

    async def get(self, id: str) -> Hit | None:
        for entry in self._entries:
            if entry.place.id == id:
                return hit(entry.index, entry.place, entry.document)
        return None

    async def histogram(self, request: HistogramRequest) -> list[Bucket]:
        check_histogram(request)
        counts: dict[int, list[int]] = {}
        parts = [compiled(query) for query in request.split]
        for entry in self._matching(request.query, request.start, request.end):
            row = counts.setdefault(bucket_start(entry.place.timestamp, request.interval_ms), [0] * (1 + len(parts)))
            row[0] += 1
            for position, part in enumerate(parts, start=1):
                row[position] += part(entry.document)
        return filled(request, counts)

    async def facets(self, request: FacetsRequest) -> list[Facet]:
        check_facets(request)
        found = [entry.document for entry in self._matching(request.query, request.start, request.end)]
        return [ranked(field, counted(field, found), request.limit) for field in request.fields]

    async def existing(self, indices: Collection[str], ids: Collection[str]) -> set[str]:
        held = [index for name in indices for index in self._generations(name)]
        return {id for id in ids if any(id in index.documents for index in held)}

    async def ready(self) -> None:
        return None

    # -------------------------------------------------------------------------------------------------- IndexAdmin

    async def prepare(self) -> None:
        return None

    async def create(self, target: str) -> None:
        if not self._generations(target):
            self._add(target, 1)

    async def next_generation(self, target: str) -> None:
        generations = self._generations(target)
        self._add(target, generations[-1].name.generation + 1 if generations else 1)

    async def indices(self) -> list[IndexInfo]:
        return [
            IndexInfo(index.name, len(index.documents), sum(map(len, index.documents.values())), index.write_blocked)
            for _, index in sorted(self._indices.items())
        ]

    async def portions(self, index: str) -> list[Portion]:
        held = self._indices[index].documents if index in self._indices else {}
        return counted_portions(read_body(body)[0] for body in held.values())

    async def scan(self, index: str, after: str = "", limit: int = 500) -> list[Stored]:
        held = self._indices[index].documents if index in self._indices else {}
        return [stored(id, held[id]) for id in sorted(held) if id > after][:limit]

    async def block_writes(self, index: str) -> None:
        if index in self._indices:
            self._indices[index].write_blocked = True

    async def erase(self, index: str, ids: Collection[str]) -> None:
        if index in self._indices:
            held, gone = self._indices[index].documents, set(ids)
            self._indices[index].documents = {id: body for id, body in held.items() if id not in gone}
            self._entries = [one for one in self._entries if one.index != index or one.place.id not in gone]

    async def drop(self, index: str) -> None:
        if self._indices.pop(index, None) is not None:
            self._entries = [entry for entry in self._entries if entry.index != index]

    async def refresh(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def _matching(self, query: Query, start: int | None, end: int | None) -> list[_Entry]:
        """What the query finds with start <= @timestamp < end, in order."""
        matching = compiled(query)
        return [
            entry
            for entry in self._entries
            if (start is None or entry.place.timestamp >= start)
            and (end is None or entry.place.timestamp < end)
            and matching(entry.document)
        ]

    def _generations(self, name: str) -> list[_Index]:
        """The indices behind an alias, oldest first; of an index itself, that one."""
        if name in self._indices:
            return [self._indices[name]]
        return sorted((i for i in self._indices.values() if i.name.alias == name), key=lambda i: i.name.generation)

    def _add(self, target: str, generation: int) -> None:
        name = replace(event_alias(target), generation=generation)
        self._indices[str(name)] = _Index(name)
