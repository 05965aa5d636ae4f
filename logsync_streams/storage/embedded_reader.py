"""The embedded store as it is read: the folders of all targets' indices, from the process that writes or another."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import orjson

from logsync_streams.errors import ConfigurationError, InvalidQuery, Unavailable
from logsync_streams.storage.api import (
    Bucket,
    Facet,
    FacetsRequest,
    HistogramRequest,
    Hit,
    IndexInfo,
    Page,
    Portion,
    SearchRequest,
    Stored,
)
from logsync_streams.storage.counting import check_facets, check_histogram, filled, ranked
from logsync_streams.storage.documents import hit
from logsync_streams.storage.embedded_index import IndexFolder
from logsync_streams.storage.embedded_schema import split_id
from logsync_streams.storage.evaluate import check
from logsync_streams.storage.naming import parse_index

T = TypeVar("T")
_READ_THREADS = 2


class EmbeddedReader:
    """EventReader, and what of IndexAdmin only looks, over <data folder>/store, beside the worker that writes there.

    Opens every index. Raises ConfigurationError when one of them cannot be read. A folder that is not there yet is
    Unavailable until the worker has made it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, IndexFolder] = {}
        self._lock = threading.Lock()
        self._readers = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="embedded-read")
        if folder.exists():
            try:
                self._folders()
            except Unavailable as error:
                raise ConfigurationError([error.detail]) from error

    async def search(self, request: SearchRequest) -> Page:
        check(request.query)
        _check_places(request)
        return await self._in_thread(self._readers, lambda: self._search(request))

    async def get(self, id: str) -> Hit | None:
        return await self._in_thread(self._readers, lambda: self._get(id))

    async def histogram(self, request: HistogramRequest) -> list[Bucket]:
        check_histogram(request)
        _check_times(request.start, request.end)
        return await self._in_thread(self._readers, lambda: self._histogram(request))

    async def facets(self, request: FacetsRequest) -> list[Facet]:
        check_facets(request)
        _check_times(request.start, request.end)
        return await self._in_thread(self._readers, lambda: self._facets(request))

    async def existing(self, indices: Collection[str], ids: Collection[str]) -> set[str]:
        return await self._in_thread(self._readers, lambda: self._existing(indices, ids))

    async def ready(self) -> None:
        await self._in_thread(self._readers, self._folders)

    async def indices(self) -> list[IndexInfo]:
        def look(one: IndexFolder) -> IndexInfo:
            return IndexInfo(one.name, one.count(), one.size_bytes(), one.write_blocked)

        return await self._in_thread(self._readers, lambda: [info for _, info in self._ask(look)])

    async def portions(self, index: str) -> list[Portion]:
        found = self._ask(lambda one: one.portions(), among=[index])
        return await self._in_thread(self._readers, lambda: [portion for _, some in found for portion in some])

    async def scan(self, index: str, after: str = "", limit: int = 500) -> list[Stored]:
        found = self._ask(lambda one: one.scan(after, limit), among=[index])
        return await self._in_thread(self._readers, lambda: [stored for _, some in found for stored in some])

    async def close(self) -> None:
        await asyncio.to_thread(self._readers.shutdown)
        with self._lock:
            self._open.clear()

    # ------------------------------------------------------------------------------------------------- in the threads

    def _search(self, request: SearchRequest) -> Page:
        total, pages = 0, []
        for index, (count, found) in self._ask(lambda index: index.search(request, request.limit + 1)):
            total += count
            pages.append([(one.place, str(index.name), one.body) for one in found])
        merged = heapq.merge(*pages, key=lambda one: one[0], reverse=request.order == "desc")
        first = [one for one, _ in zip(merged, range(request.limit + 1), strict=False)]
        hits = [hit(index, place, orjson.loads(body)) for place, index, body in first[: request.limit]]
        more = len(first) > request.limit
        return Page(hits=hits, total=total, relation="eq", cursor=first[request.limit - 1][0] if more else None)

    def _histogram(self, request: HistogramRequest) -> list[Bucket]:
        total: dict[int, list[int]] = {}
        for _, rows in self._ask(lambda index: index.histogram(request)):
            for start, row in rows.items():
                total[start] = [a + b for a, b in zip(total.get(start, [0] * len(row)), row, strict=True)]
        return filled(request, total)

    def _facets(self, request: FacetsRequest) -> list[Facet]:
        totals: list[Counter[str]] = [Counter() for _ in request.fields]
        complete = [True] * len(request.fields)
        for _, found in self._ask(lambda index: index.facets(request)):
            for position, counted in enumerate(found):
                totals[position].update(counted.counts)
                complete[position] &= counted.complete
        return [
            ranked(field, totals[i], request.limit, more=not complete[i], exact=complete[i])
            for i, field in enumerate(request.fields)
        ]

    def _get(self, id: str) -> Hit | None:
        for index, found in self._ask(lambda index: index.get(id)):
            if found is not None:
                return hit(str(index.name), found.place, orjson.loads(found.body))
        return None

    def _existing(self, names: Collection[str], ids: Collection[str]) -> set[str]:
        found: set[str] = set()
        for _, some in self._ask(lambda index: index.existing(ids), among=names):
            found |= some
        return found

    def _ask(
        self, question: Callable[[IndexFolder], T], *, among: Collection[str] | None = None
    ) -> Iterator[tuple[IndexFolder, T]]:
        """The answers of all indices, or of those named by themselves or by their alias. Raises Unavailable."""
        for index in self._folders():
            if among is not None and str(index.name) not in among and index.name.alias not in among:
                continue
            try:
                try:
                    answer = question(index)
                except (OSError, ValueError):
                    # A merge of the writer may take away files between our look at the index and their opening.
                    answer = question(index)
            except (OSError, ValueError) as error:
                if not index.path.exists():
                    continue  # dropped meanwhile
                raise unreadable_folder(index.path, error) from error
            yield index, answer

    def _folders(self) -> list[IndexFolder]:
        """All indices, by name. Raises Unavailable when the store is not there or an index cannot be read."""
        with self._lock:
            try:
                there = {entry.name: entry for entry in self._folder.iterdir()}
            except OSError as error:
                raise Unavailable(
                    f"the embedded store {str(self._folder)!r} cannot be read: {error.strerror}; it is made by the "
                    "worker: start that first, with the same LOGSYNC_DATA_DIR"
                ) from error
            for name in self._open.keys() - there.keys():
                del self._open[name]
            for name, path in there.items():
                if name not in self._open and (index := _open(path)) is not None:
                    self._open[name] = index
            return [self._open[name] for name in sorted(self._open)]

    async def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, calmly, work)


