"""msgpack as Fluentd and Fluent Bit send it, read value by value: what is larger than a bound is passed over and never
built, since a byte of msgpack can be seventy of objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack

from logsync_streams.collector.records import UNPACK_ERRORS, unpacked, unpacker

_OTHER, _ARRAY, _TEXT, _MAP = range(4)


class Unread(NamedTuple):
    """A value that was passed over, or bytes that are none: where they are, and why they were not read."""

    begin: int
    end: int
    reason: str


class PackedReader:
    """The values in these bytes, one after the other. Raises what `UNPACK_ERRORS` names where no value can be told."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._scout = unpacker(max(len(data), 1))  # says how large a value is
        self._scout.feed(data)

    @property
    def position(self) -> int:
        """Where the next value begins."""
        return int(self._scout.tell())

    @property
    def at_end(self) -> bool:
        return self.position >= len(self.data)

    @property
    def next_is_array(self) -> bool:
        return self._kind() == _ARRAY

    @property
    def next_is_map(self) -> bool:
        return self._kind() == _MAP

    @property
    def next_is_text(self) -> bool:
        """Text or binary: no larger when it is built."""
        return self._kind() == _TEXT

    def array_size(self) -> int:
        """The number of elements of the array that begins here; they are the next values."""
        return int(self._scout.read_array_header())

    def pass_over(self, number: int) -> None:
        """So many values are not read."""
        for _ in range(number):
            self._scout.skip()

    def value(self, longest: int) -> Any:
        """The next value; Unread when it has more than `longest` bytes or is none that we build."""
        begin = self.position
        self._scout.skip()
        end = self.position
        if end - begin > longest:
            return Unread(begin, end, f"more than {longest} bytes of msgpack")
        try:
            return unpacked(self.data[begin:end])
        except UNPACK_ERRORS as error:
            return Unread(begin, end, f"not msgpack: {error or type(error).__name__}")

    def values(self, longest: int) -> Iterator[tuple[Any, int, int]]:
        """All that are left, each with where it begins and ends. Of bytes that cannot be read the rest is the last,
        Unread.
        """
        while not self.at_end:
            begin = self.position
            try:
                value = self.value(longest)
            except msgpack.OutOfData:
                yield Unread(begin, len(self.data), "the bytes end within a record"), begin, len(self.data)
                return
            except UNPACK_ERRORS as error:
                what = Unread(begin, len(self.data), f"not msgpack: {error or type(error).__name__}")
                yield what, begin, len(self.data)
                return
            yield value, begin, self.position

    def _kind(self) -> int:
        first = self.data[self.position] if not self.at_end else 0xC0
        if 0x90 <= first <= 0x9F or first in (0xDC, 0xDD):
            return _ARRAY
        if 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
            return _MAP
        return _TEXT if 0xA0 <= first <= 0xBF or first in (0xC4, 0xC5, 0xC6, 0xD9, 0xDA, 0xDB) else _OTHER


class MessageFramer:
    """A connection's bytes -> the bytes of each value, however they are cut into pieces."""

    def __init__(self, max_bytes: int) -> None:
        self._scout = unpacker(max_bytes)
        self._buffer = bytearray()
        self._begin = 0  # of the buffer, in all bytes

    @property
    def held_bytes(self) -> int:
        """What was received of a value that has not ended."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The values that end in these bytes. Raises what `UNPACK_ERRORS` names; nothing can be read after that."""
        self._scout.feed(data)
        self._buffer += data
        found: list[bytes] = []
        begin = 0
        try:
            while True:
                self._scout.skip()
                end = self._scout.tell() - self._begin
                found.append(bytes(self._buffer[begin:end]))
                begin = end
        except msgpack.OutOfData:
            pass
        del self._buffer[:begin]
        self._begin += begin
        return found
