"""Fluent forward, protocol version 1: an unpacked message -> tag, records and options. Its four modes are told apart
by the second element: a time (Message), a list (Forward), bytes (PackedForward, also compressed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from logsync_streams.collector.decompress import decompress
from logsync_streams.collector.records import UNPACK_ERRORS, BadRecord, nanoseconds, unpacker
from logsync_streams.errors import RejectInput


@dataclass(frozen=True, slots=True)
class Forwarded:
    """One message. records: (nanoseconds or None, map). chunk: what is to be acknowledged, b"" for nothing.

    bad: what was wrong with the records that are not among them.
    """

    tag: bytes
    records: list[tuple[int | None, Any]]
    chunk: bytes
    bad: list[str]


def read(message: Any, *, max_bytes: int, max_records: int) -> Forwarded | None:
    """The message; None for a heartbeat (nil). Raises BadRecord when it is no forward message at all."""
    if message is None:
        return None
    if type(message) is not list or len(message) < 2 or type(message[0]) is not bytes:
        raise BadRecord("an array that begins with a tag is expected")
    tag, second = message[0], message[1]
    if type(second) is list:
        entries: Any = second
        option = message[2] if len(message) > 2 else None
    elif type(second) is bytes:
        option = message[2] if len(message) > 2 else None
        entries = _unpacked(second, option, max_bytes, max_records)
    else:
        if len(message) < 3:
            raise BadRecord("a time without a record")
        entries = [[second, message[2]]]
        option = message[3] if len(message) > 3 else None
    records: list[tuple[int | None, Any]] = []
    bad: list[str] = []
    for entry in entries:
        if isinstance(entry, BadRecord):
            bad.append(str(entry))
            continue
        try:
            records.append(_record(entry))
        except BadRecord as error:
            bad.append(str(error))
    if len(records) > max_records:
        raise BadRecord(f"{len(records)} records in one message: at most {max_records}")
    chunk = option.get(b"chunk") if type(option) is dict else None
    return Forwarded(tag, records, chunk if type(chunk) is bytes else b"", bad)


def _record(entry: Any) -> tuple[int | None, Any]:
    if type(entry) is not list or len(entry) < 2 or type(entry[1]) is not dict:
        raise BadRecord("an entry is an array of a time and a map")
    return nanoseconds(entry[0]), entry[1]


def _unpacked(packed: bytes, option: Any, max_bytes: int, max_records: int) -> list[Any]:
    compressed = option.get(b"compressed") if type(option) is dict else None
    if type(compressed) is bytes and compressed != b"text":
        try:
            packed = decompress(packed, compressed.decode("latin-1"), max_bytes)
        except RejectInput as error:
            raise BadRecord(error.detail) from error
    reader = unpacker(max(len(packed), 1))
    reader.feed(packed)
    entries: list[Any] = []
    try:
        for entry in reader:
            entries.append(entry)
            if len(entries) > max_records:
                raise BadRecord(f"more than {max_records} records in one message")
    except BadRecord:
        raise
    except UNPACK_ERRORS as error:
        entries.append(BadRecord(f"not msgpack: {error or type(error).__name__}"))
    else:
        if reader.tell() < len(packed):
            entries.append(BadRecord("the entries end within a record"))
    return entries
