"""What was found, as a table for people: printed, and kept in bench/RESULTS.md by row."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.cluster import VERSION as STANDIN_VERSION
from bench.pairs import Pair, Spread
from bench.rows import ALONE, ROWS, Row
from bench.run import Run

ENOUGH_PAIRS = 5
_NOT_RUN = "not run: "
_SECTION = re.compile(r"^## (\S+) .*?(?=^## |\Z)", re.M | re.S)
_HEAD = """\
# Benchmark results

Written by `make bench`; a figure elsewhere in this repository comes from here. Ratios are taken within a pair of runs
side by side; median (least–most). CPU is user and system time of the whole process tree for each event sent, start-up
and warm-up left out. Every run was verified: sent = stored + filtered, nothing twice, checksum over the ids.
"""


@dataclass(frozen=True, slots=True)
class Result:
    """A row's outcome. note: why it did not run, "" when it did."""

    row: Row
    kept: Sequence[Pair]
    discarded: Sequence[Pair]
    versions: Sequence[str]
    note: str = ""


def section(result: Result, *, now: datetime | None = None) -> str:
    """The row as Markdown."""
    row = result.row
    head = f"## {row.id} – {row.what}\n\n"
    if result.note or not result.kept:
        why = result.note or f"all {len(result.discarded)} pairs were discarded: the machine did not hold still"
        return f"{head}{_NOT_RUN}{why}\n"
    pairs = result.kept
    lines = [
        "| | CPU µs an event | events/s | peak RSS MB |",
        "|---|---|---|---|",
        _line([pair.ours for pair in pairs]),
        _line([pair.other for pair in pairs]),
        f"| **ratio** | **{Spread.of([pair.cpu_ratio for pair in pairs])}** "
        f"| {Spread.of([pair.speed_ratio for pair in pairs])} | |",
    ]
    facts = [f"{pairs[0].ours.events:,} events a run, {len(pairs)} pairs, {len(result.discarded)} discarded"]
    if row.goal is not None:
        facts.append(f"goal ≤ {row.goal}")
    if row.speed_goal is not None:
        facts.append(f"of events/s ≥ {row.speed_goal}")
    if len(pairs) < ENOUGH_PAIRS:
        facts.append("**indicative** (fewer than five pairs)")
    when = (now or datetime.now(UTC)).strftime("%Y-%m-%d")
    return f"{head}{'; '.join(facts)}.\n\n" + "\n".join(lines) + f"\n\n{when}; {'; '.join(result.versions)}\n"


def versions(contenders: Sequence[str], *, whole: bool = False) -> list[str]:
    """What was measured, on what."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiokafka", "faust-streaming", "orjson", "uvloop"))
    return [
        *contenders,
        libraries,
        f"Elasticsearch {STANDIN_VERSION}" if whole else f"stand-in for Elasticsearch {STANDIN_VERSION}",
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.0f}, Linux {platform.release().split('-')[0]}",
    ]


def update(path: Path, sections: Sequence[str]) -> None:
    """Put these rows' sections into the file; the other rows' stay as they are."""
    text = path.read_text() if path.exists() else ""
    found = {match[1]: match[0].strip() + "\n" for match in _SECTION.finditer(text)}
    for made in sections:
        id = made.split()[1]
        if id not in found or _NOT_RUN not in made:  # figures stand until there are others
            found[id] = made
    order = [id for id in (*(row.id for row in ROWS), *ALONE) if id in found]
    order += sorted(found.keys() - set(order))  # those that are measured in another way, Q1 for one
    path.write_text(_HEAD + "".join(f"\n{found[name]}" for name in order))


def _line(runs: Sequence[Run]) -> str:
    return (
        f"| {runs[0].contender} | {Spread.of([run.cpu_us for run in runs])} "
        f"| {Spread.of([run.events_per_second for run in runs])} "
        f"| {Spread.of([run.peak_rss_mb for run in runs])} |"
    )
