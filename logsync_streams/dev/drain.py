"""When is everything that was acknowledged settled? Decided here from what the parts say, without asking them.

The embedded broker forgets at its stop, so `logsync dev` must not stop it a record too early. Settled means: `process`
has committed past the last record that the doors were acknowledged, and `index` past the last that `process` produced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

Offsets = Mapping[str, Mapping[str, int]]  # topic -> partition -> offset, as in the JSON of the two /status


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the collector answers for: events, and the highest acknowledged offset of each raw partition."""

    events: int = 0
    offsets: Offsets = field(default_factory=dict)

    @classmethod
    def from_status(cls, status: Mapping[str, Any]) -> Self:
        """From the collector's `/status`. KeyError or TypeError when it has another form."""
        return cls(int(status["accepted_events"]), dict(status["acknowledged"]))

    def joined(self, later: Self) -> Accepted:
        """With what a restarted collector accepted since: events added, the higher offsets kept."""
        offsets = {topic: dict(partitions) for topic, partitions in self.offsets.items()}
        for topic, partitions in later.offsets.items():
            known = offsets.setdefault(topic, {})
            for partition, offset in partitions.items():
                known[partition] = max(offset, known.get(partition, offset))
        return Accepted(self.events + later.events, offsets)


@dataclass(frozen=True, slots=True)
class Settled:
    """How far the worker is. raw: next offset to commit of `process`; produced: highest offsets in logs-enriched;
    indexed: next offset to commit of `index`. The event counts are those since this worker's start.
    """

    raw: Offsets = field(default_factory=dict)
    produced: Offsets = field(default_factory=dict)
    indexed: Offsets = field(default_factory=dict)
    received: int = 0
    foreign: int = 0
    ended: int = 0  # stored, filtered or dead-lettered

    @classmethod
    def from_status(cls, status: Mapping[str, Any]) -> Self:
        """From the worker's `/status`. KeyError or TypeError when it has another form."""
        process, index = status["process"], status["index"]
        return cls(
            raw=dict(process["positions"]),
            produced=dict(status["produced"]),
            indexed=dict(index["positions"]),
            received=int(process["received_events"]),
            foreign=int(process["foreign_events"]),
            ended=int(index["settled_events"]) + int(process["filtered_events"]) + int(process["dead_events"]),
        )


def behind(highest: Offsets, positions: Offsets) -> int:
    """Records up to the highest offsets that the positions have not passed."""
    return sum(
        max(0, offset + 1 - positions.get(topic, {}).get(partition, 0))
        for topic, partitions in highest.items()
        for partition, offset in partitions.items()
    )


def drained(accepted: Accepted, settled: Settled) -> bool:
    """True when nothing acknowledged at the doors, and nothing produced from it, is still on its way."""
    return behind(accepted.offsets, settled.raw) == 0 and behind(settled.produced, settled.indexed) == 0


def left(accepted: Accepted, settled: Settled) -> int:
    """Events on their way: at least 1 until drained. A guess after a worker's restart, which counts from 0 again."""
    if drained(accepted, settled):
        return 0
    return max(1, accepted.events + settled.foreign - settled.ended)
