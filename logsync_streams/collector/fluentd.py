"""The body of a request from Fluentd's or Fluent Bit's `out_http` -> events in the format `fluentd`.

JSON in any of the forms that `/api/logs` takes (their settings json, json_stream, json_lines, json_array, gelf), or
msgpack: records, or arrays of time and record, one after the other or in an array. Told apart by looking: Fluent Bit
before 1.9 says application/json of lines, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from logsync_streams.collector.framed import Framed, all_refused, too_many
from logsync_streams.collector.framing import frame
from logsync_streams.collector.packed import PackedReader, Unread
from logsync_streams.collector.records import (
    FORMAT,
    RECORD_SHARE,
    BadRecord,
    as_event,
    batches,
    from_json,
    join_records,
    nanoseconds,
)
from logsync_streams.errors import RejectInput

# Room for the tag and the time around a record, within the bound of an event.
_ENVELOPE_BYTES = 32


def frame_fluentd(
    body: bytes,
    content_type: str,
    tag: bytes,
    *,
    max_event_bytes: int,
    max_events: int,
    join: dict[str, Any] | None = None,
) -> Framed:
    """The events of a body; tag: b"" when the request gives none. join: arguments of `join_records`.

    Raises RejectInput as `frame` does.
    """
    if "msgpack" in content_type or _looks_like_msgpack(body):
        framed = _msgpack(body, tag, max_event_bytes, max_events, join)
    else:
        room = max_event_bytes - len(tag) * 6 - _ENVELOPE_BYTES
        if content_type == "text/plain":
            content_type = ""
        found = frame(body, content_type, max_event_bytes=room, max_events=max_events)
        if found.format != "json":
            raise RejectInput(400, "Malformed body", "records as JSON or msgpack are expected, not a form")
        framed = Framed(FORMAT, refused=found.refused, refused_count=found.refused_count)
        for number, record in enumerate(found.events, start=1):
            try:
                framed.events.append(from_json(tag, None, record, max_event_bytes))
            except BadRecord as error:
                framed.refuse(number, 0, str(error))
    if framed.refused and not framed.events:
        raise all_refused(framed, max_event_bytes)
    return framed


def _looks_like_msgpack(body: bytes) -> bool:
    """Begins with a map or an array, which no text does: these bytes are no UTF-8."""
    first = body[:1]
    return bool(first) and (0x80 <= first[0] <= 0x9F or 0xDC <= first[0] <= 0xDF)


def _msgpack(body: bytes, tag: bytes, max_event_bytes: int, max_events: int, join: dict[str, Any] | None) -> Framed:
    framed = Framed(FORMAT)
    numbers: dict[int, int] = {}  # of the records of a batch, by their identity

    def records() -> Iterator[tuple[int | None, Any, int]]:
        for number, (item, size) in enumerate(_items(body, RECORD_SHARE * max_event_bytes), start=1):
            if number > max_events:
                raise too_many(max_events)
            try:
                time_ns, record = _time_and_record(item)
            except BadRecord as error:
                framed.refuse(number, 0, str(error))
                continue
            numbers[id(record)] = number
            yield time_ns, record, size

    number = 0
    for batch in batches(records()):
        for time_ns, record in batch if join is None else join_records(batch, **join):
            number = numbers.get(id(record), number + 1)  # one of several that were joined is new
            try:
                framed.events.append(as_event(tag, time_ns, record, max_event_bytes))
            except BadRecord as error:
                framed.refuse(number, 0, str(error))
        numbers.clear()
    if not framed.count:
        raise RejectInput(400, "Empty body", "records as JSON or msgpack are expected")
    return framed


def _items(body: bytes, longest: int) -> Iterator[tuple[Any, int]]:
    """Each record and its size, also of an array of records; `[time, record]` is one item. Unread: what cannot be."""
    for item, begin, end in PackedReader(body).values(longest):
        if isinstance(item, Unread):
            inner = PackedReader(body[begin:end])
            if end - begin > longest and inner.next_is_array:
                inner.array_size()
                if inner.next_is_map or inner.next_is_array:  # else it is a time, and its record is too long
                    for element, first, last in inner.values(longest):
                        yield element, last - first
                    continue
        elif type(item) is list and item and all(type(one) in (dict, list) for one in item) and not _is_pair(item):
            for element in item:
                yield element, (end - begin) // len(item)
            continue
        yield item, end - begin


def _is_pair(item: list[Any]) -> bool:
    # [[time, metadata], record]: the time is no map and no list.
    first = item[0]
    return len(item) == 2 and type(first) is list and bool(first) and type(first[0]) not in (dict, list)


def _time_and_record(item: Any) -> tuple[int | None, Any]:
    if isinstance(item, Unread):
        raise BadRecord(item.reason)
    time, record = (nanoseconds(item[0]), item[1]) if type(item) is list and len(item) == 2 else (None, item)
    if type(record) is not dict:
        raise BadRecord(f"a record is a map, not {type(record).__name__}")
    return time, record
