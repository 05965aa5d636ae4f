"""The body of a request -> the bytes of its events: JSON objects alone, in an array, a line each, one after the other,
or lines of text.

Only what the sender must hear about at once is looked at here (is it well-formed, is it too large); what an event
means is the parsers' (DESIGN §4). Events go on as they arrived; elements of a short array are written again. Never is
more than a slice of the body read at a time: its size is bounded, but not what it would become.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

from logsync_streams.collector.framed import MOST_SHOWN, Framed, all_refused, malformed, too_long, too_many
from logsync_streams.collector.json_pieces import NoArray, elements, split
from logsync_streams.errors import RejectInput

_BOM = b"\xef\xbb\xbf"
_JSON_SPACE = b" \t\r\n"
_NDJSON_TYPES = frozenset(
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json-l")
)
FORM_TYPE = "application/x-www-form-urlencoded"
_FIRST = re.compile(rb"[ \t\r\n]*+(.)", re.DOTALL)
# What is longer is gone through piece by piece: read as a whole, a megabyte can be thirty of objects.
_READ_WHOLE_BYTES = 1024 * 1024
_SLICE_BYTES = 64 * 1024
_FORM = re.compile(rb"[A-Za-z0-9_.%+-]+=[^\s{}\[\]\"]*")


def frame(
    body: bytes,
    content_type: str,
    *,
    max_event_bytes: int,
    max_events: int,
    join: Callable[[list[bytes]], list[bytes]] | None = None,
) -> Framed:
    """The events of a body. content_type: the media type alone, lower case, "" when the sender gave none.

    JSON and NDJSON are told apart by the media type and by looking (many senders give NDJSON as application/json, and
    curl says application/x-www-form-urlencoded of whatever it sends; a form is one event). text/plain is lines of text,
    unless each line is a JSON object; `join` puts split stack traces together. Raises RejectInput: 400 when nothing of
    it is well-formed, 413 when there are too many events or the only one is too large.
    """
    body = body.removeprefix(_BOM).rstrip(_JSON_SPACE)  # what is before the first event counts for line numbers
    if not body:
        raise RejectInput(400, "Empty body", "a JSON object, an array of them, NDJSON or lines of text are expected")
    bounds = _Bounds(max_event_bytes, max_events)
    if content_type == "text/plain":
        framed = _text(body, bounds, join)
    elif content_type == FORM_TYPE and len(body) <= max_event_bytes and _FORM.fullmatch(body):
        framed = Framed("form", [body])
    elif content_type in _NDJSON_TYPES:
        framed = _lines(body, bounds)
    else:
        framed = _json(body, bounds)
    if framed.count > max_events:
        raise too_many(max_events)
    if framed.refused and not framed.events:
        raise all_refused(framed, max_event_bytes)
    return framed


class _Bounds(NamedTuple):
    event_bytes: int
    events: int


def position(error: orjson.JSONDecodeError, data: bytes) -> tuple[int, int, str]:
    """(line, byte in the line, what is wrong), both from 1, of the place where JSON went wrong."""
    try:
        data.decode()
    except UnicodeDecodeError as bad:  # orjson does not say where
        before = data[: bad.start]
        return before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1, "not UTF-8"
    line_start = error.doc.rfind("\n", 0, error.pos) + 1
    return error.lineno, len(error.doc[line_start : error.pos].encode()) + 1, error.msg


def _json(body: bytes, bounds: _Bounds) -> Framed:
    first = _FIRST.match(body)
    sign = first[1] if first is not None else b""
    if sign == b"[":
        return _array(body, bounds)
    try:
        # What is too long for one event is not read as one: that would take many times its size.
        document = orjson.loads(body) if len(body) <= bounds.event_bytes else None
    except orjson.JSONDecodeError as error:
        framed = _several(body, bounds) if sign == b"{" else None
        # Without one good event it is rather one object over several lines with a mistake in it.
        if framed is None or not framed.events:
            raise malformed(*position(error, body)) from error
        return framed
    if type(document) is dict:
        return Framed("json", [body])
    if sign != b"{":
        found = f", not {_kind(document)}" if len(body) <= bounds.event_bytes else ""
        raise malformed(1, 1, f"an object or an array of objects is expected{found}")
    return _several(body, bounds)


def _several(body: bytes, bounds: _Bounds) -> Framed:
    """Objects a line each or, where that leaves something over, one after the other."""
    framed = _lines(body, bounds)
    if not framed.refused:
        return framed
    concatenated = Framed("json")
    for number, (_, piece) in enumerate(split(body, bounds.events), start=1):
        _add_object(concatenated, number, piece, bounds)
    if not framed.events and concatenated.count == 1:
        return concatenated
    return max(framed, concatenated, key=lambda one: (len(one.events), -one.refused_count))


def _array(body: bytes, bounds: _Bounds) -> Framed:
    if len(body) > _READ_WHOLE_BYTES:
        return _long_array(body, bounds)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed(*position(error, body)) from error
    framed = Framed("json")
    for number, element in enumerate(document, start=1):
        if type(element) is not dict:
            framed.refuse(number, 0, f"an object is expected, not {_kind(element)}")
            continue
        try:
            data = orjson.dumps(element)
        except TypeError:  # orjson reads deeper than it writes
            framed.refuse(number, 0, "nested too deeply")
            continue
        if len(data) > bounds.event_bytes:
            framed.refuse(number, 0, too_long(len(data), bounds.event_bytes))
        else:
            framed.events.append(data)
    return framed


def _long_array(body: bytes, bounds: _Bounds) -> Framed:
    framed = Framed("json")
    place = 0
    try:
        for number, (begin, element) in enumerate(elements(body), start=1):
            place = begin
            if number > bounds.events:
                raise too_many(bounds.events)
            if len(element) > bounds.event_bytes:
                framed.refuse(number, 0, too_long(len(element), bounds.event_bytes))
                continue
            document = orjson.loads(element)
            if type(document) is dict:
                framed.events.append(element)
            else:
                framed.refuse(number, 0, f"an object is expected, not {_kind(document)}")
    except orjson.JSONDecodeError as error:
        line, byte, reason = position(error, element)
        raise malformed(*_place(body, place, line, byte), reason) from error
    except NoArray as error:
        raise malformed(
            *_place(body, error.at), "an element of reasonable length, a comma or the array's end is expected"
        ) from error
    return framed


def _place(body: bytes, begin: int, line: int = 1, byte: int = 1) -> tuple[int, int]:
    """(line, byte in it) in the body of a place in a piece that begins at `begin`."""
    before = body.count(b"\n", 0, begin)
    if line == 1:
        byte += begin - (body.rfind(b"\n", 0, begin) + 1)
    return before + line, byte


def _lines(body: bytes, bounds: _Bounds) -> Framed:
    """An object a line. Stops above the bound on events, with more in it than that."""
    framed = Framed("json")
    loads, take = orjson.loads, framed.events.append
    longest = bounds.event_bytes
    for first, lines in _slices(body):
        for number, line in enumerate(lines, start=first):
            if not line or line.isspace():
                continue
            # The way of the good ones is short: this runs for every event.
            try:
                if len(line) <= longest and type(loads(line)) is dict:
                    take(line)
                    continue
            except orjson.JSONDecodeError:
                pass
            _add_object(framed, number, line, bounds)
            if framed.count > bounds.events:
                return framed
        if framed.count > bounds.events:
            return framed
    return framed


def _slices(body: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of the body and the number of the first, some at a time: ten million empty ones must not be a list."""
    start, number = 0, 1
    while start < len(body):
        end = len(body)
        if end - start > _SLICE_BYTES:
            end = body.rfind(b"\n", start, start + _SLICE_BYTES)
            if end < 0:
                end = body.find(b"\n", start + _SLICE_BYTES)
            if end < 0:
                end = len(body)
        lines = body[start:end].split(b"\n")
        yield number, lines
        start, number = end + 1, number + len(lines)


