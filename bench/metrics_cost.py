"""Row O1: what metrics cost a worker. `python -m bench O1`: P3's run of ours, with a meter on each call of one."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from prometheus_client.openmetrics.exposition import generate_latest

from bench.contenders import METERED_FILE_VARIABLE, Command, Place, ours
from bench.pairs import Spread
from bench.run import Bench, Run, run
from logsync_streams import metrics

GOAL = 0.01
RUNS = 3
_SERVICES = 200  # the bound of service labels by default
_SCRAPES = 20
_SCRAPED_EVERY_SECONDS = 15


def section(bench: Bench, numbers: list[int]) -> str:
    """The row as Markdown. numbers: one for each run, that tell their topics from others'."""
    runs = [_metered(bench, number) for number in numbers]
    shares = [spent / (done.cpu_us * done.events / 1e6) for done, spent, _ in runs]
    microseconds = [spent / done.events * 1e6 for done, spent, _ in runs]
    scrape = _scrape_seconds()
    done, _, calls = runs[-1]
    return "\n".join(
        [
            "## O1 – the calls of metrics ÷ the worker's own CPU (process + index), everything on",
            "",
            f"{done.events:,} events a run, {len(runs)} runs; goal ≤ {GOAL:.0%}. Each call is metered by the thread's "
            "CPU. What the meter costs is in it, as are the calls at the start and for the warm-up: an upper bound.",
            "",
            "| | |",
            "|---|---|",
            f"| worker, CPU µs an event | {Spread.of([run.cpu_us for run, _, _ in runs])} |",
            f"| metrics, CPU µs an event | {Spread.of(microseconds)} |",
            f"| **share** | **{max(shares):.2%}** at most, median {median(shares):.2%} |",
            f"| calls | {calls / done.events:.3f} an event |",
            f"| a scrape with {_SERVICES} services, CPU ms | {scrape * 1000:.1f} "
            f"({scrape / _SCRAPED_EVERY_SECONDS:.2%} of a core, every {_SCRAPED_EVERY_SECONDS} s) |",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}; {ours('envelopes').version()}; {os.cpu_count()} CPUs, "
            f"Linux {platform.release().split('-')[0]}",
            "",
        ]
    )


def _metered(bench: Bench, number: int) -> tuple[Run, float, int]:
    """The run, the seconds in metrics, and how many calls."""
    contender, told = ours("envelopes"), bench.folder / f"metered-{number}.json"

    def command(place: Place) -> Command:
        made = contender.command(place)
        arguments = ["bench.metered" if word == "logsync_streams" else word for word in made.arguments]
        return Command(arguments, {**made.environment, METERED_FILE_VARIABLE: str(told)})

    done = run(bench, replace(contender, command=command), number)
    spent = json.loads(Path(told).read_text())
    return done, spent["ns"] / 1e9, spent["calls"]


def _scrape_seconds() -> float:
    for number in range(_SERVICES):
        for level in ("debug", "info", "warn", "error"):
            metrics.processed.labels(f"service-{number}", level).inc()
        for counter in (metrics.volume, metrics.errors):
            counter.labels(f"service-{number}").inc()
        metrics.service_last_seen.labels(f"service-{number}").set(time.time())
    begin = time.process_time()
    for _ in range(_SCRAPES):
        generate_latest(metrics.REGISTRY)  # type: ignore[no-untyped-call]
    return (time.process_time() - begin) / _SCRAPES
