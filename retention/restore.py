"""What is in the archives: which there are, reading them in place, and bringing logs back into the store.

Restored logs are in `logsync-restored-<expiry>-<dataset>-<day>`: found like all others, and dropped after the day that
the name says, so that nothing need remember it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import orjson

from logsync_streams.errors import LogSyncError, Unavailable
from logsync_streams.events import receive_day
from logsync_streams.storage.api import Document, Reaction
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import alias_name, parse_index
from logsync_streams.storage.portions import portion_of
from logsync_streams.storage.values import date_ms
from logsync_streams.words import searched_words
from retention.archive import MANIFEST, ArchiveDamaged, Manifest, Part, part_lines, read_manifest, under, verify_parts
from retention.objects import ObjectMissing, Objects
from retention.plan import Destination, destination
from retention.policy import RESTORED, Policies
from tables.erased import Among, nobody_erased

_BULK_DOCUMENTS, _BULK_BYTES = 500, 4 * 1024 * 1024
_TRIES, _PAUSE_SECONDS = 8, 0.5
_MAX_DATASET = 63


@dataclass(frozen=True, slots=True)
class Found:
    """One archive: where, and what its manifest says."""

    destination: Destination
    folder: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which logs. service: "" = all; start <= @timestamp < end, epoch ms, None = open; matches: the query."""

    service: str = ""
    start: int | None = None
    end: int | None = None
    matches: Callable[[dict[str, Any]], bool] = lambda _: True

    def may_hold(self, part: Part) -> bool:
        """Whether the part can have any, by its times."""
        return (self.end is None or part.min_time < self.end) and (self.start is None or part.max_time >= self.start)

    def takes(self, document: dict[str, Any]) -> bool:
        time = date_ms(document.get("@timestamp")) or 0
        return (
            (self.start is None or time >= self.start)
            and (self.end is None or time < self.end)
            and (not self.service or portion_of(document)[0] == self.service)
            and self.matches(document)
        )


def archives(
    policies: Policies,
    objects: Callable[[str], Objects],
    dataset: str = "",
    *,
    of_day: Callable[[date], bool] = lambda _: True,
    damaged: Callable[[LogSyncError], None] | None = None,
) -> Iterator[Found]:
    """All committed archives of the policies' buckets, by bucket and key. dataset, of_day: only of these.

    damaged: told of each manifest that cannot be read, and the others follow; without it, the first is raised:
    ArchiveDamaged, ObjectMissing. Raises Unavailable, ConfigurationError.
    """
    for one in sorted({destination(policy) for policy in policies.values() if policy.archive_to_s3}):
        bucket = objects(one.bucket)
        for info in bucket.list(under(one.prefix, dataset)):
            if not info.key.endswith(f"/{MANIFEST}"):
                continue
            at = info.key.removesuffix(MANIFEST)
            name = parse_index(at.rstrip("/").rpartition("/")[2])
            if name is None or not of_day(name.day):
                continue
            try:
                manifest = read_manifest(bucket, at)
            except (ArchiveDamaged, ObjectMissing) as error:
                if damaged is None:
                    raise
                damaged(error)
            else:
                yield Found(one, at, manifest)


