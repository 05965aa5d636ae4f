"""How many bulk requests may be under way: fewer when the store is overloaded, more again when it is not.

Additive increase and multiplicative decrease, as TCP does it: workers that share a store end up sharing it fairly,
without knowing of each other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to one request. epoch: how often the window had shrunk when it was given."""

    epoch: int


class Window:
    """At most `most` requests at once, never fewer than one. on_change is told the number at each change of it."""

    def __init__(self, most: int, on_change: Callable[[int], None] = lambda limit: None) -> None:
        self._most, self._limit, self._on_change = most, float(most), on_change
        self._under_way = 0
        self._epoch = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        on_change(most)

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return int(self._limit)

    async def enter(self) -> Permit:
        """Wait for a place, first come first served; every permit must be given back by `leave`."""
        while self._under_way >= self.limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()  # it was our turn: it is the next one's
                raise
        self._under_way += 1
        return Permit(self._epoch)

    def leave(self, permit: Permit, *, overloaded: bool) -> None:
        """The request has ended. What was sent before the window last shrank does not shrink it once more: the store
        had no chance yet to be relieved.
        """
        self._under_way -= 1
        before = self.limit
        if not overloaded:
            self._limit = min(self._most, self._limit + 1 / self._limit)
        elif permit.epoch == self._epoch:
            self._limit = max(1.0, self._limit / 2)
            self._epoch += 1
        if self.limit != before:
            self._on_change(self.limit)
        for _ in range(max(1, self.limit - self._under_way)):
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
