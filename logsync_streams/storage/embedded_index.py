"""One folder of the embedded store: a target's index, as it is read."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import orjson
import tantivy

from logsync_streams.storage import values
from logsync_streams.storage.api import (
    Cursor,
    FacetsRequest,
    HistogramRequest,
    Portion,
    PortionsUnknown,
    SearchRequest,
    Stored,
)
from logsync_streams.storage.counting import facet_type
from logsync_streams.storage.documents import stored
from logsync_streams.storage.embedded_query import Translator, all_of
from logsync_streams.storage.embedded_schema import (
    BODY,
    ID_COLUMNS,
    KEYWORDS,
    PLACE,
    REQUIRED,
    TIME,
    join_id,
    keyword_term,
    new_schema,
    register_tokenizer,
)
from logsync_streams.storage.mapping import FieldType
from logsync_streams.storage.naming import IndexName
from logsync_streams.storage.portions import FIELDS as PORTION_FIELDS
from logsync_streams.storage.portions import ordered

_META = "meta.json"
# Beside Tantivy's files, which leave others alone.
_BLOCKED = "write_blocked"
# Different values of one field that are taken out of one index.
_MOST_VALUES = 20_000


class Found(NamedTuple):
    """A place in the order, and where the document there is to be had."""

    place: Cursor
    body: bytes


class Counted(NamedTuple):
    """How many documents have each value of a field. complete: whether these are all values."""

    counts: dict[str, int]
    complete: bool


class IndexFolder:
    """An index on disk. Its methods may be called from several threads at once; they wait for the disk.

    Raises OSError or ValueError when the folder holds no index that can be read.
    """

    def __init__(self, path: Path, name: IndexName) -> None:
        self.path, self.name = path, name
        meta = orjson.loads((path / _META).read_bytes())
        self.known = frozenset(field["name"] for field in meta["schema"])
        if not self.known >= REQUIRED:
            raise ValueError("it was made by another version")
        self.tantivy = tantivy.Index.open(str(path))
        register_tokenizer(self.tantivy)
        self.tantivy.config_reader("manual")
        self._stamp = self._meta_stamp()
        self.tantivy.reload()

    @staticmethod
    def make(path: Path) -> None:
        """An empty index in the empty folder `path`, durable."""
        tantivy.Index(new_schema(), path=str(path))
        fsync_folder(path)

    def searcher(self) -> tantivy.Searcher:
        """All that was committed up to now, by whichever process."""
        stamp = self._meta_stamp()
        if stamp != self._stamp:
            self.tantivy.reload()
            self._stamp = stamp
        return self.tantivy.searcher()

    def count(self) -> int:
        """How many documents there are."""
        number: int = self.searcher().num_docs
        return number

    def size_bytes(self) -> int:
        """What the folder's files take."""
        total = 0
        for entry in os.scandir(self.path):
            try:
                total += entry.stat().st_size
            except FileNotFoundError:  # a merge has just removed it
                continue
        return total

    @property
    def write_blocked(self) -> bool:
        return (self.path / _BLOCKED).exists()

    def block_writes(self) -> None:
        """Marks the folder, durably: no more writes."""
        (self.path / _BLOCKED).touch()
        fsync_folder(self.path)

    def search(self, request: SearchRequest, limit: int) -> tuple[int, list[Found]]:
        """How many documents match, and the first `limit` from the request's cursor on, in order."""
        searcher = self.searcher()
        translator = Translator(self.tantivy.schema, self.known, searcher)
        upwards = request.order == "asc"
        matching = all_of([translator.translate(request.query), translator.between(request.start, request.end)])
        total: int = searcher.search(matching, 1).count  # type: ignore[attr-defined] # left out of tantivy.pyi
        if not total:
            return 0, []
        if request.after is not None:
            matching = all_of([matching, translator.beyond(request.after, upwards=upwards)])
        addresses = _first(searcher, translator, matching, limit, upwards, PLACE)
        places = _places(searcher, addresses)
        ordered = sorted(zip(places, addresses, strict=True), key=lambda pair: pair[0], reverse=not upwards)
        return total, [Found(place, searcher.doc(address)[BODY][0]) for place, address in ordered]

    def histogram(self, request: HistogramRequest) -> dict[int, list[int]]:
        """By the start of each interval that is not empty: all documents, and those of each split query."""
        searcher = self.searcher()
        translator = Translator(self.tantivy.schema, self.known, searcher)
        matching = all_of([translator.translate(request.query), translator.between(request.start, request.end)])
        rows: dict[int, list[int]] = {}
        parts = [matching, *(all_of([matching, translator.translate(query)]) for query in request.split)]
        by_time = {"histogram": {"field": TIME, "interval": request.interval_ms, "min_doc_count": 1}}
        for position, part in enumerate(parts):
            for bucket in searcher.aggregate(part, {"times": by_time})["times"]["buckets"]:
                rows.setdefault(int(bucket["key"]), [0] * len(parts))[position] = bucket["doc_count"]
        return rows

    def facets(self, request: FacetsRequest) -> list[Counted]:
        """The values of each of the request's fields in what its query finds."""
        searcher = self.searcher()
        translator = Translator(self.tantivy.schema, self.known, searcher)
        matching = all_of([translator.translate(request.query), translator.between(request.start, request.end)])
        return [self._counted(searcher, matching, field) for field in request.fields]

    def _counted(self, searcher: tantivy.Searcher, matching: tantivy.Query, field: str) -> Counted:
        if facet_type(field) is FieldType.KEYWORD:
            start = keyword_term(field, "")
            terms = searcher.terms_with_prefix(KEYWORDS, start, filter_query=matching, limit=_MOST_VALUES)
            counts = {term[len(start) :]: count for term, count in terms if count}
            return Counted(counts, complete=len(terms) < _MOST_VALUES)
        if field not in self.known:
            return Counted({}, complete=True)
        found = searcher.aggregate(matching, {"values": {"terms": {"field": field, "size": _MOST_VALUES}}})["values"]
        counts = {_value_text(bucket["key"]): bucket["doc_count"] for bucket in found["buckets"]}
        return Counted(counts, complete=not found["sum_other_doc_count"])

    def get(self, id: str) -> Found | None:
        """The document with this id."""
        searcher = self.searcher()
        hits = searcher.search(Translator(self.tantivy.schema, self.known, searcher).ids([id]), 1).hits
        if not hits:
            return None
        address = hits[0][1]
        return Found(_places(searcher, [address])[0], searcher.doc(address)[BODY][0])

    def existing(self, ids: Collection[str]) -> set[str]:
        """Those of `ids` that are stored here."""
        if not ids:
            return set()
        searcher = self.searcher()
        query = Translator(self.tantivy.schema, self.known, searcher).ids(ids)
        addresses = [address for _, address in searcher.search(query, len(ids)).hits]
        return {place.id for place in _places(searcher, addresses)}

    def scan(self, after: str, limit: int) -> list[Stored]:
        """The first `limit` documents with an id above `after`, by id."""
        return [stored(id, body) for id, body in self.bodies(after, limit)]

    def bodies(self, after: str, limit: int) -> list[tuple[str, bytes]]:
        """The same, (id, body) with the bodies as they were written."""
        searcher = self.searcher()
        translator = Translator(self.tantivy.schema, self.known, searcher)
        addresses = _first(searcher, translator, translator.beyond_id(after), limit, True, ID_COLUMNS)
        places = _places(searcher, addresses)
        return sorted((place.id, searcher.doc(at)[BODY][0]) for place, at in zip(places, addresses, strict=True))

    def portions(self) -> list[Portion]:
        """What the index is made of. Raises PortionsUnknown."""
        searcher = self.searcher()
        translator = Translator(self.tantivy.schema, self.known, searcher)
        counts: dict[tuple[str, str, str], int] = {}

        def split(matching: tantivy.Query, values_before: tuple[str, ...], fields: tuple[str, ...]) -> None:
            number: int = searcher.search(matching, 1).count  # type: ignore[attr-defined] # left out of tantivy.pyi
            if not number:
                return
            if not fields:
                counts[values_before] = number  # type: ignore[index]  # as many values as fields: three
                return
            field, *others = fields
            start = keyword_term(field, "")
            without = translator.without(start)
            split(all_of([matching, without]), (*values_before, ""), tuple(others))
            terms = searcher.terms_with_prefix(KEYWORDS, start, filter_query=matching, limit=_MOST_VALUES + 1)
            if len(terms) > _MOST_VALUES:
                raise PortionsUnknown(
                    f"{self.name}: more than {_MOST_VALUES} different {field}, which the embedded store cannot tell: "
                    "its day is kept"
                )
            for term, count in terms:
                if count:
                    split(
                        all_of([matching, translator.keyword(term)]),
                        (*values_before, term[len(start) :]),
                        tuple(others),
                    )

        split(tantivy.Query.all_query(), (), PORTION_FIELDS)
        return ordered(counts)

    def _meta_stamp(self) -> tuple[int, int, int]:
        status = (self.path / _META).stat()
        return status.st_mtime_ns, status.st_ino, status.st_size


