"""Erasing from one archive: its parts written anew without the logs, then a manifest that names the one before by hash.

The old parts go last. A crash leaves the old archive, or the new one and objects that no manifest names, which the next
erasure removes (`swept`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from logsync_streams.storage.api import Stored
from logsync_streams.storage.naming import parse_index
from logsync_streams.storage.portions import portion_of
from retention.archive import MANIFEST, ArchiveDamaged, Manifest, Part, PartWriter, part_lines, read_manifest, verify
from retention.objects import Objects, PutOptions
from retention.restore import Found, Wanted

_ONE_PART = 1 << 62  # bytes: a part is written anew as one

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Matched:
    """What is to be erased from one archive: ids by the key of the part in which they are."""

    found: Found
    by_part: dict[str, frozenset[str]]

    @property
    def ids(self) -> set[str]:
        return {id for ids in self.by_part.values() for id in ids}


def matched(
    objects: Objects,
    found: Found,
    wanted: Wanted,
    free: Callable[[Document], bool],
    progress: Callable[[int], None],
) -> Matched:
    """Read an archive for what is wanted and free to go; memory: the ids.

    Raises ArchiveDamaged, ObjectMissing, Unavailable.
    """
    by_part = {}
    for part in found.manifest.parts:
        if wanted.may_hold(part):
            documents = (orjson.loads(line) for line in part_lines(objects, part))
            taken = (document for document in documents if wanted.takes(document) and free(document))
            ids = frozenset(document["event"]["id"] for document in taken)
            if ids:
                by_part[part.key] = ids
            progress(part.documents)
    return Matched(found, by_part)


@dataclass(frozen=True)
class Rewriter:
    """Writes archives anew. work: a folder for parts under way; level: of zstd; now: epoch ms.

    step(name) is called after "uploaded", "manifest" and "tidied".
    """

    objects: Objects
    options: PutOptions
    work: Path
    level: int
    now: Callable[[], int]
    step: Callable[[str], None] = lambda _: None
    check: Callable[[], None] = lambda: None

    def rewrite(self, one: Matched, index_documents: int) -> Manifest:
        """The archive without these logs; index_documents: how many its index has without them.

        Nothing of the old is removed before all of the new was read back. Raises ArchiveDamaged, ObjectMissing,
        Unavailable, and what check() raises before what cannot be taken back.
        """
        old = one.found.manifest
        parts, services = [], dict(old.services)
        for part in old.parts:
            gone = one.by_part.get(part.key, frozenset())
            left = self._part(one.found.folder, part, gone, services) if gone else part
            if left is not None:
                parts.append(left)
        self.step("uploaded")
        new = replace(
            old,
            documents=sum(part.documents for part in parts),
            index_documents=index_documents,
            services={service: number for service, number in services.items() if number},
            parts=tuple(parts),
            revision=old.revision + 1,
            previous=old.sha256,
        )
        verify(self.objects, new)
        self.check()
        self.objects.put(one.found.folder + MANIFEST, new.encoded(), self.options)
        self.step("manifest")
        if read_manifest(self.objects, one.found.folder) != new:
            raise ArchiveDamaged(f"{one.found.folder}{MANIFEST}: another manifest is there than the one just put")
        sweep(self.objects, unnamed(self.objects, one.found.folder, new), self.check)
        self.step("tidied")
        return new

    def _part(self, at: str, part: Part, gone: Collection[str], services: dict[str, int]) -> Part | None:
        writer = PartWriter(at, self.work, _ONE_PART, self.level)
        before = dict.fromkeys(services, 0)
        try:
            for line in part_lines(self.objects, part):
                document: Document = orjson.loads(line)
                id = document["event"]["id"]
                if id in gone:
                    service = portion_of(document)[0]
                    before[service] = before.get(service, 0) + 1
                else:
                    writer.add(Stored(id, line), document)
            done = writer.finish()
        finally:
            writer.abandon()
        for service, number in before.items():
            services[service] = services.get(service, 0) - number
        if done is None:
            return None
        made, path = done
        try:
            # Its place among the parts stays the old one's, its content names it.
            made = replace(made, key=f"{part.key.rpartition('-')[0]}-{made.sha256[:12]}.ndjson.zst")
            self.objects.upload(made.key, path, self.options)
        finally:
            path.unlink(missing_ok=True)
        return made


def unnamed(objects: Objects, folder: str, manifest: Manifest) -> list[str]:
    """The objects of an archive's folder that its manifest does not name: attempts that came to nothing, and what was
    erased. Under the lease: nobody is writing there.
    """
    named = {folder + MANIFEST, *(part.key for part in manifest.parts)}
    return [info.key for info in objects.list(folder) if info.key not in named]


def sweep(objects: Objects, keys: Iterable[str], check: Callable[[], None]) -> None:
    """Remove these objects. check(): asked before each, for what nobody named may have a name now: raises LeaseLost."""
    for key in keys:
        check()
        objects.delete(key)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of an archive, or of what should have become one. at: with `/` at the end; index: its name."""

    at: str
    index: str
    keys: tuple[str, ...]

    @property
    def has_manifest(self) -> bool:
        return self.at + MANIFEST in self.keys


def folders(objects: Objects, prefix: str) -> list[Folder]:
    """All folders of archives, also of those without a manifest. Raises Unavailable."""
    found: dict[str, list[str]] = {}
    for info in objects.list(f"{prefix}/" if prefix else ""):
        at = info.key.rpartition("/")[0]
        if parse_index(at.rpartition("/")[2]) is not None:
            found.setdefault(at, []).append(info.key)
    return [Folder(f"{at}/", at.rpartition("/")[2], tuple(keys)) for at, keys in sorted(found.items())]