def _add_object(framed: Framed, number: int, data: bytes, bounds: _Bounds) -> None:
    if len(data) > bounds.event_bytes:
        framed.refuse(number, 0, too_long(len(data), bounds.event_bytes))
        return
    if len(framed.refused) == MOST_SHOWN and data[:1] != b"{":
        framed.refuse(number, 0, "")  # no object, whatever it is: nobody will read more of it
        return
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if len(framed.refused) == MOST_SHOWN:
            framed.refuse(number, 0, "")
        else:
            framed.refuse(number, *position(error, data)[1:])
        return
    if type(document) is dict:
        framed.events.append(data)
    else:
        framed.refuse(number, 1, f"an object is expected, not {_kind(document)}")


def _text(body: bytes, bounds: _Bounds, join: Callable[[list[bytes]], list[bytes]] | None) -> Framed:
    first = _FIRST.match(body)
    if first is not None and first[1] == b"{":
        framed = _lines(body, bounds)
        if not framed.refused:
            return framed
    framed = Framed("text")
    for first_number, lines in _slices(body):
        for number, line in enumerate(lines, start=first_number):
            if not line or line.isspace():
                continue
            if len(line) > bounds.event_bytes:
                framed.refuse(number, 0, too_long(len(line), bounds.event_bytes))
            else:
                framed.events.append(line)
        if framed.count > bounds.events:
            return framed
    if join is not None:
        framed.events = join(framed.events)
    return framed


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is bool:
        return "a boolean"
    return "a text" if type(value) is str else "an array" if type(value) is list else "a number"
