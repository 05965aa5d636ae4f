"""What a store must do: the query AST, and the protocols with their obligations in prose.

Every implementation (`elasticsearch`, `embedded`, `memory`) passes the one suite in tests/contract.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol

from logsync_streams.errors import DEAD_LETTER_CATEGORIES, LogSyncError
from logsync_streams.storage.naming import IndexName

# ---------------------------------------------------------------------------------------------------- the query AST
# Frozen and comparable: parse(print(query)) == query. What each node means is the same in every store
# (docs/architecture.md, "What a search means"): `storage/evaluate.py` is the definition in code.


@dataclass(frozen=True, slots=True)
class All:
    """Every log."""


@dataclass(frozen=True, slots=True)
class Text:
    """The words of `text` adjacent and in order. field None: in the message or any error.* text; else a text field."""

    text: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Prefix:
    """A word (field None or a text field) or a keyword value that starts with `text`. Words are lower-cased."""

    text: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Equals:
    """A keyword, number, boolean, address or label that is exactly `value`, given as text and read by field type."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Range:
    """A date, number, address or keyword between bounds given as text; None is open. Not for text or labels."""

    field: str
    lower: str | None = None
    upper: str | None = None
    include_lower: bool = True
    include_upper: bool = True


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is present in the stored document with a value other than null and the empty list."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    query: Query


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more."""

    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more."""

    queries: tuple[Query, ...]


Query = All | Text | Prefix | Equals | Range | Exists | Not | And | Or


# ------------------------------------------------------------------------------------------------------- writing


class Document(NamedTuple):
    """A log to store. target: the write alias. id: `event.id`. body: one JSON object on one line, UTF-8."""

    target: str
    id: str
    body: bytes


class Reaction(Enum):
    """What the store's answer for one document asks of the writer's caller (DESIGN §4)."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # this id was there already: as good as stored
    RETRY = "retry"  # for ever, with full jitter, only this document
    SPLIT = "split"  # the request was too large: again in smaller ones; alone too large = dead letter
    HOLD = "hold"  # alarm, retry slowly; nothing is acknowledged
    DEAD_LETTER = "dead_letter"  # the document is at fault, by allow-list only
    ERASED = "erased"  # was erased for ever: no store is asked to write it


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer for one document. reason: a bounded label (an error type); detail: for people, may be long.

    category: one of DEAD_LETTER_CATEGORIES when the reaction is DEAD_LETTER, else "". field: the one field to which the
    store objects, by its stored name, when it says so: without it the document might be stored.
    """

    reaction: Reaction
    reason: str = ""
    detail: str = ""
    category: str = ""
    field: str = ""

    def __post_init__(self) -> None:
        if (self.reaction is Reaction.DEAD_LETTER) != (self.category in DEAD_LETTER_CATEGORIES):
            raise ValueError(f"a category belongs to a dead letter, and only there: {self}")


STORED = Outcome(Reaction.STORED)
DUPLICATE = Outcome(Reaction.DUPLICATE)


class EventWriter(Protocol):
    async def write(self, documents: Sequence[Document]) -> list[Outcome]:
        """One bulk request; the answers in the order of the documents, one for each.

        STORED and DUPLICATE only when the document is durable: it survives a kill of this process and, where the
        store has replicas, of a node. A second write of an id to the same target is a DUPLICATE and changes nothing,
        also within one call, whoever wrote the first. A document for a target that does not exist is not written
        (HOLD "alias_missing"): a write never creates an index. What befalls the request as a whole (connection,
        time-out, status) is the outcome of each of its documents. Raises nothing but CancelledError; a call may then
        have stored some of the documents.
        """
        ...

    async def close(self) -> None: ...


# ------------------------------------------------------------------------------------------------------- reading


class Cursor(NamedTuple):
    """The place after a hit in the order (@timestamp, event.id). timestamp: epoch ms."""

    timestamp: int
    id: str


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """query over documents with start <= @timestamp < end (epoch ms, None = open), at most `limit` from the cursor on.

    order: "desc" = newest first. The order is (@timestamp, event.id) in either direction.
    """

    query: Query
    start: int | None = None
    end: int | None = None
    order: Literal["desc", "asc"] = "desc"
    limit: int = 50
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A stored document as it was written, without the fields that only serve the search (`logsync.words`)."""

    index: str
    id: str
    timestamp: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """hits in order; total matching documents (relation "gte": at least); cursor of the next page, None at the end."""

    hits: list[Hit]
    total: int
    relation: Literal["eq", "gte"]
    cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class HistogramRequest:
    """How many documents fall into each interval of start <= @timestamp < end (epoch ms).

    Intervals begin at multiples of interval_ms since 1970. split: queries that are counted within each as well.
    """

    query: Query
    start: int
    end: int
    interval_ms: int
    split: tuple[Query, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    """One interval from `start` (epoch ms) on. split: the counts of the request's split queries, in their order."""

    start: int
    count: int
    split: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FacetsRequest:
    """The commonest values of each of `fields` in what the query finds with start <= @timestamp < end (None = open)."""

    query: Query
    fields: tuple[str, ...]
    start: int | None = None
    end: int | None = None
    limit: int = 10


