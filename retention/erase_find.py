"""What an erasure is to erase: looked for in the store, in restored indices, in archives and among the dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any, Protocol

from logsync_streams.errors import ConfigurationError, LogSyncError
from logsync_streams.storage.api import Query, SearchRequest
from logsync_streams.storage.evaluate import compiled
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import DEFAULT_DATASET, parse_index
from logsync_streams.storage.portions import portion_of
from retention.archive import ArchiveDamaged
from retention.erased_archive import Matched, folders, matched
from retention.objects import ObjectMissing, Objects
from retention.plan import destination, log_policies
from retention.policy import RESTORED, Policies
from retention.restore import Wanted, archives

_PAGE = 500

Document = dict[str, Any]
OpenObjects = Callable[[str], Objects]


class Letters(Protocol):
    """The dead letters, as an erasure sees them."""

    async def find(
        self, takes: Callable[[Document], bool], held: Callable[[Document, str], bool], ids: Collection[str]
    ) -> tuple[Mapping[str, date], int]:
        """Those with one of these ids, and those that are taken in one of the forms that they may have, and held in
        none: event.id -> receive day; and how many were taken, but held. held(document, dataset). Raises Unavailable.
        """
        ...

    async def erase(self, ids: Collection[str]) -> int:
        """Erase all open letters of these events; how many there were. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Where:
    """Which logs: query over documents with start <= @timestamp < end, epoch ms, None = open."""

    query: Query
    start: int | None = None
    end: int | None = None

    def wanted(self) -> Wanted:
        """The same, for documents that are read. Raises InvalidQuery."""
        return Wanted("", self.start, self.end, compiled(self.query))


@dataclass
class Found:
    """What is to be erased. store: index -> ids; letters: id -> receive day; problems: what cannot be looked
    into; damaged: indices of which an archive is damaged; held: place -> logs that are meant and stay, being under a
    legal hold.
    """

    store: dict[str, set[str]] = field(default_factory=dict)
    archives: list[Matched] = field(default_factory=list)
    letters: dict[str, date] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    held: dict[str, int] = field(default_factory=dict)

    def days(self) -> dict[str, date]:
        """Each id's receive day."""
        found = dict(self.letters)
        for index, ids in self.store.items():
            name = parse_index(index)
            if name is not None:
                found |= dict.fromkeys(ids, name.day)
        for one in self.archives:
            found |= dict.fromkeys(one.ids, date.fromisoformat(one.found.manifest.day))
        return found


def held_lines(found: Found) -> list[str]:
    """What is said of logs under a legal hold."""
    return [f"{number} logs in {place} are under a legal hold and stay" for place, number in sorted(found.held.items())]


def dataset_of(index: str) -> str:
    """The dataset by whose policies an index's logs are kept; of restored logs that from which they came."""
    name = parse_index(index)
    dataset = name.dataset if name is not None else DEFAULT_DATASET
    return dataset[len(RESTORED) + len("20261124-") :] if dataset.startswith(RESTORED) else dataset


@dataclass(frozen=True)
class Finder:
    """Looks. max_ids: more than so many logs are refused; progress(documents): told while archives are read."""

    store: Store
    objects: OpenObjects
    policies: Policies
    letters: Letters
    max_ids: int
    progress: Callable[[int], None] = lambda _: None

    async def find(self, where: Where) -> Found:
        """All that is to be erased. Raises InvalidQuery, Unavailable; ConfigurationError when it is too much."""
        wanted, found = where.wanted(), Found()
        await self.store.admin.refresh()
        request = SearchRequest(where.query, where.start, where.end, "asc", _PAGE)
        number = 0
        while True:
            page = await self.store.reader.search(request)
            for hit in page.hits:
                if not self._held(found, hit.index, dataset_of(hit.index), hit.document):
                    found.store.setdefault(hit.index, set()).add(hit.id)
            number += len(page.hits)
            self.bounded(number)
            if page.cursor is None:
                break
            request = replace(request, after=page.cursor)
        await asyncio.to_thread(self._find_archived, wanted, found)
        letters, held = await self.letters.find(wanted.takes, self._is_held, found.days().keys())
        found.letters = dict(letters)
        if held:
            found.held["the dead letters"] = held
        self.bounded(len(found.days()))
        return found

    def _held(self, found: Found, place: str, dataset: str, document: Document) -> bool:
        """Whether a log is under a legal hold: it stays, and is counted."""
        held = self._is_held(document, dataset)
        if held:
            found.held[place] = found.held.get(place, 0) + 1
        return held

    def _is_held(self, document: Document, dataset: str) -> bool:
        return any(one.legal_hold for one in log_policies(self.policies, dataset, portion_of(document)[0]))

    def _find_archived(self, wanted: Wanted, found: Found) -> None:
        def damaged(error: LogSyncError) -> None:
            found.problems.append(str(error))

        number = 0
        for archive in archives(self.policies, self.objects, damaged=damaged):
            bucket, at = self.objects(archive.destination.bucket), archive.folder
            free = partial(self._free, found, at, archive.manifest.dataset)
            try:
                one = matched(bucket, archive, wanted, free, self.progress)
            except (ArchiveDamaged, ObjectMissing) as error:
                damaged(error)
                continue
            # One without matches as well: its index may have some, of services that are archived elsewhere.
            found.archives.append(one)
            number += len(one.ids)
            self.bounded(number)
        whole = {one.found.folder for one in found.archives}
        for goes_to in {destination(policy) for policy in self.policies.values() if policy.archive_to_s3}:
            for folder in folders(self.objects(goes_to.bucket), goes_to.prefix):
                if folder.has_manifest and folder.at not in whole:
                    found.damaged.add(folder.index)

    def _free(self, found: Found, place: str, dataset: str, document: Document) -> bool:
        return not self._held(found, place, dataset, document)

    def bounded(self, number: int) -> None:
        """Raises ConfigurationError when so many ids are more than may be remembered."""
        if number > self.max_ids:
            raise ConfigurationError(
                [
                    f"LOGSYNC_RETENTION__MAX_ERASED_IDS: {self.max_ids}: more logs than this are meant, and each id "
                    "has to be remembered; erase less at a time (--from, --to), or raise it"
                ]
            )
