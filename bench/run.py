"""One run of one contender: started, warmed up, frozen while its topic is loaded, then measured until all is stored.

Frozen (SIGSTOP) rather than started late: start-up costs are then in no figure, and no program gets a head start on
a topic that is still being filled.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench import measure
from bench.contenders import Command, Contender, Place
from bench.load import Traffic, create, delete, put
from bench.stores import RunFailed, Store
from logsync_streams.settings import KafkaSettings
from logsync_streams.topics import topics

__all__ = ["Bench", "Run", "RunFailed", "frozen", "place_for", "run", "started", "wait"]

_START_SECONDS = 90
_RUN_SECONDS = 180
_STOP_SECONDS = 20
_POLL_SECONDS = 0.2
_SETTLE_SECONDS = 0.5  # in which whatever is written twice would come


@dataclass(frozen=True, slots=True)
class Run:
    """What one contender took for the loaded events, its warm-up left out."""

    contender: str
    events: int
    cpu_us: float  # user and system of its whole process tree, an event sent
    events_per_second: float
    peak_rss_mb: float
    bulks: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share. folder: scratch. pids: processes whose CPU belongs to the run, beside the store's own."""

    folder: Path
    bootstrap: str
    store: Store
    warm_up: Traffic
    traffic: Traffic
    pids: tuple[int, ...] = ()


@contextmanager
def place_for(bench: Bench, number: int) -> Iterator[Place]:
    """A folder and topics of a run's own, with a store that is empty. number: tells this run from the others."""
    place = Place(bench.folder / f"run-{number}", bench.bootstrap, f"bench-{number}", bench.store.port)
    place.folder.mkdir()
    kafka = KafkaSettings(raw_topics=[place.topic], replication_factor=1, min_insync_replicas=1)
    asyncio.run(create(bench.bootstrap, topics(kafka)))
    try:
        yield place
    finally:
        asyncio.run(delete(bench.bootstrap, [place.topic]))


def run(bench: Bench, contender: Contender, number: int) -> Run:
    """Raises RunFailed, Missing."""
    bench.store.prepare(contender.latency_ms)
    with place_for(bench, number) as place:
        expected = asyncio.run(put(bench.bootstrap, place.topic, bench.warm_up, contender.form, contender.identity))
        command = contender.command(place)
        with started(command, place) as process:
            wait(bench.store, process, expected.kept, _START_SECONDS, f"{contender.name}: warm-up")
            _wait_until_shared(command)
            return _measured(bench, contender, place, process)


def _measured(bench: Bench, contender: Contender, place: Place, process: subprocess.Popen[bytes]) -> Run:
    time.sleep(_SETTLE_SECONDS)  # the warm-up's commits
    store, pids = bench.store, (process.pid, *bench.store.pids, *bench.pids)
    traffic = bench.traffic.with_broken(contender.one_broken_in) if contender.one_broken_in else bench.traffic
    with frozen(process.pid):
        store.reset()
        expected = asyncio.run(put(bench.bootstrap, place.topic, traffic, contender.form, contender.identity))
        before = sum(measure.tree(pid).cpu_seconds for pid in pids)
        begin = time.monotonic()
    wait(store, process, expected.kept, _RUN_SECONDS, contender.name)
    after = sum(measure.tree(pid).cpu_seconds for pid in pids)
    peak_rss_mb = measure.tree(process.pid).peak_rss_mb
    time.sleep(_SETTLE_SECONDS)
    last, bulks, twice = store.verify(contender.name, expected)
    if twice:
        raise RunFailed(f"{contender.name}: {twice} documents were written twice")
    cpu_us = (after - before) / expected.sent * 1e6
    return Run(contender.name, expected.sent, cpu_us, expected.sent / (last - begin), peak_rss_mb, bulks)


def wait(store: Store, process: subprocess.Popen[bytes], stored: int, seconds: float, what: str) -> None:
    """Until the store has so many documents. Raises RunFailed when the process ends before, or the time is over."""
    deadline = time.monotonic() + seconds
    while (found := store.stored()) < stored:
        if process.poll() is not None:
            raise RunFailed(f"{what}: ended with {process.returncode} after {found} of {stored}; see {process.args!r}")
        if time.monotonic() > deadline:
            raise RunFailed(f"{what}: {found} of {stored} stored after {seconds:.0f} s")
        time.sleep(store.poll_seconds)


def _wait_until_shared(command: Command) -> None:
    """Until each of several workers has partitions of its own: one that comes later would have nothing to do."""
    deadline = time.monotonic() + _START_SECONDS
    for port in command.status_ports:
        while not _has_partitions(port):
            if time.monotonic() > deadline:
                raise RunFailed(f"the worker at port {port} got no partitions in {_START_SECONDS} s")
            time.sleep(_POLL_SECONDS)


def _has_partitions(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
            told = orjson.loads(answer.read())
    except OSError:
        return False  # it does not listen yet
    return all(told[role]["assigned_partitions"] > 0 for role in ("process", "index"))


@contextmanager
def started(command: Command, place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """The process, ended with all its children in the end. Raises RunFailed with the end of its output."""
    with (place.folder / "output.log").open("ab") as log:
        process = subprocess.Popen(
            command.arguments,
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    except RunFailed as failure:
        tail = (place.folder / "output.log").read_text(errors="replace")[-3000:]
        raise RunFailed(f"{failure}\nThe end of its output:\n{tail}") from failure
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def frozen(root: int) -> Iterator[None]:
    """The process and its group stand still meanwhile."""
    os.killpg(root, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(root, signal.SIGCONT)
