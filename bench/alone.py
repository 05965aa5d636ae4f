"""Rows that are no ratios: M1, a worker's memory with much waiting, and R1, a kill in the middle of a run."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

from bench import measure
from bench.contenders import everything_on, ours
from bench.generator import Expected
from bench.load import put
from bench.results import versions
from bench.run import Bench, RunFailed, frozen, place_for, started, wait

_WAITING_EVENTS = 500_000
_MOST_RSS_MB = 200
_START_SECONDS = 90
_RUN_SECONDS = 240
_SETTLE_SECONDS = 2.0


def memory(bench: Bench, number: int) -> str:
    """M1 as Markdown. Raises RunFailed."""
    contender, store = ours("envelopes"), bench.store
    store.prepare(latency_ms=0)
    with place_for(bench, number) as place:
        expected = asyncio.run(put(bench.bootstrap, place.topic, bench.warm_up, "envelopes", "event"))
        with started(everything_on(place), place) as process:
            wait(store, process, expected.kept, _START_SECONDS, "M1: warm-up")
            before = measure.tree(process.pid).peak_rss_mb
            with frozen(process.pid):
                store.reset()
                expected = _much(bench, place.topic)
            wait(store, process, expected.kept, _RUN_SECONDS, "M1")
            peak = measure.tree(process.pid).peak_rss_mb
            store.verify("M1", expected)
    print(f"M1  {peak:4.0f} MB with {expected.sent:,} events waiting, {before:.0f} MB before", flush=True)
    return (
        f"## M1 – peak RSS of a worker (three apps, query API, all on) with {expected.sent:,} events waiting\n\n"
        f"**{peak:.0f} MB** (goal ≤ {_MOST_RSS_MB}); {before:.0f} MB after start and a warm-up; one run.\n\n"
        f"{footer(contender.version)}"
    )


def killed(bench: Bench, number: int) -> str:
    """R1 as Markdown. Raises RunFailed when anything is lost or stored twice, or the kill came too late to prove it."""
    contender, store = ours("envelopes"), bench.store
    store.prepare(latency_ms=0)
    with place_for(bench, number) as place:
        expected = asyncio.run(put(bench.bootstrap, place.topic, bench.warm_up, "envelopes", "event"))
        with started(contender.command(place), place) as process:
            wait(store, process, expected.kept, _START_SECONDS, "R1: warm-up")
            with frozen(process.pid):
                store.reset()
                expected = asyncio.run(put(bench.bootstrap, place.topic, bench.traffic, "envelopes", "event"))
            wait(store, process, expected.kept // 3, _RUN_SECONDS, "R1: before the kill")
            os.killpg(process.pid, signal.SIGKILL)
        at_the_kill = store.stored()
        if at_the_kill >= expected.kept:
            raise RunFailed("R1: all was stored before the kill: it proves nothing, take more events")
        killed_at = time.monotonic()
        with started(contender.command(place), place) as process:
            wait(store, process, at_the_kill + 1, _START_SECONDS, "R1: after the kill")
            recovered = time.monotonic() - killed_at
            wait(store, process, expected.kept, _RUN_SECONDS, "R1: after the kill")
            time.sleep(_SETTLE_SECONDS)
            _, _, again = store.verify("R1", expected)
    print(f"R1  lost 0, twice 0; {again} sent again; going on after {recovered:.1f} s", flush=True)
    return (
        "## R1 – kill −9 in mid-run\n\n"
        f"{expected.sent:,} events, {at_the_kill:,} stored at the kill: **lost 0, stored twice 0** "
        f"(checksum over the ids); {again:,} sent again and refused by their ids; stored again {recovered:.1f} s after "
        f"the kill, the start of the worker and of its groups included.\n\n"
        f"{footer(contender.version)}"
    )


def _much(bench: Bench, topic: str) -> Expected:
    """Put the traffic as often as it takes, each time under other ids."""
    parts = []
    for turn in range(-(-_WAITING_EVENTS // len(bench.traffic.events))):
        traffic = replace(bench.traffic, seed=bench.traffic.seed + 1000 + turn)
        parts.append(asyncio.run(put(bench.bootstrap, topic, traffic, "envelopes", "event")))
    return Expected(
        sum(part.sent for part in parts),
        sum(part.filtered for part in parts),
        sum(part.checksum for part in parts) & 0xFFFF_FFFF_FFFF_FFFF,
    )


def footer(version: Callable[[], str]) -> str:
    """The last line of a section: when, and what was measured. version: of ours."""
    return f"{time.strftime('%Y-%m-%d', time.gmtime())}; {'; '.join(versions([f'LogSync Streams: {version()}']))}\n"
