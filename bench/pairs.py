"""A B B A: two contenders side by side, in pairs, and what may be said of their ratio."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.run import Run

MOST_MOVED = 0.10  # a pair is discarded when the control loop changed by more than this
_TRIES_PER_PAIR = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """One run of each; moved: by how much the control loop's times before and after differ (0.1 = 10 %)."""

    ours: Run
    other: Run
    moved: float

    @property
    def cpu_ratio(self) -> float:
        return self.ours.cpu_us / self.other.cpu_us

    @property
    def speed_ratio(self) -> float:
        return self.ours.events_per_second / self.other.events_per_second


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and most of a few figures."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        digits = 2 if self.median < 10 else 1 if self.median < 1000 else 0
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}–{self.most:,.{digits}f})"


def in_pairs(
    ours: Callable[[], Run],
    other: Callable[[], Run],
    *,
    pairs: int,
    seconds: float,
    control: Callable[[], float],
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[Pair], list[Pair]]:
    """The pairs kept and the pairs discarded, in ABBA order, until `pairs` are kept.

    Ends sooner when as many again were discarded, or when another pair would not end within `seconds`.
    """
    kept: list[Pair] = []
    discarded: list[Pair] = []
    begin = clock()
    longest = 0.0
    while len(kept) < pairs and len(kept) + len(discarded) < _TRIES_PER_PAIR * pairs:
        started = clock()
        if started + longest > begin + seconds:
            break
        before = control()
        if (len(kept) + len(discarded)) % 2 == 0:
            first = ours()
            second = other()
        else:
            second = other()
            first = ours()
        moved = abs(control() / before - 1)
        (kept if moved <= MOST_MOVED else discarded).append(Pair(first, second, moved))
        longest = max(longest, clock() - started)
    return kept, discarded
