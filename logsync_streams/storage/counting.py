"""What histograms and facets count, and their order: the same in every store.

A facet counts values of keywords, labels, numbers and addresses as `evaluate` compares them; of an over-long keyword or
a value of another type, nothing. Equally common values are in the order of their type: texts by code point, numbers and
addresses by size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from logsync_streams.errors import InvalidQuery
from logsync_streams.events import Fields
from logsync_streams.storage import values
from logsync_streams.storage.api import Bucket, Facet, FacetsRequest, HistogramRequest, ValueCount
from logsync_streams.storage.evaluate import check
from logsync_streams.storage.mapping import LABELS, FieldType, searchable

MAX_BUCKETS = 2000
MAX_FACET_VALUES = 1000
# A store may have to look a label's values up by a pattern made from its name.
MAX_LABEL_LENGTH = 200
_COUNTED = (FieldType.KEYWORD, FieldType.LONG, FieldType.IP)


# ---------------------------------------------------------------------------------------------------------- histograms


def check_histogram(request: HistogramRequest) -> None:
    """Raises InvalidQuery for a query that cannot be searched, an empty range, and more than MAX_BUCKETS intervals."""
    check(request.query)
    for query in request.split:
        check(query)
    if request.start >= request.end or request.interval_ms < 1:
        raise InvalidQuery("a histogram needs a time range that is not empty, and an interval")
    number = len(_starts(request))
    if number > MAX_BUCKETS:
        raise InvalidQuery(
            f"{number} intervals are too many for a histogram: at most {MAX_BUCKETS}", hint="a longer interval"
        )


def bucket_start(timestamp: int, interval_ms: int) -> int:
    """When the interval of a time begins: a multiple of interval_ms, also before 1970."""
    return timestamp // interval_ms * interval_ms


def filled(request: HistogramRequest, counts: Mapping[int, Sequence[int]]) -> list[Bucket]:
    """Every interval of the request. counts: by an interval's start, of all and of each split query; none = zero."""
    nothing = [0] * (1 + len(request.split))
    found = ((start, counts.get(start, nothing)) for start in _starts(request))
    return [Bucket(start, row[0], tuple(row[1:])) for start, row in found]


def _starts(request: HistogramRequest) -> range:
    return range(bucket_start(request.start, request.interval_ms), request.end, request.interval_ms)


# -------------------------------------------------------------------------------------------------------------- facets


def check_facets(request: FacetsRequest) -> None:
    """Raises InvalidQuery for a query or a field that cannot be searched, and for a field that has no facets."""
    check(request.query)
    if not 1 <= request.limit <= MAX_FACET_VALUES:
        raise InvalidQuery(f"from 1 to {MAX_FACET_VALUES} values of a field can be counted")
    for field in request.fields:
        facet_type(field)


def facet_type(field: str) -> FieldType:
    """The type of a field whose values can be counted. Raises InvalidQuery for one whose values cannot."""
    found = searchable(field)
    if found not in _COUNTED or field == "event.id":
        raise InvalidQuery(f"the values of {field} cannot be counted: nearly every log has its own")
    if field.startswith(LABELS) and (len(field) > MAX_LABEL_LENGTH or "\0" in field or not _encodes(field)):
        raise InvalidQuery(f"the values of the label {field[:40]!r}… cannot be counted: its name is too long or broken")
    return found


def counted(field: str, documents: Iterable[Fields]) -> Counter[str]:
    """How many documents have each value of the field."""
    kind = facet_type(field)
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update({text for leaf in values.leaves(document, field) if (text := _text(kind, leaf)) is not None})
    return counts


def ranked(field: str, counts: Mapping[str, int], limit: int, *, more: bool = False, exact: bool = True) -> Facet:
    """The facet of these counts. more: whether there are values beyond them."""
    kind = facet_type(field)
    order = sorted(counts.items(), key=lambda item: (-item[1], _rank(kind, item[0])))
    shown = tuple(ValueCount(value, count) for value, count in order[:limit])
    return Facet(field, shown, more=more or len(order) > limit, exact=exact)


def _text(kind: FieldType, leaf: object) -> str | None:
    if kind is FieldType.KEYWORD:
        return values.keyword(leaf)
    number = values.long(leaf) if kind is FieldType.LONG else values.address(leaf)
    if number is None:
        return None
    return str(number) if kind is FieldType.LONG else values.address_text(number)


def _rank(kind: FieldType, value: str) -> int | str:
    if kind is FieldType.KEYWORD:
        return value
    return int(value) if kind is FieldType.LONG else values.query_addresses("", value).first


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
