"""What the fault tests share: our processes under load, and the line with what became of every event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.faults.scale import scaled
from tests.pipeline.oracle import Load, Oracle, Verdict, stored_numbers
from tests.pipeline.processes import Child, Pipeline

EVENTS_PER_SECOND = 1000
SETTLED_SECONDS = scaled(400, 3600)  # generous: the machine may be busy with other things


@dataclass
class Scene:
    """A collector, workers, and the load on them. Use as a context: the load runs within it."""

    name: str  # as in the printed line
    pipeline: Pipeline
    oracle: Oracle
    workers: list[Child] = field(default_factory=list)
    numbers: Callable[[], Iterable[int]] | None = None  # what the store has; None: ask Elasticsearch
    events_per_second: int = EVENTS_PER_SECOND

    def __enter__(self) -> Scene:
        self.collector = self.pipeline.collector()
        if not self.workers:
            self.workers.append(self.pipeline.worker())
        for child in (self.collector, *self.workers):
            child.wait_until_ready()
        self.load = Load(self.oracle, self.collector.url, events_per_second=self.events_per_second)
        self.load.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.load.__exit__()

    @property
    def worker(self) -> Child:
        """The youngest worker."""
        return self.workers[-1]

    def add_worker(self, **extra: str) -> Child:
        """One more worker, ready."""
        self.workers.append(self.pipeline.worker(**extra))
        self.worker.wait_until_ready()
        return self.worker

    def acknowledge(self, number: int, within_seconds: float = 600.0) -> None:
        """Return when so many more events were acknowledged."""
        number *= scaled(1, 10)
        goal = len(self.oracle.acknowledged) + number
        deadline = time.monotonic() + within_seconds
        while len(self.oracle.acknowledged) < goal:
            assert time.monotonic() < deadline, f"{self.name}: {number} events were not acknowledged in time"
            time.sleep(0.05)

    def settle(self, **figures: object) -> Verdict:
        """The verdict once all is settled, printed in one line together with the figures. Ask after the load's end."""
        numbers = self.numbers or (lambda: stored_numbers(self.pipeline.elasticsearch_url))
        started = time.monotonic()
        verdict = self.oracle.settled_by(numbers, self.pipeline.bootstrap, SETTLED_SECONDS)
        recovery = time.monotonic() - started
        rss = max((worker.rss_mib for worker in self.workers), default=0.0)
        told = "".join(f" {name} {value}" for name, value in figures.items())
        refused = dict(self.load.refused)
        print(f"{self.name}: {verdict} recovery {recovery:.1f} s rss {rss:.0f} MiB refused {refused}{told}")
        return verdict


def assert_kept(verdict: Verdict) -> None:
    """The promise of DESIGN §5."""
    assert (0, 0, 0) == (verdict.missing, verdict.twice, verdict.spurious), str(verdict)
    assert verdict.identity_holds, str(verdict)
    assert verdict.acknowledged > 0
