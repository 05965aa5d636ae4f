"""What travels on the raw topic `logs`: one Kafka record that carries many events (DESIGN §4).

The value is a msgpack array of binaries, the events' bytes as they arrived; meaning is made in `process`. Records of
other producers carry none of our headers: they are one JSON object, NDJSON, or a line of text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgpack
import orjson

from logsync_streams.errors import DeadLetter
from logsync_streams.events import (
    MAX_EVENTS_PER_ENVELOPE_ID,
    Event,
    Origin,
    event_id,
    foreign_record_id,
    keyed_event_id,
)

Headers = Sequence[tuple[str, bytes]]

VERSION = b"1"
MAX_EVENTS = 500
MAX_BYTES = 256 * 1024
_VERSION_HEADER = "logsync-envelope"
_ATTEMPTS_HEADER = "logsync-attempts"
_LAST_MS = 253_402_300_799_999  # the end of the year 9999, the last that a date can be made of
_MOST_ATTEMPTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Envelope:
    """Events of one sender, stamped at the door.

    id: 32 hex digits of a UUIDv7. received_at: epoch ms, our clock. source: the kind of door. format: the parser's
    key. peer: the sender's address. events: bytes as received, at most MAX_EVENTS. key: the hash of the sender's
    idempotency key or ""; first_index: the index of the first event within the sender's request (only keyed).
    attempts: how often these events failed before. Above 0 it is a replay: id and first_index then give the ids that
    the events have had from the beginning, whatever the key, and received_at stands as it is.
    """

    id: str
    received_at: int
    source: str
    format: str
    peer: str
    events: tuple[bytes, ...]
    key: str = ""
    first_index: int = 0
    attempts: int = 0

    def event_ids(self) -> list[str]:
        """The ids of the events, in order; a pure function of the envelope, so that redelivery repeats them."""
        if self.key and not self.attempts:
            return [keyed_event_id(self.key, self.first_index + i, data) for i, data in enumerate(self.events)]
        return [event_id(self.id, self.first_index + i) for i in range(len(self.events))]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record of a raw topic as fetched: what `decode` needs of an aiokafka ConsumerRecord."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Headers


class Decoded(NamedTuple):
    """The events of one record before parsing: ids, receive time, bytes as received, and where they came from."""

    origin: Origin
    received_at: int
    ids: list[str]
    events: Sequence[bytes]


def encode(envelope: Envelope) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The value and the headers of the Kafka record."""
    headers = [
        (_VERSION_HEADER, VERSION),
        ("logsync-id", envelope.id.encode()),
        ("logsync-received-at", str(envelope.received_at).encode()),
        ("logsync-source", envelope.source.encode()),
        ("logsync-format", envelope.format.encode()),
        ("logsync-peer", envelope.peer.encode()),
        ("logsync-events", str(len(envelope.events)).encode()),
    ]
    if envelope.key:
        headers += [("logsync-key", envelope.key.encode())]
    if envelope.key or envelope.first_index:
        headers += [("logsync-first-index", str(envelope.first_index).encode())]
    if envelope.attempts:
        headers += [(_ATTEMPTS_HEADER, str(envelope.attempts).encode())]
    return msgpack.packb(envelope.events, use_bin_type=True), headers


def decode(record: RawRecord) -> Decoded:
    """The events of a raw record, ours or foreign. Raises DeadLetter("undecodable" | "too_many_events")."""
    if record.headers:
        headers = dict(record.headers)
        if _VERSION_HEADER in headers:
            return _decode_envelope(record, headers)
    return _decode_foreign(record)


def read_envelope(value: bytes | None, headers: dict[str, bytes]) -> Envelope:
    """The envelope of a record with our headers. Raises DeadLetter("undecodable")."""
    version = headers[_VERSION_HEADER]
    if version != VERSION:
        raise DeadLetter("undecodable", f"envelope version {version!r}: this release reads {VERSION!r}")
    try:
        events = msgpack.unpackb(
            value or b"", raw=False, strict_map_key=False, max_array_len=MAX_EVENTS_PER_ENVELOPE_ID
        )
        if not isinstance(events, list) or not all(type(data) is bytes for data in events):
            raise DeadLetter("undecodable", "an envelope's value must be a msgpack array of binaries")
        envelope_id = _text(headers, "logsync-id")
        if len(envelope_id) != 32 or len(bytes.fromhex(envelope_id)) != 16:
            raise ValueError(f"id {envelope_id!r} must have 32 hex digits")
        headers = {"logsync-key": b"", "logsync-first-index": b"0", _ATTEMPTS_HEADER: b"0", **headers}
        return Envelope(
            id=envelope_id,
            received_at=_number(headers, "logsync-received-at", _LAST_MS),
            source=_text(headers, "logsync-source"),
            format=_text(headers, "logsync-format"),
            peer=_text(headers, "logsync-peer"),
            events=tuple(events),
            key=_text(headers, "logsync-key"),
            first_index=_number(headers, "logsync-first-index", MAX_EVENTS_PER_ENVELOPE_ID - len(events)),
            attempts=_number(headers, _ATTEMPTS_HEADER, _MOST_ATTEMPTS),
        )
    except KeyError as missing:
        raise DeadLetter("undecodable", f"envelope header {missing} is missing") from missing
    # TypeError: msgpack's, for a map that is the key of a map; the rest: its format errors, bad numbers or text.
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise DeadLetter("undecodable", f"envelope cannot be read: {error}") from error


