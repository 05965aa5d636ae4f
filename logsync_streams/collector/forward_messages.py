"""Fluent forward, protocol version 1: the bytes of a message -> tag, entries and options. Its four modes are told apart
by the second element: a time (Message), an array (Forward), bytes (PackedForward, also compressed).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from logsync_streams.collector.decompress import decompress
from logsync_streams.collector.packed import PackedReader, Unread
from logsync_streams.collector.records import UNPACK_ERRORS, BadRecord, nanoseconds
from logsync_streams.errors import RejectInput

_MAX_TAG_BYTES = 4096
_MAX_OPTION_BYTES = 64 * 1024
_PAIR = b"\x92"  # msgpack's head of an array of two


class Unreadable(NamedTuple):
    """What stands where a record should: the value as far as it could be read, and its bytes."""

    value: Any
    packed: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Forwarded:
    """One message. records: (nanoseconds or None, map or Unreadable, bytes that it has), each read when it is asked
    for, which raises BadRecord when there are too many. chunk: what is to be acknowledged, b"" for nothing.
    """

    tag: bytes
    records: Iterator[tuple[int | None, Any, int]]
    chunk: bytes


def read(data: bytes, *, max_bytes: int, max_records: int, max_record_bytes: int) -> Forwarded | None:
    """The message; None for a heartbeat (nil). Raises BadRecord when it is no forward message at all.

    max_bytes: unpacked. max_record_bytes: of msgpack; a longer one is Unreadable.
    """
    if data == b"\xc0":
        return None
    try:
        return _read(PackedReader(data), max_bytes, max_records, max_record_bytes)
    except BadRecord:
        raise
    except UNPACK_ERRORS as error:
        raise BadRecord(f"not msgpack: {error or type(error).__name__}") from error


def _read(reader: PackedReader, max_bytes: int, max_records: int, longest: int) -> Forwarded:
    size = reader.array_size() if reader.next_is_array else 0
    tag = reader.value(_MAX_TAG_BYTES) if size >= 2 else None
    if type(tag) is not bytes:
        raise BadRecord("an array that begins with a tag is expected")
    begin, may_be_compressed = reader.position, False
    # Each mode's entries, one after the other.
    if reader.next_is_array:
        number = reader.array_size()
        if number > max_records:
            raise BadRecord(f"{number} records in one message: at most {max_records}")
        begin = reader.position
        reader.pass_over(number)
        packed = reader.data[begin : reader.position]
    elif reader.next_is_text:
        packed, may_be_compressed = reader.value(len(reader.data)), True
    else:
        if size < 3:
            raise BadRecord("a time without a record")
        reader.pass_over(2)
        size -= 1
        packed = _PAIR + reader.data[begin : reader.position]
    option = reader.value(_MAX_OPTION_BYTES) if size > 2 else None
    if may_be_compressed:
        packed = _unpacked(packed, option, max_bytes)
    chunk = option.get(b"chunk") if type(option) is dict else None
    return Forwarded(tag, _records(packed, max_records, longest), chunk if type(chunk) is bytes else b"")


def _records(packed: bytes, max_records: int, longest: int) -> Iterator[tuple[int | None, Any, int]]:
    for number, (entry, begin, end) in enumerate(PackedReader(packed).values(longest), start=1):
        if number > max_records:
            raise BadRecord(f"more than {max_records} records in one message")
        yield *_record(packed, entry, begin, end), end - begin


def _record(data: bytes, entry: Any, begin: int, end: int) -> tuple[int | None, Any]:
    """The time and the record of an entry; Unreadable for what is none."""
    if isinstance(entry, Unread):
        piece = data[entry.begin : entry.end]
        return None, Unreadable(piece, piece, entry.reason)
    if type(entry) is list and len(entry) >= 2 and type(entry[1]) is dict:
        try:
            return nanoseconds(entry[0]), entry[1]
        except BadRecord as error:
            return None, Unreadable(entry, data[begin:end], str(error))
    return None, Unreadable(entry, data[begin:end], "an entry is an array of a time and a map")


def _unpacked(packed: bytes, option: Any, max_bytes: int) -> bytes:
    compressed = option.get(b"compressed") if type(option) is dict else None
    if type(compressed) is not bytes or compressed == b"text":
        return packed
    try:
        return decompress(packed, compressed.decode("latin-1"), max_bytes)
    except RejectInput as error:
        raise BadRecord(error.detail) from error