class ValueCount(NamedTuple):
    """A value as a query may name it, and how many documents have it."""

    value: str
    documents: int


@dataclass(frozen=True, slots=True)
class Facet:
    """values: the commonest first, equally common ones in their own order. more: whether there are further ones.

    exact: False when a store with several shards or very many values may have missed some of a count.
    """

    field: str
    values: tuple[ValueCount, ...]
    more: bool
    exact: bool = True


class EventReader(Protocol):
    async def search(self, request: SearchRequest) -> Page:
        """One page. Paging on with the cursor gives every document that was there at the first page exactly once,
        in order, past any number of hits and with any number of equal timestamps, while others are being added.

        Raises InvalidQuery for a field that cannot be searched so, Unavailable when the store cannot answer now.
        """
        ...

    async def get(self, id: str) -> Hit | None:
        """The document with this id, None when there is none. Raises Unavailable."""
        ...

    async def histogram(self, request: HistogramRequest) -> list[Bucket]:
        """Every interval of the range in order, the empty ones too.

        Raises InvalidQuery as `search` does and for an empty range or too many intervals; Unavailable.
        """
        ...

    async def facets(self, request: FacetsRequest) -> list[Facet]:
        """One for each of the fields, in their order. A document counts once for each different value it has.

        Raises InvalidQuery as `search` does and for a field whose values cannot be counted; Unavailable.
        """
        ...

    async def existing(self, indices: Collection[str], ids: Collection[str]) -> set[str]:
        """Those of `ids` that are stored in one of these indices or aliases (missing ones count as empty), as of now:
        also what is durable but not yet visible to a search. Raises Unavailable.
        """
        ...

    async def ready(self) -> None:
        """Return when the store answers. Raises Unavailable."""
        ...

    async def close(self) -> None: ...


# -------------------------------------------------------------------------------------------------- administration


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One index of ours. documents and bytes as the store counts them (refreshed state)."""

    name: IndexName
    documents: int
    size_bytes: int
    write_blocked: bool


class Stored(NamedTuple):
    """A stored document as one JSON object on one line, without the fields that only serve the search: they are made
    from the others, and a store need not keep them.
    """

    id: str
    body: bytes


class Portion(NamedTuple):
    """How many documents of an index have these three values; "" for none, or for one too long to be indexed."""

    service: str
    level: str
    environment: str
    documents: int


class PortionsUnknown(LogSyncError):
    """Hold the index back: not all is known of what it is made of, so neither where its logs go, nor when."""


class IndexAdmin(Protocol):
    """Makes, looks at and removes indices; nothing else in the product does. All calls can be repeated.

    Each raises Unavailable when the store cannot answer, ConfigurationError when it refuses us for good.
    """

    async def prepare(self) -> None:
        """Install what indices are made from (templates). Called at every start; changes what differs."""
        ...

    async def create(self, target: str) -> None:
        """Generation 1 of a write alias, with the alias on it, unless the alias exists. Safe from two processes."""
        ...

    async def next_generation(self, target: str) -> None:
        """One more index behind the alias, which takes the writes from now on."""
        ...

    async def indices(self) -> list[IndexInfo]:
        """All indices of ours, by name."""
        ...

    async def portions(self, index: str) -> list[Portion]:
        """What an index is made of, in order of the values; the sum is its documents (refreshed state). Raises
        PortionsUnknown when there are more values than the store can tell.
        """
        ...

    async def scan(self, index: str, after: str = "", limit: int = 500) -> list[Stored]:
        """The first `limit` documents of one index with an id above `after`, by id; for an index that is blocked.

        Each page is asked for alone, so that a scan of any size needs the memory of one page.
        """
        ...

    async def block_writes(self, index: str) -> None:
        """No more writes to this index; reads go on."""
        ...

    async def erase(self, index: str, ids: Collection[str]) -> None:
        """Remove these documents for ever from one index, of which some are there; visible when it returns.

        From an index that takes no more writes as well: it takes none meanwhile, nor afterwards.
        """
        ...

    async def drop(self, index: str) -> None:
        """Remove the index and its documents for ever; its alias goes with its last index."""
        ...

    async def refresh(self) -> None:
        """Make every acknowledged write visible to searches; for tests and the archiver."""
        ...

    async def close(self) -> None: ...