def calmly(work: Callable[[], T]) -> T:
    """The work's result. A panic of Tantivy, a BaseException that no handler expects, becomes Unavailable."""
    try:
        return work()
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise Unavailable(f"the embedded store failed: {error}") from error
        raise


def _open(path: Path) -> IndexFolder | None:
    name = parse_index(path.name)
    if name is None or not name.generation:
        return None  # the writer's lock, or a folder that is being made or removed
    try:
        return IndexFolder(path, name)
    except (OSError, ValueError, KeyError) as error:
        if not path.exists():
            return None  # dropped a moment ago
        raise unreadable_folder(path, error) from error


def unreadable_folder(path: Path, error: Exception) -> Unavailable:
    """What to say of an index that cannot be read."""
    return Unavailable(
        f"the index folder {str(path)!r} of the embedded store cannot be read: {error}; restore it from a copy, or "
        "move it away to go on without its logs, then start again"
    )


def _check_places(request: SearchRequest) -> None:
    """Raises InvalidQuery for times and cursors that are in no index."""
    cursor_time = request.after.timestamp if request.after else None
    _check_times(request.start, request.end, cursor_time)
    if request.after is not None:
        try:
            split_id(request.after.id)
        except ValueError:
            raise InvalidQuery("the cursor is none that this store gave out") from None


def _check_times(*times: int | None) -> None:
    for time in times:
        if time is not None and not -(2**63) <= time < 2**63:
            raise InvalidQuery(f"the time {time} is out of reach")
