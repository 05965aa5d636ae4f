"""A stream of bytes -> syslog messages: RFC 6587's two framings, told apart for each frame.

`123 <13>…` is counted: so many bytes. Anything else ends with LF or NUL. Digits that are no count (a line that begins
with a time, a number of any other length) are text. The frames are the same however the stream is cut into pieces.
"""

from __future__ import annotations

import re

_MAX_DIGITS = 7  # ten million bytes are announced by nobody who speaks syslog
_COUNT = re.compile(rb"[1-9][0-9]{0,%d} " % (_MAX_DIGITS - 1))
_MAYBE_COUNT = re.compile(rb"[1-9][0-9]{0,%d}" % (_MAX_DIGITS - 1))
_END = re.compile(rb"[\n\0]")


class SyslogFramer:
    """One connection's frames. A frame over `max_bytes` is cut there and counted in `truncated`; the rest is left out.

    It holds at most `max_bytes` and what was fed last.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._buffer = bytearray()
        self._wanted = -1  # bytes of the counted frame that is coming in; -1 = none
        self._rest = 0  # bytes of it that are over the limit
        self._skip = 0  # bytes of a counted frame that are left out
        self._skip_line = False  # the rest of a line is left out
        self._scanned = 0  # so far no line end was found
        self._counting = False  # the last frame was counted
        self.truncated = 0

    @property
    def held_bytes(self) -> int:
        """What was received of a frame that has not ended."""
        return len(self._buffer)

    @property
    def in_frame(self) -> bool:
        """True when a frame was begun and has not ended."""
        return bool(self._buffer) or self._wanted >= 0 or self._skip > 0 or self._skip_line

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that end in these bytes, in order, without their framing; empty ones are left out."""
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        position = 0
        while True:
            if self._skip:
                left_out = min(self._skip, len(buffer) - position)
                self._skip -= left_out
                position += left_out
                if self._skip:
                    break
            if self._wanted >= 0:
                end = position + self._wanted
                if len(buffer) < end:
                    break
                frames.append(bytes(buffer[position:end]))
                position, self._wanted = end, -1
                self._skip, self._rest = self._rest, 0
                continue
            if position == len(buffer):
                break
            if not self._skip_line and not self._scanned:
                counted = self._count(position)
                if counted is None:
                    break  # not to be told yet
                if counted:
                    position = counted
                    continue
            ended = self._line(position, frames)
            if ended < 0:
                break
            position = ended
        if self._skip_line:
            position = len(buffer)
        del buffer[:position]
        return frames

    def end(self) -> list[bytes]:
        """What is left when the stream is over: the last line may lack its end, the last counted frame its rest."""
        rest = bytes(self._buffer)
        cut = self._wanted >= 0
        self._buffer.clear()
        self._wanted, self._rest, self._skip, self._skip_line, self._scanned = -1, 0, 0, False, 0
        if cut and rest:
            self.truncated += 1
        return [rest] if rest and not rest.isspace() else []

    def _count(self, position: int) -> int | None:
        """The place behind a count, whose frame is then awaited; 0 when a line begins here; None when not known yet."""
        buffer = self._buffer
        head = bytes(buffer[position : position + _MAX_DIGITS + 2])
        count = _COUNT.match(head)
        if count is None:
            digits = _MAYBE_COUNT.fullmatch(head)
            return None if digits is not None and len(head) <= _MAX_DIGITS else 0
        if not self._counting:
            # `15 minutes left` is a line: only a message with its priority shows that a sender counts.
            following = head[count.end() : count.end() + 1]
            if not following:
                return None
            if following != b"<":
                return 0
        self._counting = True
        size = int(head[: count.end()])
        self._wanted = min(size, self._max)
        if size > self._max:
            self.truncated += 1
            self._rest = size - self._max
        return position + count.end()

    def _line(self, position: int, frames: list[bytes]) -> int:
        """The place behind the line that begins at `position`; -1 when its end is not here yet."""
        buffer = self._buffer
        found = _END.search(buffer, position + self._scanned)
        if found is None:
            size = len(buffer) - position
            if self._skip_line:
                return -1
            if size > self._max:
                self._add(bytes(buffer[position : position + self._max]), frames)
                self.truncated += 1
                self._skip_line = True
                self._scanned = 0
                return -1
            self._scanned = size
            return -1
        if self._skip_line:
            self._skip_line = False
        else:
            line = bytes(buffer[position : found.start()])
            if len(line) > self._max:
                line = line[: self._max]
                self.truncated += 1
            self._add(line, frames)
        self._scanned = 0
        return found.end()

    def _add(self, line: bytes, frames: list[bytes]) -> None:
        if line and not line.isspace():
            frames.append(line)
            self._counting = False