def _first(
    searcher: tantivy.Searcher,
    translator: Translator,
    query: tantivy.Query,
    limit: int,
    upwards: bool,
    columns: tuple[str, ...],
) -> list[tantivy.DocAddress]:
    """The first `limit` documents in the order of the columns, as a set.

    Tantivy sorts by one column and takes any of those that are equal: so all before the last value are certain, and
    among those with the last value the next column decides. At most a search a column, however many are equal.
    """
    column, *others = columns
    order = tantivy.Order.Asc if upwards else tantivy.Order.Desc
    hits = searcher.search(query, limit, count=False, order_by_field=column, order=order).hits
    if len(hits) < limit or not others:
        return [address for _, address in hits]
    last = hits[-1][0]
    certain = [address for value, address in hits if value != last]
    undecided = all_of([query, translator.column(column, last)])
    return certain + _first(searcher, translator, undecided, limit - len(certain), upwards, tuple(others))


def _places(searcher: tantivy.Searcher, addresses: list[tantivy.DocAddress]) -> list[Cursor]:
    if not addresses:
        return []
    columns = [searcher.fast_field_values(name, addresses) for name in PLACE]
    return [Cursor(time, join_id(high, low, index)) for time, high, low, index in zip(*columns, strict=True)]


def _value_text(key: int | float | str) -> str:
    """A number or an address as a query names it."""
    if isinstance(key, str):
        known = values.address(key)
        return key if known is None else values.address_text(known)
    return str(int(key))


def fsync_folder(path: Path) -> None:
    """Makes the folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
