"""From an index to a verified archive to a drop, one step after the other.

    planned → write-blocked → exported → uploaded → verified → manifest → re-counted → (grace) → tombstone → dropped

Where a day is in this is never remembered: the store says whether an index is blocked, the bucket whether a manifest
is there, `logs-state` whether there is a tombstone. So a crash anywhere is put right by the next run. The tombstone
comes before the drop: between the two, an index that is gone could otherwise be made again by a late event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from logsync_streams.errors import ConfigurationError, LogSyncError, Unavailable
from logsync_streams.state import StateLog
from logsync_streams.storage.api import IndexAdmin, IndexInfo, PortionsUnknown
from retention.archive import (
    MANIFEST,
    ArchiveDamaged,
    Manifest,
    Part,
    PartWriter,
    folder,
    read_manifest,
    under,
    verify,
    verify_parts,
)
from retention.export import export
from retention.objects import ObjectExists, ObjectMissing, Objects, PutOptions, disk
from retention.plan import (
    Action,
    Committed,
    Destination,
    Entry,
    IndexFacts,
    Plan,
    archive_of,
    destination,
    destinations,
    make_plan,
)
from retention.policy import RESTORED, Policies, Policy
from tables.tombstones import tombstone_key

_STALE_SECONDS = 86_400
STEPS = (
    "planned",
    "write-blocked",
    "exported",
    "uploaded",
    "verified",
    "manifest",
    "re-counted",
    "tombstone",
    "dropped",
)

log = logging.getLogger(__name__)

OpenObjects = Callable[[str], Objects]
Holds = Mapping[str, Sequence[str]]


class Changed(LogSyncError):
    """Leave this day to the next run: it is no longer as the plan saw it."""


@dataclass
class Archiver:
    """Looks, archives and drops. objects(bucket) opens a bucket; now: epoch ms; work: a folder for parts under way.

    step(name) is called after each of STEPS, progress(documents) while exporting. proceed() is called between pages and
    before each thing that cannot be taken back; it raises when this process may not, or is not to, go on.
    """

    admin: IndexAdmin
    objects: OpenObjects
    policies: Policies
    state: StateLog
    now: Callable[[], int]
    work: Path
    part_bytes: int
    grace_ms: int
    step: Callable[[str], None] = lambda _: None
    progress: Callable[[int], None] = lambda _: None
    proceed: Callable[[], None] = lambda: None
    _buckets: dict[str, Objects] = field(default_factory=dict)

    # --------------------------------------------------------------------------------------------------------- looking

    async def plan(self, holds: Holds, alias: str = "") -> Plan:
        """The plan as of now, of all days or only of this alias. holds: alias -> reasons.

        A damaged manifest, a bucket that does not answer, or an index that cannot tell what it is made of, holds its
        days back and is named there; the others are planned. Raises Unavailable and ConfigurationError when it is the
        store that does not answer.
        """
        await self.admin.refresh()
        away: dict[str, str] = {}
        wanted = [info for info in await self.admin.indices() if not alias or info.name.alias == alias]
        facts = [await self._facts(info, away) for info in wanted]
        return make_plan(self.policies, facts, self.now(), holds, self.grace_ms)

    async def _facts(self, info: IndexInfo, away: dict[str, str]) -> IndexFacts:
        """away: buckets that did not answer, and why; they are not asked, and waited for, again."""
        name = info.name
        if name.dataset.startswith(RESTORED):
            return IndexFacts(info, (), {})
        try:
            facts = IndexFacts(info, tuple(await self.admin.portions(str(name))), {})
        except PortionsUnknown as error:
            return IndexFacts(info, (), {}, (str(error),))
        archived: dict[Destination, Committed] = {}
        problems = []
        # Only what is blocked can have been archived.
        for goes_to in sorted(destinations(self.policies, facts)) if info.write_blocked else ():
            if goes_to.bucket in away:
                problems.append(away[goes_to.bucket])
                continue
            try:
                manifest = await self._manifest(goes_to, info)
            except ArchiveDamaged as error:
                problems.append(str(error))
            except (Unavailable, ConfigurationError) as error:
                away[goes_to.bucket] = str(error)
                problems.append(str(error))
            else:
                if manifest is not None:
                    archived[goes_to] = Committed(manifest.created_at, manifest.index_documents)
        return replace(facts, archived=archived, problems=tuple(problems))

    async def _manifest(self, goes_to: Destination, info: IndexInfo) -> Manifest | None:
        try:
            return await asyncio.to_thread(read_manifest, self._bucket(goes_to), folder(goes_to.prefix, info.name))
        except ObjectMissing:
            return None

    def _bucket(self, goes_to: Destination) -> Objects:
        if goes_to.bucket not in self._buckets:
            self._buckets[goes_to.bucket] = self.objects(goes_to.bucket)
        return self._buckets[goes_to.bucket]

    async def sweep(self) -> list[str]:
        """Remove what killed runs left: part files here, and multipart uploads a day old; what could not be done.

        Under the lease: nobody else is writing. An upload that is younger may be another project's of the same prefix.
        """
        problems = []
        try:
            with disk(self.work):
                for left in self.work.glob("part-*"):
                    left.unlink()
        except Unavailable as error:
            problems.append(f"files of parts that were never completed cannot be removed: {error}")
        for goes_to in sorted({destination(policy) for policy in self.policies.values() if policy.archive_to_s3}):
            bucket, before = self._bucket(goes_to), self.now() / 1000 - _STALE_SECONDS
            try:
                await asyncio.to_thread(bucket.abort_uploads, under(goes_to.prefix), before)
            except (Unavailable, ConfigurationError) as error:
                problems.append(f"uploads that were never completed cannot be ended: {error}")
        return problems

    # ------------------------------------------------------------------------------------------------------- archiving

    async def archive(self, entry: Entry) -> list[Manifest]:
        """Archive what is missing of a day whose action is ARCHIVE; the manifests that were put.

        Raises Unavailable, ConfigurationError; ArchiveDamaged when what was read back is not what was written; Changed
        when a manifest turned out to be damaged since the plan.
        """
        self.step("planned")
        manifests = []
        for facts in entry.indices:
            self.proceed()
            await self.admin.block_writes(str(facts.info.name))
            self.step("write-blocked")
            await self.admin.refresh()  # what was acknowledged a moment before the block belongs to it
            now_blocked = await self._facts(replace(facts.info, write_blocked=True), {})
            if now_blocked.problems:
                raise Changed("; ".join(now_blocked.problems))
            missing = destinations(self.policies, now_blocked) - set(now_blocked.archived)
            if missing:
                manifests += await self._export(now_blocked, missing)
        return manifests

    async def _export(self, facts: IndexFacts, missing: set[Destination]) -> list[Manifest]:
        name, index = facts.info.name, str(facts.info.name)
        by_service = {one.service: archive_of(self.policies, name.dataset, one.service) for one in facts.portions}
        goes_to = {service: destination(policy) if policy else None for service, policy in by_service.items()}
        policy_of_destination = {destination(policy): policy for policy in by_service.values() if policy is not None}
        writers = {
            one: PartWriter(
                folder(one.prefix, name), self.work, self.part_bytes, policy_of_destination[one].compression_level
            )
            for one in missing
        }
        parts: dict[Destination, list[Part]] = {one: [] for one in missing}

        async def upload(one: Destination, part: Part, path: Path) -> None:
            try:
                await asyncio.to_thread(self._bucket(one).upload, part.key, path, options(policy_of_destination[one]))
            finally:
                await asyncio.to_thread(path.unlink, missing_ok=True)
            parts[one].append(part)

        def read(documents: int) -> None:
            self.progress(documents)
            self.proceed()

        total = await export(self.admin, index, goes_to, writers, upload, read, lambda: self.step("exported"))
        self.step("uploaded")
        manifests = []
        for one, writer in writers.items():
            await asyncio.to_thread(verify_parts, self._bucket(one), parts[one])
            self.step("verified")
            manifest = Manifest(
                index=index,
                dataset=name.dataset,
                day=name.day.isoformat(),
                generation=name.generation,
                created_at=self.now(),
                documents=writer.documents,
                index_documents=total,
                services=writer.services,
                parts=tuple(parts[one]),
            )
            await self._recount(facts.info, total)
            self.proceed()
            manifests.append(await self._commit(one, facts.info, manifest, policy_of_destination[one]))
            self.step("manifest")
        await self._recount(facts.info, total)
        self.step("re-counted")
        return manifests

    async def _commit(self, goes_to: Destination, info: IndexInfo, manifest: Manifest, policy: Policy) -> Manifest:
        bucket, key = self._bucket(goes_to), folder(goes_to.prefix, info.name) + MANIFEST
        content = manifest.encoded()

        def put() -> None:
            bucket.put(key, content, options(policy), only_new=True)

        try:
            await asyncio.to_thread(put)
        except ObjectExists:
            # Ours, whose answer was lost, or another process's: either way the first one stands, if it is whole.
            manifest = await self._checked(goes_to, info)
        await asyncio.to_thread(_tidy, bucket, manifest, key, self.proceed)
        return manifest

    async def _recount(self, info: IndexInfo, expected: int) -> None:
        await self.admin.refresh()
        for other in await self.admin.indices():
            if other.name == info.name and other.documents != expected:
                raise ArchiveDamaged(
                    f"{info.name}: the store counts {other.documents} documents, the archive knows of {expected}"
                )

    async def _checked(self, goes_to: Destination, info: IndexInfo) -> Manifest:
        """The committed manifest, after all it names was read back. Raises ObjectMissing, ArchiveDamaged."""
        bucket = self._bucket(goes_to)
        manifest = await asyncio.to_thread(read_manifest, bucket, folder(goes_to.prefix, info.name))
        await asyncio.to_thread(verify, bucket, manifest)
        return manifest

    # -------------------------------------------------------------------------------------------------------- dropping

    async def drop(self, entry: Entry, holds: Holds) -> int:
        """Drop a day whose action is DROP, after looking at it again; the documents that went.

        Raises Changed when it is not to be dropped any more, ArchiveDamaged or ObjectMissing when an archive is not
        whole: nothing was dropped then. Unavailable, ConfigurationError.
        """
        self.proceed()
        for facts in entry.indices:
            await self.admin.block_writes(str(facts.info.name))
        fresh = next(iter((await self.plan(holds, entry.alias)).entries), None)
        if fresh is None:
            return 0  # another process has
        if fresh.action is not Action.DROP or not all(facts.info.write_blocked for facts in fresh.indices):
            raise Changed(f"{entry.alias}: {fresh.action.value} now: {'; '.join(fresh.reasons)}")
        for facts in fresh.indices:
            for goes_to in facts.archived:
                manifest = await self._checked(goes_to, facts.info)
                await self._recount(facts.info, manifest.index_documents)
                first = await self.admin.scan(str(facts.info.name), "", 1)
                whole = manifest.documents == manifest.index_documents
                if whole and first and manifest.parts and first[0].id != manifest.parts[0].first_id:
                    raise ArchiveDamaged(f"{facts.info.name}: the archive of this name is of another index")
                # Again: who was killed when the manifest was there has not.
                at = folder(goes_to.prefix, facts.info.name)
                await asyncio.to_thread(_tidy, self._bucket(goes_to), manifest, at + MANIFEST, self.proceed)
        self.proceed()
        if not fresh.restored:
            archives = [
                (goes_to.bucket, folder(goes_to.prefix, facts.info.name))
                for facts in fresh.indices
                for goes_to in sorted(facts.archived)
            ]
            content = {
                "documents": fresh.documents,
                "dropped_at": self.now(),
                "reasons": list(fresh.reasons),
                "archives": archives,  # by these `archive verify` knows when one was removed
            }
            await self.state.decide(tombstone_key(entry.alias), orjson.dumps(content))
        self.step("tombstone")
        for facts in fresh.indices:
            self.proceed()
            await self.admin.drop(str(facts.info.name))
        self.step("dropped")
        return fresh.documents


def options(policy: Policy) -> PutOptions:
    """How a policy's objects are kept."""
    return PutOptions(policy.storage_class, policy.encryption, policy.kms_key_id)


def _tidy(bucket: Objects, manifest: Manifest, key: str, proceed: Callable[[], None]) -> None:
    """Remove the parts of attempts that came to nothing. Under the lease, asked for before each: nobody else is
    writing here.

    A role that may not delete leaves them: the archive is whole without. Raises Unavailable, and what proceed() raises.
    """
    named = {key, *(part.key for part in manifest.parts)}
    try:
        for found in list(bucket.list(key.removesuffix(MANIFEST))):
            if found.key not in named:
                proceed()
                bucket.delete(found.key)
    except ConfigurationError as error:
        log.warning("what an earlier attempt left stays in the bucket: %s", error)
