"""Stack traces that a sender splits into lines -> one event, before ids are stamped.

Joined at the door and nowhere later: what is joined later could be joined differently at redelivery (DESIGN §4). Known
are the traces of Java, Python, Go, Node.js and .NET, or a pattern of the operator's own for the first line of an event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

# rsyslog writes a tab as #011.
_INDENT = rb"(?:#011|[ \t])"
# Java, Node.js, .NET: indented frames, causes, and the exception itself on a line after the one that logged it.
_FRAME = re.compile(
    _INDENT + rb"+(?:at |\.\.\. \d|eval at |Suppressed: |Caused by: |--- End of |---> )"
    rb"|Caused by: |Suppressed: |---> |--- End of "
    rb"|(?:[a-z_$][\w$]*\.)+[\w$]*(?:Exception|Error|Throwable)(?:: |$)"
)
_PYTHON = b"Traceback (most recent call last):"
_PYTHON_BODY = re.compile(_INDENT + rb"|$")
_PYTHON_CHAIN = re.compile(
    rb"$|During handling of the above exception|The above exception was the direct cause|Traceback "
)
_PYTHON_END = re.compile(rb"[A-Za-z_][\w.]*(?::|$)")
_GO = re.compile(rb"panic: |fatal error: |goroutine \d+ \[")
_GO_BODY = re.compile(
    rb"$|goroutine \d+ \[|" + _INDENT + rb"|\[signal |created by |exit status |[\w./*()\[\]-]+\(.*\)$|panic: "
)

# First bytes of what `_FRAME` matches, and of what `_PYTHON` and `_GO` do: to look here first is ten times as quick.
_MAY_GO_ON = frozenset(b"\t #CS-_$abcdefghijklmnopqrstuvwxyz")
_MAY_BEGIN = frozenset(b"Tpfg")

# What the lines of an event so far have been.
_PLAIN, _IN_PYTHON, _AFTER_PYTHON, _IN_GO = range(4)

_MOST_WAITS = 10  # an event that goes on and on is let go after so many waits
_MAX_KEYS = 5000
_MAX_BYTES = 8 * 1024 * 1024


class _Held:
    __slots__ = ("data", "first", "last", "parts", "size", "state")

    def __init__(self, data: bytes, state: int, now: float) -> None:
        self.data, self.state, self.first, self.last = data, state, now, now
        self.parts: list[bytes] | None = None
        self.size = len(data)

    def joined(self) -> bytes:
        return self.data if self.parts is None else b"\n".join([self.data, *self.parts])


class Joiner(Generic[Key]):
    """Holds the last event of each sender until it is known to be over.

    emit(key, event) gets each event in the order of its sender; it must not raise. on_joined: called for each line
    that became part of an event. No clock is read: the caller gives `now`, in seconds.
    """

    def __init__(
        self,
        emit: Callable[[Key, bytes], None],
        *,
        wait_seconds: float,
        max_bytes: int,
        start: str | None = None,
        on_joined: Callable[[], None] = lambda: None,
    ) -> None:
        self._emit, self._wait, self._max, self._on_joined = emit, wait_seconds, max_bytes, on_joined
        self._start = re.compile(start.encode()) if start is not None else None
        self._held: dict[Key, _Held] = {}
        self._bytes = 0

    @property
    def held(self) -> int:
        """How many events are held."""
        return len(self._held)

    def push(self, key: Key, data: bytes, text_start: int, now: float) -> None:
        """One line of a sender: the whole message, and where its text begins in it.

        Of a line that is joined only the text is kept; what stands before it repeats the first line's.
        """
        held = self._held.get(key)
        first = data[text_start] if text_start < len(data) else -1
        if held is None:
            self._held[key] = _Held(data, self._begins(data, text_start, first), now)
            self._bytes += len(data)
            self._keep_within_bounds()
            return
        # The way of a line that stands alone is short: nearly all do, and this runs for each.
        plain = held.state == _PLAIN and self._start is None and first not in _MAY_GO_ON
        state = -1 if plain else self._goes_on(held.state, data, text_start)
        if state >= 0 and held.size + len(data) - text_start < self._max:
            text = data[text_start:].rstrip(b"\r\n\0")
            if held.parts is None:
                held.parts = [text]
            else:
                held.parts.append(text)
            held.state, held.last = state, now
            held.size += len(text) + 1
            self._bytes += len(text) + 1
            self._on_joined()
        else:
            over = held.data if held.parts is None else held.joined()
            self._bytes += len(data) - held.size
            held.data, held.state, held.parts = data, self._begins(data, text_start, first), None
            held.first = held.last = now
            held.size = len(data)
            self._emit(key, over)
        if self._bytes > _MAX_BYTES:
            self._keep_within_bounds()

    def expire(self, now: float) -> None:
        """Let go of the events that were waited for long enough."""
        late, oldest = now - self._wait, now - self._wait * _MOST_WAITS
        for key in [key for key, held in self._held.items() if held.last <= late or held.first <= oldest]:
            self._let_go(key, self._held.pop(key))

    def flush(self) -> None:
        """Let go of all."""
        while self._held:
            key = next(iter(self._held))
            self._let_go(key, self._held.pop(key))

    def _keep_within_bounds(self) -> None:
        while len(self._held) > _MAX_KEYS or self._bytes > _MAX_BYTES:
            oldest = next(iter(self._held))
            self._let_go(oldest, self._held.pop(oldest))

    def _let_go(self, key: Key, held: _Held) -> None:
        self._bytes -= held.size
        self._emit(key, held.joined())

    def _begins(self, data: bytes, at: int, first: int) -> int:
        if first not in _MAY_BEGIN:
            return _PLAIN
        if data.startswith(_PYTHON, at):
            return _IN_PYTHON
        return _IN_GO if _GO.match(data, at) else _PLAIN

    def _goes_on(self, state: int, data: bytes, at: int) -> int:
        """The state after the line if it goes on with an event of this state, -1 if it does not."""
        if self._start is not None:
            return -1 if self._start.match(data, at) else _PLAIN
        if state == _IN_PYTHON:
            if _PYTHON_BODY.match(data, at):
                return _IN_PYTHON
            return _AFTER_PYTHON if _PYTHON_END.match(data, at) else -1
        if state == _AFTER_PYTHON:
            if not _PYTHON_CHAIN.match(data, at):
                return -1
            return _IN_PYTHON if data.startswith(_PYTHON, at) else _AFTER_PYTHON
        if state == _IN_GO:
            return _IN_GO if _GO_BODY.match(data, at) else -1
        return _PLAIN if _FRAME.match(data, at) else -1


# Whose line a syslog message is, and where its text begins. RFC 5424: host, application, process. RFC 3164 and its
# like: host and tag.
_SYSLOG_HEAD = re.compile(
    rb"<\d{1,3}>(?:"
    rb'[1-9]\d? \S{1,64} (\S{1,255} \S{1,48} \S{1,128}) \S{1,32} (?:-|(?:\[(?:[^"\]]|"(?:[^"\\]|\\.)*")*\])+)'
    rb"(?: (?:\xef\xbb\xbf)? ?|$)"  # rsyslog puts a space before the text
    rb"|(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |\d{4}-\d\d-\d\dT\S{1,40} )"
    rb"([^:\[]{1,300}(?:\[[^\]\s]{0,128}\])?:)(?: |$)?"
    rb")",
    re.DOTALL,
)


def syslog_head(data: bytes) -> tuple[bytes, int]:
    """(whose line it is, where its text begins) of a syslog message; (b"", 0) where no head is known."""
    head = _SYSLOG_HEAD.match(data)
    if head is None:
        return b"", 0
    return head[1] or head[2], head.end()


class _Lines:
    def __init__(self) -> None:
        self.events: list[bytes] = []

    def emit(self, key: None, data: bytes) -> None:
        self.events.append(data)


def join_lines(lines: list[bytes], *, max_bytes: int, start: str | None, on_joined: Callable[[], None]) -> list[bytes]:
    """The events of a body of text lines: those that go on with a stack trace are joined."""
    made = _Lines()
    joiner: Joiner[None] = Joiner(made.emit, wait_seconds=1, max_bytes=max_bytes, start=start, on_joined=on_joined)
    for line in lines:
        joiner.push(None, line, 0, 0)
    joiner.flush()
    return made.events
