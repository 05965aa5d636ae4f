"""The body of a request from Fluentd's or Fluent Bit's `out_http` -> events in the format `fluentd`.

JSON in any of the forms that `/api/logs` takes (their settings json, json_stream, json_lines, json_array, gelf), or
msgpack: records, or arrays of time and record, one after the other or in an array. Told apart by looking: Fluent Bit
before 1.9 says application/json of lines, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from logsync_streams.collector.framed import Framed, all_refused, too_many
from logsync_streams.collector.framing import frame
from logsync_streams.collector.packed import PackedReader, Unread
from logsync_streams.collector.records import (
    FORMAT,
    RECORD_SHARE,
    UNPACK_ERRORS,
    BadRecord,
    as_event,
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
        _wrap(framed, found.events, lambda record: from_json(tag, None, record, max_event_bytes))
    if framed.refused and not framed.events:
        raise all_refused(framed, max_event_bytes)
    return framed


def _looks_like_msgpack(body: bytes) -> bool:
    """Begins with a map or an array, which no text does: these bytes are no UTF-8."""
    first = body[:1]
    return bool(first) and (0x80 <= first[0] <= 0x9F or 0xDC <= first[0] <= 0xDF)


def _msgpack(body: bytes, tag: bytes, max_event_bytes: int, max_events: int, join: dict[str, Any] | None) -> Framed:
    framed = Framed(FORMAT)
    found: list[tuple[int | None, Any]] = []
    for number, item in enumerate(_items(body, RECORD_SHARE * max_event_bytes), start=1):
        if number > max_events:
            raise too_many(max_events)
        try:
            found.append(_time_and_record(item))
        except BadRecord as error:
            framed.refuse(number, 0, str(error))
    if not found and not framed.refused:
        raise RejectInput(400, "Empty body", "records as JSON or msgpack are expected")
    if join is not None:
        found = join_records(found, **join)
    _wrap(framed, found, lambda item: as_event(tag, item[0], item[1], max_event_bytes))
    return framed


def _wrap(framed: Framed, items: list[Any], make: Callable[[Any], bytes]) -> None:
    for number, item in enumerate(items, start=1):
        try:
            framed.events.append(make(item))
        except BadRecord as error:
            framed.refuse(number, 0, str(error))


def _items(body: bytes, longest: int) -> Iterator[Any]:
    """Each record, also of an array of records; `[time, record]` is one item. Unread: what could not be read."""
    reader = PackedReader(body)
    for item in reader.values(longest):
        if isinstance(item, Unread) and body[item.begin] >= 0x90 and item.end - item.begin > longest:
            yield from _elements(body[item.begin : item.end], longest)
        elif type(item) is list and item and all(type(inner) in (dict, list) for inner in item) and not _is_pair(item):
            yield from item
        else:
            yield item


def _elements(packed: bytes, longest: int) -> Iterator[Any]:
    """The records of an array that is too long to be one."""
    reader = PackedReader(packed)
    if not reader.next_is_array:
        yield Unread(0, len(packed), f"more than {longest} bytes of msgpack")
        return
    try:
        for _ in range(reader.array_size()):
            yield reader.value(longest)
    except UNPACK_ERRORS as error:
        yield Unread(reader.position, len(packed), f"not msgpack: {error or type(error).__name__}")


def _is_pair(item: list[Any]) -> bool:
    # [[time, metadata], record]: the time is no map and no list.
    first = item[0]
    return len(item) == 2 and type(first) is list and bool(first) and type(first[0]) not in (dict, list)


def _time_and_record(item: Any) -> tuple[int | None, Any]:
    if isinstance(item, Unread):
        raise BadRecord(item.reason)
    if type(item) is list and len(item) == 2:
        return nanoseconds(item[0]), item[1]
    return None, item
