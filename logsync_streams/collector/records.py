"""Records of Fluentd and Fluent Bit -> the bytes of events in the format `fluentd`.

Such an event is a JSON array `[tag, time, record]`: the tag or null, nanoseconds since 1970 or null, and the record as
JSON. What came as JSON goes on as it arrived; what came as msgpack is written as JSON, so that it can be read in
`event.original`. Where a sender cannot be told that there was no record, what came in its place is there as text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import msgpack
import orjson

from logsync_streams.collector.multiline import join_lines
from logsync_streams.events import MAX_EVENTS_PER_ENVELOPE_ID

FORMAT = "fluentd"
_EVENT_TIME = 0  # the ext type of Fluentd's EventTime: four bytes of seconds, four of nanoseconds, both big-endian
_NS = 1_000_000_000
_MAX_DEPTH = 200
_AROUND_BYTES = 64  # the time, brackets and quotes of an event
# A record as msgpack may be longer than its event as JSON: a double has nine bytes, and `0.5` three.
RECORD_SHARE = 2
# So much msgpack is held as objects at once; a stack trace over its end is two events.
_BATCH_BYTES = 512 * 1024
_TEXT_KEYS = ("log", "message", "msg")  # where a record's line of text is


class BadRecord(ValueError):
    """A record, or its time, is not what Fluentd sends; the text says what is wrong."""


class EventTime(int):
    """Nanoseconds since 1970, as Fluentd's extension type has them."""


def unpacker(max_bytes: int) -> msgpack.Unpacker:
    """A msgpack reader for what Fluentd and Fluent Bit send, bounded in every size. Texts come as bytes."""
    return msgpack.Unpacker(max_buffer_size=max_bytes, max_str_len=max_bytes, max_bin_len=max_bytes, **_OPTIONS)


def unpacked(data: bytes) -> Any:
    """One value, as `unpacker` reads it. Raises what `UNPACK_ERRORS` names."""
    return msgpack.unpackb(data, **_OPTIONS)


def _extension(code: int, data: bytes) -> Any:
    if code == _EVENT_TIME and len(data) == 8:
        return EventTime(int.from_bytes(data[:4], "big") * _NS + int.from_bytes(data[4:], "big"))
    return msgpack.ExtType(code, data)


_OPTIONS: dict[str, Any] = {
    "raw": True,
    "strict_map_key": False,
    "ext_hook": _extension,
    "max_array_len": MAX_EVENTS_PER_ENVELOPE_ID,
    "max_map_len": MAX_EVENTS_PER_ENVELOPE_ID,
    "max_ext_len": 1024,
}

# What msgpack raises for bytes that are none, or are too deep; TypeError: a key that cannot be one (a map).
UNPACK_ERRORS = (ValueError, msgpack.UnpackException, TypeError, RecursionError)


def nanoseconds(value: Any) -> int | None:
    """The time of an event as its sender wrote it: EventTime, or seconds since 1970. None: it gave none.

    Fluent Bit 2.1 and newer wrap it: [time, metadata]. Raises BadRecord.
    """
    if type(value) is list and value:
        value = value[0]
    if isinstance(value, EventTime):
        return int(value)
    if value is None:
        return None
    if type(value) is int and abs(value) < 2**40:
        return value * _NS
    if type(value) is float and math.isfinite(value) and abs(value) < 2**40:
        return round(value * 1e6) * 1000  # a double has no more than microseconds
    raise BadRecord(f"a time is expected, not {type(value).__name__}")


def batches(records: Iterable[tuple[int | None, Any, int]]) -> Iterator[list[tuple[int | None, Any]]]:
    """(time, record, bytes as msgpack) -> (time, record), in lists that take no more memory than we can have."""
    batch: list[tuple[int | None, Any]] = []
    held = 0
    for time_ns, record, size in records:
        batch.append((time_ns, record))
        held += size
        if held >= _BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def as_event(tag: bytes, time_ns: int | None, record: Any, max_bytes: int) -> bytes:
    """The bytes of one event from a record that msgpack unpacked. Raises BadRecord."""
    if type(record) is not dict:
        raise BadRecord(f"a record is a map, not {type(record).__name__}")
    try:
        data = orjson.dumps(_json_value(record, 0))
    except TypeError as error:
        raise BadRecord(str(error)) from error
    return from_json(tag, time_ns, data, max_bytes)


