"""The body of a request -> the bytes of its events: JSON objects alone, in an array, a line each, one after the other,
or lines of text.

Only what the sender must hear about at once is looked at here (is it well-formed, is it too large); what an event
means is the parsers' (DESIGN §4). Events go on as they arrived; elements of an array are written again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from logsync_streams.collector.concatenated import split
from logsync_streams.errors import RejectInput

_BOM = b"\xef\xbb\xbf"
_JSON_SPACE = b" \t\r\n"
_NDJSON_TYPES = frozenset(
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json-l")
)
FORM_TYPE = "application/x-www-form-urlencoded"
_FORM = re.compile(rb"[A-Za-z0-9_.%+-]+=[^\s{}\[\]\"]*")


@dataclass(slots=True)
class Refused:
    """One event that was not taken.

    line: 1-based line, or element of an array, or object of several one after the other; byte: 1-based in it, 0 = all.
    """

    line: int
    byte: int
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"line": self.line, **({"byte": self.byte} if self.byte else {}), "reason": self.reason}


@dataclass(slots=True)
class Framed:
    """format: the parser's key. events: what was taken, in order. refused: what was not."""

    format: str
    events: list[bytes] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


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
    if content_type == "text/plain":
        framed = _text(body, max_event_bytes, join)
    elif content_type == FORM_TYPE and _FORM.fullmatch(body):
        framed = _one(body, max_event_bytes, "form")
    elif content_type in _NDJSON_TYPES:
        framed = _lines(body, max_event_bytes)
    else:
        framed = _json(body, max_event_bytes, max_events)
    if len(framed.events) + len(framed.refused) > max_events:
        raise too_many(max_events)
    if framed.refused and not framed.events:
        raise all_refused(framed, max_event_bytes)
    return framed


def position(error: orjson.JSONDecodeError, data: bytes) -> tuple[int, int, str]:
    """(line, byte in the line, what is wrong), both from 1, of the place where JSON went wrong."""
    try:
        data.decode()
    except UnicodeDecodeError as bad:  # orjson does not say where
        before = data[: bad.start]
        return before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1, "not UTF-8"
    line_start = error.doc.rfind("\n", 0, error.pos) + 1
    return error.lineno, len(error.doc[line_start : error.pos].encode()) + 1, error.msg


def _json(body: bytes, max_event_bytes: int, max_events: int) -> Framed:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if _starts_object(body):
            framed = _several(body, max_event_bytes, max_events)
            # Without one good event it is rather one object over several lines with a mistake in it.
            if framed.events:
                return framed
        line, byte, reason = position(error, body)
        raise _malformed(line, byte, reason) from error
    if type(document) is dict:
        return _one(body, max_event_bytes)
    if type(document) is list:
        return _elements(document, max_event_bytes)
    raise _malformed(1, 1, f"an object or an array of objects is expected, not {_kind(document)}")


def _several(body: bytes, max_event_bytes: int, max_events: int) -> Framed:
    """Objects a line each or, where that leaves something over, one after the other."""
    framed = _lines(body, max_event_bytes)
    if not framed.refused:
        return framed
    concatenated = Framed("json")
    for number, (_, piece) in enumerate(split(body, max_events), start=1):
        _add_object(concatenated, number, piece, max_event_bytes)
    return max(framed, concatenated, key=lambda one: (len(one.events), -len(one.refused)))


def _one(body: bytes, max_event_bytes: int, format: str = "json") -> Framed:
    if len(body) > max_event_bytes:
        return Framed(format, refused=[Refused(1, 0, _too_long(len(body), max_event_bytes))])
    return Framed(format, [body])


def _elements(elements: list[Any], max_event_bytes: int) -> Framed:
    framed = Framed("json")
    for number, element in enumerate(elements, start=1):
        if type(element) is not dict:
            framed.refused.append(Refused(number, 0, f"an object is expected, not {_kind(element)}"))
            continue
        try:
            data = orjson.dumps(element)
        except TypeError:  # orjson reads deeper than it writes
            framed.refused.append(Refused(number, 0, "nested too deeply"))
            continue
        if len(data) > max_event_bytes:
            framed.refused.append(Refused(number, 0, _too_long(len(data), max_event_bytes)))
        else:
            framed.events.append(data)
    return framed


def _lines(body: bytes, max_event_bytes: int) -> Framed:
    framed = Framed("json")
    loads, take = orjson.loads, framed.events.append
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line or line.isspace():
            continue
        # The way of the good ones is short: this runs for every event.
        try:
            if type(loads(line)) is dict and len(line) <= max_event_bytes:
                take(line)
                continue
        except orjson.JSONDecodeError:
            pass
        _add_object(framed, number, line, max_event_bytes)
    return framed


def _add_object(framed: Framed, number: int, data: bytes, max_event_bytes: int) -> None:
    if len(data) > max_event_bytes:
        framed.refused.append(Refused(number, 0, _too_long(len(data), max_event_bytes)))
        return
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        framed.refused.append(Refused(number, *position(error, data)[1:]))
        return
    if type(document) is dict:
        framed.events.append(data)
    else:
        framed.refused.append(Refused(number, 1, f"an object is expected, not {_kind(document)}"))


def _text(body: bytes, max_event_bytes: int, join: Callable[[list[bytes]], list[bytes]] | None) -> Framed:
    if _starts_object(body):
        framed = _lines(body, max_event_bytes)
        if not framed.refused:
            return framed
    framed = Framed("text")
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line or line.isspace():
            continue
        if len(line) > max_event_bytes:
            framed.refused.append(Refused(number, 0, _too_long(len(line), max_event_bytes)))
        else:
            framed.events.append(line)
    if join is not None:
        framed.events = join(framed.events)
    return framed


def too_many(limit: int) -> RejectInput:
    """The refusal of a request with more events than the limit."""
    return RejectInput(
        413, "Too many events", f"a request has at most {limit} events: send several", limit_events=limit
    )


def all_refused(framed: Framed, max_event_bytes: int) -> RejectInput:
    """The refusal of a request of which nothing was taken."""
    first = framed.refused[0]
    if len(framed.refused) == 1 and first.reason.startswith(_TOO_LONG):
        return RejectInput(413, "Event too large", first.reason, limit_bytes=max_event_bytes)
    if len(framed.refused) == 1 and first.byte:
        return _malformed(first.line, first.byte, first.reason)
    return RejectInput(
        400,
        "No event was taken",
        f"each of {len(framed.refused)} was refused; the first, line {first.line}: {first.reason}",
        refused=shown(framed.refused),
        line=first.line,
        byte=first.byte or 1,
    )


def shown(refused: list[Refused], most: int = 100) -> list[dict[str, Any]]:
    """The first of the refused events for an answer, which stays short whatever was sent."""
    return [item.as_json() for item in refused[:most]]


def _malformed(line: int, byte: int, reason: str) -> RejectInput:
    return RejectInput(400, "Malformed JSON", f"line {line}, byte {byte}: {reason}", line=line, byte=byte)


_TOO_LONG = "an event has at most"


def _too_long(size: int, limit: int) -> str:
    return f"{_TOO_LONG} {limit} bytes, this one has {size}"


def _starts_object(body: bytes) -> bool:
    return body.lstrip(_JSON_SPACE)[:1] == b"{"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is bool:
        return "a boolean"
    return "a text" if type(value) is str else "an array" if type(value) is list else "a number"
