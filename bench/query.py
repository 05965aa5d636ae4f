"""Row Q1: what the query API adds to the bare store, and how long search, histogram and facets take.

`python -m bench Q1` (or `python -m bench.query --documents 100000`): loads seeded documents of one day into a real
Elasticsearch and into the embedded store, then asks through `logsync query` and, in turn with it, the store itself:
Elasticsearch with the same body over plain HTTP, its answer left unread; the embedded store in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import orjson

from bench.generator import events
from bench.results import update
from deploy.servers import ElasticsearchServer, free_port
from logsync_streams.query.language import parse
from logsync_streams.settings import StoreSettings
from logsync_streams.storage.api import Document, EventReader, FacetsRequest, HistogramRequest, SearchRequest
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.elasticsearch_counts import facets_body, histogram_body
from logsync_streams.storage.elasticsearch_query import search_body
from logsync_streams.storage.elasticsearch_reader import SEARCH_PARAMS
from logsync_streams.storage.embedded import EmbeddedStore
from logsync_streams.storage.factory import STORE_FOLDER, Store
from logsync_streams.storage.naming import ALL_INDICES, alias_name
from logsync_streams.words import words_field

RESULTS = Path(__file__).with_name("RESULTS.md")
GOAL = 1.25
_DAY_MS = 86_400_000
_BULK, _BULKS_AT_ONCE = 2000, 3
_MEASURE_SECONDS, _LEAST_ROUNDS = 150, 5  # of each store
_START_SECONDS = 60
_QUERIES = ("", "level:error", "service:checkout level:>=warn", "timeout", '"connection refused"', "-level:info user*")
_FACETS = ("log.level", "service.name", "host.name", "service.environment")
_LEVELS = ("error", "info", "warn", "debug")


@dataclass
class Times:
    """Milliseconds of one kind of request, through the API and of the bare store, taken in turn."""

    api: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return median(self.api) / median(self.bare)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.query", description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument(
        "--rounds", type=int, default=20, help=f"times that each query is asked, in {_MEASURE_SECONDS} s (%(default)s)"
    )
    parser.add_argument("--stores", default="elasticsearch,embedded")
    parser.add_argument("--dry", action="store_true", help="print only, leave bench/RESULTS.md as it is")
    options = parser.parse_args(arguments)
    found: dict[str, dict[str, Times]] = {}
    with tempfile.TemporaryDirectory(prefix="logsync-bench-query-") as folder:
        os.chmod(folder, 0o755)  # Elasticsearch runs as a user of its own
        for store in options.stores.split(","):
            measured = _elasticsearch if store == "elasticsearch" else _embedded
            found[store] = asyncio.run(measured(Path(folder), options.documents, options.rounds))
    made = _section(found, options.documents, options.rounds)
    print(made)
    if not options.dry:
        update(RESULTS, [made])
    return 0


async def _elasticsearch(folder: Path, documents: int, rounds: int) -> dict[str, Times]:
    server = ElasticsearchServer(folder / "elasticsearch", heap_mib=1024)
    try:
        server.start()
        settings = StoreSettings(elasticsearch_urls=[server.url], replicas=0)
        connection = connect(settings)
        store = Store(ElasticsearchWriter(connection), ElasticsearchReader(connection), ElasticsearchAdmin(connection))
        try:
            start, end = await _load(store, documents)
            environment = {"LOGSYNC_STORE__ELASTICSEARCH_URLS": server.url, "LOGSYNC_DATA_DIR": str(folder / "data")}
            async with _api(environment) as api, httpx.AsyncClient(base_url=server.url, timeout=60) as bare:
                return await _measure(api, lambda q: _of_elasticsearch(q, bare, start, end), start, end, rounds)
        finally:
            await store.close()
    finally:
        server.stop()


async def _embedded(folder: Path, documents: int, rounds: int) -> dict[str, Times]:
    data = folder / "embedded"
    one = EmbeddedStore(data / STORE_FOLDER)
    try:
        start, end = await _load(Store(one, one, one), documents)
        async with _api({"LOGSYNC_STORE__KIND": "embedded", "LOGSYNC_DATA_DIR": str(data)}) as api:
            return await _measure(api, lambda q: _of_reader(q, one, start, end), start, end, rounds)
    finally:
        await one.close()


# ----------------------------------------------------------------------------------------------------------- measuring


# Each kind of request, asked of the store itself.
Bare = dict[str, Callable[[], Coroutine[Any, Any, Any]]]


async def _measure(
    api: httpx.AsyncClient, bare_of: Callable[[str], Bare], start: int, end: int, rounds: int
) -> dict[str, Times]:
    times = {"search": Times(), "histogram": Times(), "facets": Times()}
    more = {"search": {}, "histogram": {"split": "level"}, "facets": {}}
    began = time.monotonic()
    for number in range(rounds + 1):
        if number > _LEAST_ROUNDS and time.monotonic() - began > _MEASURE_SECONDS:
            break
        for q in _QUERIES:
            bare = bare_of(q)
            for name, found in times.items():
                parameters = {"q": q, "from": str(start), "to": str(end), **more[name]}
                through_api = await _timed(_ask(api, name, parameters))
                by_itself = await _timed(bare[name]())
                if number:  # the first round warms both up
                    found.api.append(through_api)
                    found.bare.append(by_itself)
    return times


def _requests(q: str, start: int, end: int) -> tuple[SearchRequest, HistogramRequest, FacetsRequest]:
    """What the API asks the store for with this query and its defaults."""
    query = parse(q)
    by_level = tuple(parse(f"level:{level}") for level in _LEVELS)
    interval = (end - start) // 60 + 1
    return (
        SearchRequest(query, start, end),
        HistogramRequest(query, start, end, interval, by_level),
        FacetsRequest(query, _FACETS, start, end),
    )


def _of_reader(q: str, reader: EventReader, start: int, end: int) -> Bare:
    search, histogram, facets = _requests(q, start, end)
    return {
        "search": lambda: reader.search(search),
        "histogram": lambda: reader.histogram(histogram),
        "facets": lambda: reader.facets(facets),
    }


def _of_elasticsearch(q: str, client: httpx.AsyncClient, start: int, end: int) -> Bare:
    search, histogram, facets = _requests(q, start, end)
    bodies = {
        "search": search_body(search, 10),
        "histogram": histogram_body(histogram, 10),
        "facets": facets_body(facets, 10),
    }
    return {name: partial(_post, client, orjson.dumps(body)) for name, body in bodies.items()}


async def _post(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await client.post(f"/{ALL_INDICES}/_search", content=body, headers=headers, params=SEARCH_PARAMS)
    if response.status_code != 200:
        raise RuntimeError(f"the store answered {response.status_code} {response.text[:300]}")


async def _ask(api: httpx.AsyncClient, name: str, parameters: dict[str, str]) -> None:
    response = await api.get(f"/api/logs/{name}", params=parameters)
    if response.status_code != 200:
        raise RuntimeError(f"{name}: {response.status_code} {response.text[:300]}")


async def _timed(asking: Coroutine[Any, Any, Any]) -> float:
    began = time.perf_counter()
    await asking
    return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def _api(environment: dict[str, str]) -> Any:
    port = free_port()
    ours = {"LOGSYNC_QUERY__PORT": str(port), "LOGSYNC_KAFKA__BOOTSTRAP": "127.0.0.1:1", "LOGSYNC_LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "logsync_streams.cli", "query"]
    # It says every few seconds that Kafka, which searching does not need, is away.
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **ours, **environment}, stderr=quiet)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            async with asyncio.timeout(_START_SECONDS):
                while not await _is_up(client):  # noqa: ASYNC110  # another process: nothing tells of it
                    await asyncio.sleep(0.1)
            yield client
    finally:
        process.terminate()
        await process.wait()


async def _is_up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


# ------------------------------------------------------------------------------------------------------------- loading


async def _load(store: Store, number: int) -> tuple[int, int]:
    """Store so many documents, spread over one day; its first and last moment."""
    end = int(time.time() * 1000)
    target = alias_name("default", datetime.fromtimestamp(end / 1000, UTC).date())
    await store.admin.prepare()
    await store.admin.create(target)
    documents = documents_of(number, target, end)

    async def load() -> None:
        while waiting := list(islice(documents, _BULK)):
            await write(store, waiting)

    await asyncio.gather(*(load() for _ in range(_BULKS_AT_ONCE)))
    await store.admin.refresh()
    return end - _DAY_MS, end + 1


async def write(store: Store, documents: list[Document]) -> None:
    wrong = {one for one in await store.writer.write(documents) if one.reaction.value != "stored"}
    if wrong:
        raise RuntimeError(f"not stored: {wrong}")


def documents_of(number: int, target: str, end: int) -> Iterator[Document]:
    for position, event in enumerate(events(number, seed=1, now_ms=end)):
        sent = orjson.loads(event.data)
        id_ = f"{position // 500:032x}-{position % 500:05d}"
        at = datetime.fromtimestamp((end - _DAY_MS * (number - position) // number) / 1000, UTC)
        searched = words_field(sent["message"])
        document = {
            "event": {"id": id_},
            "@timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "message": sent["message"],
            "log": {"level": sent["level"].lower()},
            "service": {"name": sent["service"], "environment": sent["environment"]},
            "host": {"name": sent["host"]},
            "labels": sent["metadata"],
            **({"logsync": {"words": {"message": searched}}} if searched is not None else {}),
        }
        yield Document(target, id_, orjson.dumps(document))


# ------------------------------------------------------------------------------------------------------------- results


def _section(found: dict[str, dict[str, Times]], documents: int, rounds: int) -> str:
    lines = [
        f"## Q1 – the query API ÷ the bare store, over {documents:,} documents",
        "",
        f"{len(_QUERIES)} queries, each up to {rounds} times, through `logsync query` and the store in turn; in ms.",
        f"Goal: search on Elasticsearch ≤ {GOAL}.",
        "",
        "| store | request | API p50 | API p99 | bare p50 | bare p99 | ratio of the medians |",
        "|---|---|---|---|---|---|---|",
    ]
    for store, kinds in found.items():
        for kind, times in kinds.items():
            cells = [_percentile(each, p) for each in (times.api, times.bare) for p in (50, 99)]
            lines.append(f"| {store} | {kind} | {' | '.join(f'{cell:.1f}' for cell in cells)} | {times.ratio:.2f} |")
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    note = "" if documents >= 1_000_000 else "; **indicative** (fewer than a million documents)"
    load = os.getloadavg()[0]
    lines += ["", f"{when}; {os.cpu_count()} CPUs, load average {load:.1f} at the end{note}"]
    return "\n".join(lines) + "\n"


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


if __name__ == "__main__":
    sys.exit(main())
