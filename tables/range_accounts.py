"""The live identity: of every range of source offsets, received = documents + filtered + dead (DESIGN §5).

`process` writes a range's counts on the first record that it sends for it; whoever reads the records adds up what
the others carry. Nothing here reads a clock or a topic.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from logsync_streams.enriched import Enriched

MAX_OPEN = 1000  # ranges begun and not ended; beyond it the oldest are let go unchecked


@dataclass(slots=True)
class _Open:
    missing: int
    parts: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Verdict:
    """checked: ranges that could be checked whole; unaccounted: events that are too few or too many in them."""

    checked: int = 0
    unaccounted: int = 0


NOTHING = Verdict()


class RangeAccounts:
    """Takes the records of `logs-enriched` in the order of their partition.

    A range that was seen from its middle on (the reader restarted) cannot be checked and is not. A range that ends
    unfinished because `process` died is sent again from its first offset; when instead the next range follows, the
    records that never came are unaccounted for.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], dict[tuple[int, int], _Open]] = {}

    def clear(self) -> None:
        """Forget what is open: the partitions were given anew, and reading begins at the last commit."""
        self._open.clear()

    def add(self, record: Enriched) -> Verdict:
        """What this record shows."""
        if record.part == 0 == record.parts - 1 and not self._open:  # the most frequent case by far
            return Verdict(1, abs(_left(record)))
        ranges = self._open.setdefault((record.topic, record.partition), {})
        place = (record.first, record.last)
        checked = unaccounted = 0
        if record.part == 0:
            for begun in list(ranges):
                lost = ranges.pop(begun)
                if begun[1] < record.first:  # else it is being sent again
                    checked, unaccounted = checked + 1, unaccounted + abs(lost.missing)
            ranges[place] = _Open(record.counts.received - record.counts.filtered - record.counts.dead)
        found = ranges.get(place)
        if found is not None:
            if record.part not in found.parts:
                found.parts.add(record.part)
                found.missing -= len(record.documents)
            if len(found.parts) == record.parts:
                del ranges[place]
                checked, unaccounted = checked + 1, unaccounted + abs(found.missing)
        if not ranges:
            del self._open[record.topic, record.partition]
        self._bound()
        return Verdict(checked, unaccounted)

    def _bound(self) -> None:
        if len(self._open) > MAX_OPEN:
            del self._open[next(iter(self._open))]


def _left(record: Enriched) -> int:
    counts = record.counts
    return counts.received - counts.filtered - counts.dead - len(record.documents)