def _text(headers: Mapping[str, bytes | None], name: str) -> str:
    """A header that somebody else may have written. Raises KeyError, ValueError."""
    value = headers[name]
    if value is None:
        raise ValueError(f"header {name} has no value")
    return value.decode()


def _number(headers: Mapping[str, bytes | None], name: str, most: int) -> int:
    """As _text, of decimal digits."""
    text = _text(headers, name)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_MS)) and int(text) <= most):
        raise ValueError(f"header {name}: {text[:40]!r}: a whole number of 0 to {most} is expected")
    return int(text)


def _decode_envelope(record: RawRecord, headers: dict[str, bytes]) -> Decoded:
    envelope = read_envelope(record.value, headers)
    origin = Origin(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        append_time=record.timestamp,
        source=envelope.source,
        peer=envelope.peer,
        format=envelope.format,
        key=envelope.key,
        attempts=envelope.attempts,
    )
    return Decoded(origin, envelope.received_at, envelope.event_ids(), envelope.events)


def _decode_foreign(record: RawRecord) -> Decoded:
    if not record.value:
        raise DeadLetter("undecodable", "the record has no value (a tombstone or an empty message)")
    format_, events = split_foreign(record.value)
    if len(events) > MAX_EVENTS_PER_ENVELOPE_ID:
        raise DeadLetter("too_many_events", f"{len(events)} events in one record: at most {MAX_EVENTS_PER_ENVELOPE_ID}")
    known = identity(record)
    origin = Origin(
        record.topic, record.partition, record.offset, record.timestamp, "kafka", "", format_, attempts=known.attempts
    )
    # The records of most producers are one event each.
    ids = [known.id + "-00000"] if len(events) == 1 else [event_id(known.id, i) for i in range(len(events))]
    return Decoded(origin, known.received_at, ids, events)


class Identity(NamedTuple):
    """What the ids of a record without an envelope are made from, its receive time, and how often it failed before."""

    id: str
    received_at: int
    attempts: int = 0


def identity(record: RawRecord) -> Identity:
    """Of a record without an envelope: by its place, time and value; of a replayed one: as it was the first time."""
    headers = dict(record.headers) if record.headers else {}
    if _ATTEMPTS_HEADER in headers and _VERSION_HEADER not in headers:
        try:
            known = _text(headers, "logsync-id")
            if len(known) == 32 and len(bytes.fromhex(known)) == 16:
                received_at = _number(headers, "logsync-received-at", _LAST_MS)
                return Identity(known, received_at, _number(headers, _ATTEMPTS_HEADER, _MOST_ATTEMPTS))
        except (KeyError, ValueError):
            pass  # no headers of ours, so no replay of ours: a foreign record like any other
    value = record.value or b""
    return Identity(
        foreign_record_id(record.topic, record.partition, record.offset, record.timestamp, value), record.timestamp
    )


def replayed_headers(known: Identity) -> list[tuple[str, bytes]]:
    """The headers with which `identity` knows a record without an envelope again."""
    return [
        ("logsync-id", known.id.encode()),
        ("logsync-received-at", str(known.received_at).encode()),
        (_ATTEMPTS_HEADER, str(known.attempts).encode()),
    ]


def split_foreign(value: bytes) -> tuple[str, list[bytes]]:
    """Format and events of a record without our headers: one JSON object, NDJSON, or a line of text.

    What starts as a JSON object is left to the parser, which refuses (DeadLetter "undecodable") what is none; what is
    no text is refused here: nobody would find it as a line of text.
    """
    if value.lstrip()[:1] == b"{":
        if b"\n" not in value.strip():
            return "json", [value]  # parsed once, by the parser, which refuses what is no object
        lines = [line for line in value.split(b"\n") if line and not line.isspace()]
        if all(_is_json_object(line) for line in lines):
            return "json", lines
        return "json", [value]  # one object written over several lines, or nothing that the parser will accept
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise DeadLetter("undecodable", f"the record is neither JSON nor UTF-8 text: byte {error.start}") from error
    if "\0" in text or text.isspace():
        raise DeadLetter("undecodable", "the record is neither JSON nor a line of text")
    return "text", [value]


def _is_json_object(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


def as_event(decoded: Decoded, index: int, fields: dict[str, object]) -> Event:
    """Event `index` of a decoded record, with the fields that its parser made."""
    return Event(decoded.ids[index], decoded.received_at, fields, decoded.events[index], decoded.origin)