def search(objects: Objects, found: Found, wanted: Wanted, scanned: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    """The documents of one archive that are wanted, by id. scanned(documents): told part by part.

    Raises ArchiveDamaged naming the object, at the latest after the last of its documents.
    """
    for part in found.manifest.parts:
        if not wanted.may_hold(part) or (wanted.service and wanted.service not in found.manifest.services):
            continue
        for line in part_lines(objects, part):
            document = orjson.loads(line)
            if wanted.takes(document):
                yield document
        scanned(part.documents)


@dataclass(slots=True)
class Restored:
    """How a restore ended. there: documents that are in the store already, and were left as they are; erased: those
    that were erased for ever, and are refused.
    """

    documents: int = 0
    there: int = 0
    erased: int = 0


async def restore(
    objects: Objects,
    found: Found,
    wanted: Wanted,
    store: Store,
    until: date,
    *,
    dry_run: bool,
    erased: Among = nobody_erased,
    progress: Callable[[int], None] = lambda _: None,
) -> Restored:
    """Bring the wanted logs of one archive back, until the end of a day; each that is in the store is left out.

    erased(ids): those that were erased for ever, asked before each write. progress(documents): told as they are done.

    Raises ArchiveDamaged before anything of a damaged part is written; Unavailable when the store does not take them.
    """
    manifest, result = found.manifest, Restored()
    day = date.fromisoformat(manifest.day)
    target = alias_name(restored_dataset(until, manifest.dataset), day)
    beside = {alias_name(manifest.dataset, day), target}
    for info in await store.admin.indices():
        if info.name.day == day and info.name.dataset.startswith(RESTORED):
            beside.add(info.name.alias)
    made = dry_run
    async for documents in _bulks(objects, found, wanted):
        ids = [document.id for document in documents]
        stored, gone = await store.reader.existing(beside, ids), await erased(ids)
        left = [document for document in documents if document.id not in gone]
        fresh = [document._replace(target=target) for document in left if document.id not in stored]
        if fresh and not made:
            await store.admin.prepare()
            await store.admin.create(target)
            made = True
        if not dry_run:
            await _write(store, fresh, erased)
        result.documents += len(fresh)
        result.there += len(left) - len(fresh)
        result.erased += len(documents) - len(left)
        progress(len(documents))
    return result


def restored_dataset(until: date, dataset: str) -> str:
    """The dataset of restored logs: says until when they are kept, and of which dataset they are."""
    name = f"{RESTORED}{until:%Y%m%d}-{dataset}"
    if len(name) > _MAX_DATASET:
        name = f"{name[: _MAX_DATASET - 9]}-{hashlib.sha256(dataset.encode()).hexdigest()[:8]}"
    return name


def expiry(now: int, days: int) -> date:
    """The last day of logs restored now (epoch ms)."""
    return receive_day(now) + timedelta(days=days)


def with_words(document: dict[str, Any]) -> bytes:
    """The document as it is written to a store: with the fields that serve the search."""
    searched = searched_words(document)
    if searched:
        document = {**document, "logsync": {**document.get("logsync", {}), "words": searched}}
    return orjson.dumps(document)


async def _bulks(objects: Objects, found: Found, wanted: Wanted) -> AsyncIterator[list[Document]]:
    for part in found.manifest.parts:
        if not wanted.may_hold(part):
            continue
        await asyncio.to_thread(verify_parts, objects, [part])
        lines = part_lines(objects, part)
        while taken := await asyncio.to_thread(_take, lines, wanted):
            if taken.documents:
                yield taken.documents
            if taken.last:
                break


@dataclass(frozen=True, slots=True)
class _Taken:
    documents: list[Document]
    last: bool


def _take(lines: Iterable[bytes], wanted: Wanted) -> _Taken:
    documents: list[Document] = []
    size = 0
    for line in lines:
        document = orjson.loads(line)
        if wanted.takes(document):
            body = with_words(document)
            documents.append(Document("", document["event"]["id"], body))
            size += len(body)
            if len(documents) >= _BULK_DOCUMENTS or size >= _BULK_BYTES:
                return _Taken(documents, False)
    return _Taken(documents, True)


async def _write(store: Store, documents: list[Document], erased: Among) -> None:
    pending = documents
    for attempt in range(_TRIES):
        if attempt and pending:
            await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
        # At the first try as well: what came before, making the index, may have taken long.
        gone = await erased([document.id for document in pending])
        pending = [document for document in pending if document.id not in gone]
        if not pending:
            return
        outcomes = await store.writer.write(pending)
        done = (Reaction.STORED, Reaction.DUPLICATE)
        refused = [(one, out) for one, out in zip(pending, outcomes, strict=True) if out.reaction not in done]
        if refused and refused[0][1].reaction is Reaction.DEAD_LETTER:
            break
        if refused and refused[0][1].reaction is Reaction.SPLIT and len(pending) > 1:
            middle = len(pending) // 2
            await _write(store, pending[:middle], erased)
            await _write(store, pending[middle:], erased)
            return
        pending = [document for document, _ in refused]
    if pending:
        outcome = refused[0][1]
        raise Unavailable(f"{pending[0].id} cannot be restored: {outcome.reason}: {outcome.detail}")
