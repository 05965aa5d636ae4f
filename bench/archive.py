"""Rows A1, A2 and A3: what archiving a day costs, and bringing it back.

`python -m bench A1` (or `python -m bench.archive A1 A2 A3 --documents 300000`): a day of seeded documents in a real
Elasticsearch. Ours is the command as an operator runs it, from its start to its end: planning, export, upload,
reading everything back, the manifest; in A3 to S3's API (moto's server).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import orjson

from bench import measure
from bench.pairs import in_pairs
from bench.query import documents_of, write
from bench.results import ENOUGH_PAIRS, Result, section, update, versions
from bench.rows import Row
from bench.run import Run, RunFailed
from deploy.servers import ElasticsearchServer, free_port
from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import alias_name
from tests.moto_server import CREDENTIALS, MotoServer

RESULTS = Path(__file__).with_name("RESULTS.md")
MOST_MB = 200  # of memory, for an index of any size
_ROW_SECONDS = 480
_BULK = 2000
_POLL_SECONDS = 0.02
_AGE = timedelta(days=60)
_BUCKET = "bench"


@dataclass
class Place:
    """What all runs share. mb: of the day's documents. numbers: so that each run writes to a place of its own."""

    folder: Path
    url: str
    s3_url: str
    documents: int
    mb: float
    runs: int = 0
    written: dict[str, float] = field(default_factory=dict)

    @property
    def day(self) -> str:
        """The alias of the day that is archived."""
        return alias_name("default", (datetime.now(UTC) - _AGE).date())

    def of_a_run(self) -> Path:
        self.runs += 1
        folder = self.folder / f"run-{self.runs}"
        folder.mkdir()
        return folder


# ------------------------------------------------------------------------------------------------------- the contenders


def archived(place: Place, *, s3: bool = False) -> Run:
    """`logsync retention run` with a grace time: the day is archived, verified, and stays."""
    folder = place.of_a_run()
    where = folder / "archive"
    done = _ours(
        place, folder, None if s3 else where, ["retention", "run"], f"archived {place.day}: {place.documents} "
    )
    if not s3:
        place.written["zstd"] = _mb(where)
    return _run("archive to S3" if s3 else "logsync retention run", place, done)


def scrolled(place: Place) -> Run:
    """The loop's `save`."""
    file = place.folder / "scrolled.gz"
    done = _measured([*_LOOP, "save", place.url, place.day, str(file)], {}, place.folder / "loop.log")
    _expect(done, str(place.documents))
    place.written["gzip"] = _mb(file)
    return _run("scroll to gzip", place, done)


def restored(place: Place) -> Run:
    """`logsync archive restore` of the archive that a run before has left."""
    folder = place.of_a_run()
    done = _ours(
        place, folder, place.folder / "kept", ["archive", "restore"], f"{place.day}-000001: {place.documents} documents"
    )
    asyncio.run(_count_and_drop(place, "logsync-restored-"))
    return _run("logsync archive restore", place, done)


def loaded(place: Place) -> Run:
    """The loop's `load`, into an index with the same mapping."""
    target = alias_name("loop", (datetime.now(UTC) - _AGE).date())
    asyncio.run(_create(place, target))
    file = place.folder / "scrolled.gz"
    done = _measured([*_LOOP, "load", place.url, target, str(file)], {}, place.folder / "loop.log")
    _expect(done, str(place.documents))
    asyncio.run(_count_and_drop(place, target))
    return _run("gzip to bulks", place, done)


_LOOP = [sys.executable, "-m", "bench.scroll_loop"]


@dataclass(frozen=True, slots=True)
class _Done:
    output: str
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def _ours(place: Place, folder: Path, archive: Path | None, command: Sequence[str], said: str) -> _Done:
    policies = folder / "policies.json"
    policy = {"retention_days": 7, "archive_to_s3": True, "s3_bucket": _BUCKET, "s3_prefix": folder.name}
    if archive is not None:
        policy["s3_prefix"] = "a"
    policies.write_bytes(orjson.dumps({"retention_policies": {"default": policy}}))
    settings = {
        "STORE__ELASTICSEARCH_URLS": place.url,
        "STORE__REPLICAS": "0",
        "KAFKA__EMBEDDED": "true",  # without a broker: nothing is on its way, and the state is a file
        "KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "DATA_DIR": str(folder / "data"),
        "RETENTION__POLICIES_FILE": str(policies),
        "RETENTION__S3_ENDPOINT_URL": place.s3_url,
        "RETENTION__S3_REGION": "us-east-1",
        "RETENTION__S3_ADDRESSING": "path",
        **({} if archive is None else {"RETENTION__ARCHIVE_FOLDER": str(archive)}),
    }
    environment = {f"LOGSYNC_{name}": value for name, value in settings.items()} | CREDENTIALS
    done = _measured([sys.executable, "-m", "logsync_streams.cli", *command], environment, folder / "output.log")
    _expect(done, said)
    return done


def _measured(command: Sequence[str], environment: dict[str, str], log: Path) -> _Done:
    """Run it to its end. Raises RunFailed."""
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        peak = 0.0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak = max(peak, measure.peak_rss_mb(process.pid))  # what wait4 says has ours before its exec in it
            time.sleep(_POLL_SECONDS)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text()
    if process.returncode:
        raise RunFailed(f"{' '.join(command)}: ended with {process.returncode}\n{text[-3000:]}")
    return _Done(text, time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak)


def _expect(done: _Done, said: str) -> None:
    if said not in done.output:
        raise RunFailed(f"{said!r} was expected:\n{done.output[-3000:]}")