def as_text(tag: bytes, time_ns: int | None, value: Any, packed: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """(the bytes of one event from what is no record, whether it was cut): as JSON within a text, cut at the bound.

    packed: the same as it came, for what cannot be written as JSON.
    """
    try:
        text = _text(value) if type(value) is bytes else orjson.dumps(_json_value(value, 0)).decode()
    except (BadRecord, TypeError):
        text = _text(packed)
    try:
        return from_json(tag, time_ns, orjson.dumps(text), max_bytes), False
    except BadRecord:
        # A byte or a sign is six bytes of JSON at most.
        tag = tag[: max_bytes // 16]
        text = text[: (max_bytes - _AROUND_BYTES) // 6 - len(tag)]
        return from_json(tag, time_ns, orjson.dumps(text), max_bytes), True


def from_json(tag: bytes, time_ns: int | None, record: bytes, max_bytes: int) -> bytes:
    """The bytes of one event from a record that came as JSON. Raises BadRecord when it is too large."""
    written = orjson.dumps(_text(tag)) if tag else b"null"
    event = b"[%b,%b,%b]" % (written, b"null" if time_ns is None else b"%d" % time_ns, record)
    if len(event) > max_bytes:
        raise BadRecord(f"an event has at most {max_bytes} bytes, this one has {len(event)}")
    return event


def join_records(
    records: Iterable[tuple[int | None, Any]], *, max_bytes: int, start: str | None, on_joined: Any
) -> list[tuple[int | None, Any]]:
    """The records of one chunk, those that go on with the stack trace of the one before put into it."""
    found = list(records)
    texts: list[Any] = [_line_of(record) for _, record in found]
    if len(found) < 2 or not any(texts):
        return found
    made: list[tuple[int | None, Any]] = []
    for run in _runs(found, texts):
        if len(run) == 1:
            made.append(found[run[0]])
            continue
        # A line never has a line end in it, so the joined ones can be counted by theirs.
        position = run[0]
        for event in join_lines([texts[i][1] for i in run], max_bytes=max_bytes, start=start, on_joined=on_joined):
            time, record = found[position]
            size = event.count(b"\n") + 1
            made.append((time, {**record, texts[position][0]: event} if size > 1 else record))
            position += size
    return made


def _runs(found: list[tuple[int | None, Any]], texts: list[Any]) -> Iterator[list[int]]:
    """Neighbours that have one line of text each under the same key, and the same other fields."""
    run: list[int] = []
    for position, text in enumerate(texts):
        if run and (text is None or text[0] != texts[run[0]][0] or not _same(found, texts, run[0], position)):
            yield run
            run = []
        run.append(position)
        if text is None:
            yield run
            run = []
    if run:
        yield run


def _same(found: list[tuple[int | None, Any]], texts: list[Any], first: int, other: int) -> bool:
    one, two = found[first][1], found[other][1]
    if len(one) != len(two):
        return False
    ignored = (texts[first][0], b"time", "time", b"date", "date", b"@timestamp", "@timestamp")
    return all(key in ignored or (key in two and two[key] == value) for key, value in one.items())


def _line_of(record: Any) -> tuple[Any, bytes] | None:
    """(key, text) of the line that a record holds; None when it is no single line."""
    if type(record) is not dict:
        return None
    for name in _TEXT_KEYS:
        for key in (name, name.encode()):
            value: Any = record.get(key)
            if type(value) is bytes or type(value) is str:
                line: bytes = (value.encode() if isinstance(value, str) else value).rstrip(b"\r\n")
                return None if b"\n" in line else (key, line)
    return None


def _text(data: bytes) -> str:
    """UTF-8, and where it is none Latin-1: no byte is lost."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _json_value(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is bytes:
        return _text(value)
    if kind is dict:
        if depth > _MAX_DEPTH:
            raise BadRecord("nested too deeply")
        return {_key(key): _json_value(item, depth + 1) for key, item in value.items()}
    if kind is list:
        if depth > _MAX_DEPTH:
            raise BadRecord("nested too deeply")
        return [_json_value(item, depth + 1) for item in value]
    if kind is float and not math.isfinite(value):
        return str(value)  # JSON has no number for it
    if kind is msgpack.ExtType:
        return f"ext {value.code}: {value.data.hex()}"
    if isinstance(value, EventTime):
        return int(value)
    if kind is msgpack.Timestamp:
        return value.to_unix_nano()
    return value


def _key(key: Any) -> str:
    if type(key) is bytes:
        return _text(key)
    return key if type(key) is str else "null" if key is None else str(key)
