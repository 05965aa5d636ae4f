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
from typing import Any

import orjson

from bench import measure
from bench.contenders import Contender, Place
from bench.generator import Expected
from bench.load import Traffic, create, delete, put
from logsync_streams.settings import KafkaSettings
from logsync_streams.topics import topics

_START_SECONDS = 90
_RUN_SECONDS = 180
_STOP_SECONDS = 20
_POLL_SECONDS = 0.02
_SETTLE_SECONDS = 0.5  # in which whatever is written twice would come


class RunFailed(Exception):
    """The contender did not store what it was sent, or ended; the message says which and where its log is."""


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
    """What all runs share. folder: scratch. standin_port: where the store listens."""

    folder: Path
    bootstrap: str
    standin_port: int
    warm_up: Traffic
    traffic: Traffic


def standin(port: int, path: str, body: bytes | None = None) -> dict[str, Any]:
    """Ask the stand-in store; a body makes it a POST."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_standin/{path}", data=body, timeout=60) as answer:
        told: dict[str, Any] = orjson.loads(answer.read())
        return told


def run(bench: Bench, contender: Contender, number: int) -> Run:
    """Raises RunFailed, Missing. number: tells this run's topic from the others'."""
    place = Place(bench.folder / f"run-{number}", bench.bootstrap, f"bench-{number}", bench.standin_port)
    place.folder.mkdir()
    kafka = KafkaSettings(raw_topics=[place.topic], replication_factor=1, min_insync_replicas=1)
    asyncio.run(create(bench.bootstrap, topics(kafka)))
    standin(bench.standin_port, "reset", b"{}")
    try:
        expected = asyncio.run(put(bench.bootstrap, place.topic, bench.warm_up, contender.form, contender.identity))
        with _process(contender, place) as process:
            _wait(bench, process, expected.kept, _START_SECONDS, f"{contender.name}: warm-up")
            return _measured(bench, contender, place, process)
    finally:
        asyncio.run(delete(bench.bootstrap, [place.topic]))


def _measured(bench: Bench, contender: Contender, place: Place, process: subprocess.Popen[bytes]) -> Run:
    time.sleep(_SETTLE_SECONDS)  # the warm-up's commits
    traffic = bench.traffic.with_broken(contender.one_broken_in) if contender.one_broken_in else bench.traffic
    with _frozen(process.pid):
        standin(bench.standin_port, "reset", b"{}")
        expected = asyncio.run(put(bench.bootstrap, place.topic, traffic, contender.form, contender.identity))
        before = measure.tree(process.pid)
        begin = time.monotonic()
    _wait(bench, process, expected.kept, _RUN_SECONDS, contender.name)
    after = measure.tree(process.pid)
    time.sleep(_SETTLE_SECONDS)
    stats = standin(bench.standin_port, "stats?checksum=1")
    _verify(contender.name, expected, stats)
    return Run(
        contender.name,
        expected.sent,
        (after.cpu_seconds - before.cpu_seconds) / expected.sent * 1e6,
        expected.sent / (stats["last"] - begin),
        after.peak_rss_mb,
        stats["bulks"],
    )


def _verify(name: str, expected: Expected, stats: dict[str, Any]) -> None:
    told = {"stored": stats["stored"], "twice": stats["duplicates"], "checksum": stats["checksum"]}
    wanted = {"stored": expected.kept, "twice": 0, "checksum": expected.checksum}
    if told != wanted:
        raise RunFailed(
            f"{name}: sent {expected.sent}, filtered {expected.filtered}, broken {expected.dead}; {wanted} != {told}"
        )


def _wait(bench: Bench, process: subprocess.Popen[bytes], stored: int, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while (found := standin(bench.standin_port, "stats")["stored"]) < stored:
        if process.poll() is not None:
            raise RunFailed(f"{what}: ended with {process.returncode} after {found} of {stored}; see {process.args!r}")
        if time.monotonic() > deadline:
            raise RunFailed(f"{what}: {found} of {stored} stored after {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _process(contender: Contender, place: Place) -> Iterator[subprocess.Popen[bytes]]:
    command = contender.command(place)
    with (place.folder / "output.log").open("wb") as log:
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
def _frozen(root: int) -> Iterator[None]:
    os.killpg(root, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(root, signal.SIGCONT)