def _run(name: str, place: Place, done: _Done) -> Run:
    number = place.documents
    made = Run(name, number, done.cpu_seconds / number * 1e6, number / done.seconds, done.peak_rss_mb, 0)
    mb_per_second = place.mb / done.seconds
    print(
        f"{name:<24} {made.cpu_us:6.2f} µs a document  {made.events_per_second:9,.0f} documents/s "
        f"{mb_per_second:6.1f} MB/s  {made.peak_rss_mb:4.0f} MB",
        flush=True,
    )
    return made


# ---------------------------------------------------------------------------------------------------------------- rows


ROWS: dict[str, tuple[str, Callable[[Place], Run], Callable[[Place], Run]]] = {
    "A1": ("archiving a day into a folder ÷ scrolling it into a gzip file, unverified", archived, scrolled),
    "A3": (
        "archiving a day to S3's API (moto's server) ÷ into a folder",
        lambda place: archived(place, s3=True),
        archived,
    ),
    "A2": ("restoring a day from a folder ÷ sending a gzip file in bulks", restored, loaded),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.archive", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", type=str.upper, help=f"of {', '.join(ROWS)}")
    parser.add_argument("--documents", "--events", type=int, default=300_000)
    parser.add_argument("--pairs", type=int, default=ENOUGH_PAIRS)
    parser.add_argument("--dry", action="store_true", help="print only, leave bench/RESULTS.md as it is")
    options = parser.parse_args(arguments)
    try:
        with _place(options.documents) as place:
            made = [_row(place, name, options.pairs) for name in ROWS if name in (options.rows or ROWS)]
    except RunFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n" + "\n".join(made))
    if not options.dry:
        update(RESULTS, made)
    return 0


def _row(place: Place, name: str, pairs: int) -> str:
    what, ours, other = ROWS[name]
    if name == "A2":  # what is in the store is not restored: the day goes first, archived and scrolled
        scrolled(place)
        archived(place)
        (place.folder / f"run-{place.runs}" / "archive").rename(place.folder / "kept")
        asyncio.run(_count_and_drop(place, place.day))
    kept, discarded = in_pairs(
        lambda: ours(place), lambda: other(place), pairs=pairs, seconds=_ROW_SECONDS, control=measure.control_seconds
    )
    row = Row(name, what, _nobody, _nobody, None)
    tried = [one.removeprefix("stand-in for ") for one in versions([f"Python {sys.version.split()[0]}"])]
    told = section(Result(row, kept, discarded, tried))
    peak = max((pair.ours.peak_rss_mb for pair in [*kept, *discarded]), default=0)
    rates = [pair.ours.events_per_second for pair in [*kept, *discarded]]
    sizes = ", ".join(f"{kind} {size:.1f} MB" for kind, size in place.written.items())
    best = max(rates, default=0) * place.mb / place.documents
    return told + (
        f"\nThe day: {place.documents:,} documents, {place.mb:.0f} MB; kept as: {sizes}. Ours: "
        f"{best:.1f} MB/s at best, {peak:.0f} MB of memory at most (goal ≤ {MOST_MB}). Start-up included. "
        f"Elasticsearch 8.19.8 on the same machine; load average {os.getloadavg()[0]:.1f} at the end.\n"
    )


def _nobody() -> NoReturn:
    raise RunFailed("an archive's contender runs by itself")


@contextmanager
def _place(documents: int) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="logsync-bench-archive-") as name, MotoServer() as moto:
        folder = Path(name)
        folder.chmod(0o755)  # Elasticsearch runs as a user of its own
        os.environ.update(CREDENTIALS)
        moto.bucket(_BUCKET)
        server = ElasticsearchServer(folder / "elasticsearch", heap_mib=1024)
        try:
            server.start()
            place = Place(folder, server.url, moto.url, documents, 0)
            place.mb = asyncio.run(_fill(place))
            yield place
        finally:
            server.stop()


# --------------------------------------------------------------------------------------------------------------- store


@contextmanager
def _opened(place: Place) -> Iterator[Store]:
    connection = connect(StoreSettings(elasticsearch_urls=[place.url], replicas=0))
    yield Store(ElasticsearchWriter(connection), ElasticsearchReader(connection), ElasticsearchAdmin(connection))


async def _fill(place: Place) -> float:
    """Store the day; how many MB its documents are."""
    size, waiting = 0, []
    end = int((datetime.now(UTC) - _AGE).timestamp() * 1000)
    with _opened(place) as store:
        await store.admin.prepare()
        await store.admin.create(place.day)
        for document in documents_of(place.documents, place.day, end):
            waiting.append(document)
            size += len(document.body)
            if len(waiting) == _BULK:
                await write(store, waiting)
                waiting = []
        if waiting:
            await write(store, waiting)
        await store.admin.refresh()
        await store.close()
    return size / 1e6


async def _create(place: Place, target: str) -> None:
    with _opened(place) as store:
        await store.admin.create(target)
        await store.close()


async def _count_and_drop(place: Place, prefix: str) -> None:
    """Drop the indices of that name. Raises RunFailed unless they had all documents."""
    with _opened(place) as store:
        await store.admin.refresh()
        found = [info for info in await store.admin.indices() if str(info.name).startswith(prefix)]
        for info in found:
            await store.admin.drop(str(info.name))
        await store.close()
    if sum(info.documents for info in found) != place.documents:
        raise RunFailed(f"{prefix}: {found}, where {place.documents} documents were expected")


def _mb(path: Path) -> float:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files) / 1e6


if __name__ == "__main__":
    sys.exit(main())
