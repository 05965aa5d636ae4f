"""What is fuzzed: each reads bytes of one wire format and must neither raise what it does not promise nor lose bounds.

A target gets any bytes and returns nothing. A new wire format adds its line to TARGETS, and its examples to SEEDS.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress

import msgpack
import orjson

from logsync_streams.collector.decompress import decompress
from logsync_streams.collector.fluentd import frame_fluentd
from logsync_streams.collector.forward_handshake import Handshake
from logsync_streams.collector.forward_messages import Unreadable, read
from logsync_streams.collector.framing import frame
from logsync_streams.collector.multiline import join_lines, syslog_head
from logsync_streams.collector.packed import MessageFramer
from logsync_streams.collector.records import (
    UNPACK_ERRORS,
    BadRecord,
    as_event,
    as_text,
    batches,
    join_records,
    unpacked,
)
from logsync_streams.collector.syslog_framing import SyslogFramer
from logsync_streams.errors import DeadLetter, RejectInput
from logsync_streams.parsing import PARSERS

Target = Callable[[bytes], None]

NOW = 1_714_566_900_000
MAX_EVENT_BYTES = 4096
_JOIN = {"max_bytes": 1000, "start": None, "on_joined": lambda: None}


def parser(format: str) -> Target:
    """The parser of a format: fields that can be stored, or refused by name."""
    parse = PARSERS[format]

    def target(data: bytes) -> None:
        try:
            fields = parse(data, NOW)
        except DeadLetter:
            return
        orjson.dumps(fields)

    return target


def syslog_stream(data: bytes) -> None:
    """The same frames whole and in pieces; nothing is kept beyond the bound."""
    whole, pieces = SyslogFramer(64), SyslogFramer(64)
    expected = whole.feed(data) + whole.end()
    found: list[bytes] = []
    size = 1 + len(data) % 7
    for start in range(0, len(data), size):
        found += pieces.feed(data[start : start + size])
        if pieces.held_bytes > 64 + size:
            raise AssertionError("more is held than the bound")
    if found + pieces.end() != expected or whole.truncated != pieces.truncated:
        raise AssertionError("the frames depend on the pieces")
    syslog_head(data)
    join_lines(data.split(b"\n"), max_bytes=200, start=None, on_joined=lambda: None)


def http_body(data: bytes) -> None:
    """Any body under any media type: events within the bound, or a refusal."""
    media_types = ("", "application/json", "application/x-ndjson", "text/plain", "application/x-www-form-urlencoded")
    for media_type in media_types:
        try:
            framed = frame(data, media_type, max_event_bytes=MAX_EVENT_BYTES, max_events=100)
        except RejectInput:
            continue
        _bounded(framed.events)


def fluentd_body(data: bytes) -> None:
    for media_type in ("application/json", "application/msgpack", ""):
        try:
            framed = frame_fluentd(
                data, media_type, b"tag", max_event_bytes=MAX_EVENT_BYTES, max_events=100, join=dict(_JOIN)
            )
        except RejectInput:
            continue
        _bounded(framed.events)
        for event in framed.events:
            parser("fluentd")(event)


def forward(data: bytes) -> None:
    """A connection's bytes, whole and in pieces: the same messages, each read or refused, and the handshake."""
    whole, pieces = MessageFramer(64 * 1024), MessageFramer(64 * 1024)
    found: list[bytes] = []
    size = 1 + len(data) % 7
    try:
        for start in range(0, len(data), size):
            found += pieces.feed(data[start : start + size])
        messages = whole.feed(data)
    except UNPACK_ERRORS:
        return
    if found != messages:
        raise AssertionError("the messages depend on the pieces")
    for message in messages:
        with suppress(*UNPACK_ERRORS):
            Handshake(b"key", "us", nonce=b"nonce").pong(unpacked(message))
        try:
            got = read(message, max_bytes=64 * 1024, max_records=1000, max_record_bytes=8192)
        except BadRecord:
            continue
        if got is not None:
            with suppress(BadRecord):
                for batch in batches(got.records):
                    for time_ns, record in join_records(batch, **_JOIN):  # type: ignore[arg-type]
                        _stored(got.tag, time_ns, record)


def _stored(tag: bytes, time_ns: int | None, record: object) -> None:
    if isinstance(record, Unreadable):
        event, _ = as_text(tag, time_ns, record.value, record.packed, MAX_EVENT_BYTES)
    else:
        try:
            event = as_event(tag, time_ns, record, MAX_EVENT_BYTES)
        except BadRecord:
            event, _ = as_text(tag, time_ns, record, b"", MAX_EVENT_BYTES)
    _bounded([event])
    parser("fluentd")(event)


def packed_body(data: bytes) -> None:
    for encoding in ("gzip", "deflate", "zstd"):
        try:
            unpacked = decompress(data, encoding, 10_000)
        except RejectInput:
            continue
        if len(unpacked) > 10_000:
            raise AssertionError("more came out than the limit")


def _bounded(events: list[bytes]) -> None:
    if any(len(event) > MAX_EVENT_BYTES for event in events):
        raise AssertionError("an event is over the bound")


TARGETS: dict[str, Target] = {
    **{f"parse-{format}": parser(format) for format in PARSERS},
    "syslog-stream": syslog_stream,
    "http-body": http_body,
    "fluentd-body": fluentd_body,
    "forward": forward,
    "packed-body": packed_body,
}

_ENTRIES = msgpack.packb([msgpack.ExtType(0, bytes(8)), {"log": "Traceback (most recent call last):"}])
SEEDS: list[bytes] = [
    b'<165>1 2003-10-11T22:14:15.003Z host app 42 ID47 [a@1 iut="3" q="\\"\\]"] \xef\xbb\xbfAn event\n',
    b"<34>Oct 11 22:14:15 host su[1]: text\n<13>Feb  5 17:32:18 10.0.0.99 app: up\0",
    b"<189>29: r1: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured\n",
    b"17 <13>one and some 9999999 <",
    b'{"timestamp":"2024-05-01T12:34:56.789Z","level":30,"pid":1,"hostname":"h","msg":"x","metadata":{"a":{"b":1}}}',
    b'[{"@t":"2024-05-01T12:00:00Z","@mt":"x","@x":"s"},{"a":[1,2,{"b":null}]}]{"c":1e400}\n{"d":"\\ud800"}',
    b"name=shop&msg=a+b&levelname=INFO&levelno=20&created=1714566900.5",
    b'["app.web",1714566900123456789,{"log":"hi\\n","date":1.5,"tag":"t"}]',
    msgpack.packb(["t", _ENTRIES + _ENTRIES, {"chunk": "c"}]),
    msgpack.packb(["t", gzip.compress(_ENTRIES), {"compressed": "gzip"}]),
    msgpack.packb(["t", [[1, {"log": "a"}], [1.5, {"message": "\tat b"}]]]),
    msgpack.packb(["PING", "host", "salt", "digest", "", ""]),
    gzip.compress(b'{"message":"x"}'),
]
