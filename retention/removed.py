"""Archives that somebody removed: what a tombstone names, `archive prune` did not remove, and the bucket has not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import orjson

from logsync_streams.storage.naming import IndexName, parse_index
from retention.archive import MANIFEST, ArchiveDamaged
from retention.objects import Objects
from tables.tombstones import alias_of_tombstone

Place = tuple[str, str]  # bucket, the archive's folder


def removed(
    state: Mapping[str, bytes],
    known: Collection[Place],
    objects: Callable[[str], Objects],
    wanted: Callable[[IndexName], bool] = lambda _: True,
) -> Iterator[ArchiveDamaged]:
    """An error for each manifest that is gone, naming it.

    state: what `logs-state` says; known: archives that need not be looked for: seen already, or pruned; wanted: by
    the dropped day's alias. Of days dropped before tombstones said where they are archived nothing is known.
    Raises Unavailable, ConfigurationError.
    """
    for key, content in state.items():
        day = parse_index(alias_of_tombstone(key) or "")
        if day is None or not wanted(day):
            continue
        for bucket, folder in orjson.loads(content).get("archives", ()):
            manifest = folder + MANIFEST
            if (bucket, folder) not in known and not any(objects(bucket).list(manifest)):
                yield ArchiveDamaged(f"{manifest}: missing: it was in the bucket {bucket!r} when its day was dropped")
