"""Live tail: what passes through `logs-enriched`, before it is stored, to every client whose query finds it.

One hub a process. It is fed by `streams/tail.py` while someone listens. A client that reads slowly loses its oldest
waiting logs, never the hub's time, and is told how many; an id that passed in the last minutes is not shown again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from logsync_streams.events import Fields
from logsync_streams.storage.api import Query
from logsync_streams.storage.evaluate import compiled

MAX_WAITING_BYTES = 2 * 1024 * 1024
# Logs kept for clients whose connection broke, and how many ids are known again.
_RECENT_LOGS, _RECENT_BYTES = 5000, 16 * 1024 * 1024
_KNOWN_IDS = 100_000
_KNOWN_SECONDS = 150.0
PING_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Passing:
    """One log on its way. size: of its bytes."""

    id: str
    document: Fields
    size: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Logs that this client does not get: it was too slow, or the process was. at_least: more may be missing."""

    logs: int
    reason: str
    at_least: bool = False


@dataclass(eq=False)
class Listener:
    """One client: what waits for it. Made by `Hub.listen`."""

    query: Query
    most: int
    waiting: deque[Passing] = field(default_factory=deque)
    waiting_bytes: int = 0
    skipped: int = 0
    missed: Skipped | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, log: Passing) -> None:
        """Put the log behind what waits; the oldest make room."""
        self.waiting.append(log)
        self.waiting_bytes += log.size
        while len(self.waiting) > self.most or (self.waiting_bytes > MAX_WAITING_BYTES and len(self.waiting) > 1):
            self.waiting_bytes -= self.waiting.popleft().size
            self.skipped += 1
        self.news.set()

    def miss(self, missed: Skipped) -> None:
        """Say at the next opportunity what never came here."""
        self.missed = missed
        self.news.set()

    async def take(self) -> list[Passing | Skipped]:
        """What waits, oldest first; waits until something does."""
        await self.news.wait()
        self.news.clear()
        taken: list[Passing | Skipped] = []
        if self.missed is not None:
            taken.append(self.missed)
            self.missed = None
        if self.skipped:
            taken.append(Skipped(self.skipped, "slow"))
            self.skipped = 0
        taken += self.waiting
        self.waiting.clear()
        self.waiting_bytes = 0
        return taken


class Hub:
    """Gives each log that passes to the listeners whose query finds it. For one event loop.

    clock: seconds that only go forward.
    """

    def __init__(self, most_waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_waiting, self._clock = most_waiting, clock
        self._groups: dict[Query, tuple[Callable[[Fields], bool], set[Listener]]] = {}
        self._recent: deque[Passing] = deque()
        self._recent_bytes = 0
        self._known, self._known_before = set[str](), set[str]()
        self._known_since = clock()
        self.wanted = asyncio.Event()  # set while somebody listens
        self.closed = False

    @property
    def listeners(self) -> int:
        """How many clients listen."""
        return sum(len(listeners) for _, listeners in self._groups.values())

    def listen(self, query: Query, after: str | None = None) -> Listener:
        """A new client. after: the id of the last log that it saw, to go on from there as far as is still known.

        Raises InvalidQuery. End it with `leave`.
        """
        matching, listeners = self._groups.get(query) or (compiled(query), set[Listener]())
        listener = Listener(query, self._most_waiting)
        if after is not None:
            self._catch_up(listener, matching, after)
        listeners.add(listener)
        self._groups[query] = matching, listeners
        self.wanted.set()
        return listener

    def leave(self, listener: Listener) -> None:
        """The client is gone."""
        _, listeners = self._groups[listener.query]
        listeners.discard(listener)
        if not listeners:
            del self._groups[listener.query]
        if not self._groups:
            self.wanted.clear()

    def close(self) -> None:
        """End all tails: the process stops, and would wait for them."""
        self.closed = True
        for _, listeners in self._groups.values():
            for listener in listeners:
                listener.news.set()

    def forget(self) -> None:
        """Nobody has listened for a while: what passed since is not known here."""
        self._recent.clear()
        self._recent_bytes = 0
        self._known.clear()
        self._known_before.clear()

    def publish(self, bodies: Iterable[bytes]) -> None:
        """Documents as they stand on `logs-enriched`. One that cannot be read is left out: `index` reports it."""
        for body in bodies:
            try:
                log = _passing(body)
            except ValueError:
                continue
            if not self._is_new(log.id):
                continue
            self._remember(log)
            for matching, listeners in self._groups.values():
                if matching(log.document):
                    for listener in listeners:
                        listener.offer(log)

    def behind(self, records: int) -> None:
        """Tell every client that logs passed which nobody here looked at: at least so many records of them."""
        for _, listeners in self._groups.values():
            for listener in listeners:
                listener.miss(Skipped(records, "behind", at_least=True))

    def _catch_up(self, listener: Listener, matching: Callable[[Fields], bool], after: str) -> None:
        place = next((i for i in range(len(self._recent) - 1, -1, -1) if self._recent[i].id == after), None)
        if place is None:
            listener.miss(Skipped(0, "unknown", at_least=True))
            return
        for log in list(self._recent)[place + 1 :]:
            if matching(log.document):
                listener.offer(log)

    def _is_new(self, id: str) -> bool:
        now = self._clock()
        if now - self._known_since > _KNOWN_SECONDS or len(self._known) >= _KNOWN_IDS:
            self._known_before, self._known = self._known, set()
            self._known_since = now
        if id in self._known or id in self._known_before:
            return False
        self._known.add(id)
        return True

    def _remember(self, log: Passing) -> None:
        self._recent.append(log)
        self._recent_bytes += log.size
        while len(self._recent) > _RECENT_LOGS or self._recent_bytes > _RECENT_BYTES:
            self._recent_bytes -= self._recent.popleft().size


def _passing(body: bytes) -> Passing:
    document = orjson.loads(body)
    event = document.get("event") if isinstance(document, dict) else None
    id_ = event.get("id") if isinstance(event, dict) else None
    if not isinstance(id_, str) or not id_.isprintable():
        raise ValueError("a document without event.id")
    return Passing(id_, document, len(body))


async def events(
    hub: Hub, listener: Listener, show: Callable[[Passing], dict[str, Any]], ping_seconds: float = PING_SECONDS
) -> AsyncIterator[bytes]:
    """The client's server-sent events: `log` with the id of the log, `skipped`, and a comment while nothing happens,
    so that proxies keep the connection. Ends when the hub closes.
    """
    yield b"retry: 2000\n\n"
    while not hub.closed:
        try:
            async with asyncio.timeout(ping_seconds):
                taken = await listener.take()
        except TimeoutError:
            yield b":\n\n"
            continue
        yield b"".join(_event(one, show) for one in taken)


def _event(one: Passing | Skipped, show: Callable[[Passing], dict[str, Any]]) -> bytes:
    # JSON has no line breaks of its own, so a log cannot end the event or begin another.
    if isinstance(one, Passing):
        return b"event: log\nid: %b\ndata: %b\n\n" % (one.id.encode(), orjson.dumps(show(one)))
    told = {"logs": one.logs, "at_least": one.at_least, "reason": one.reason}
    return b"event: skipped\ndata: %b\n\n" % orjson.dumps(told)
