"""The embedded store: Tantivy on disk, a folder an index, one process that writes.

<folder>/logsync-<dataset>-<day>-<generation>/ is a Tantivy index. A write alias is the highest generation there is.
Whoever writes holds <folder>/lock. Every write call commits before it answers, so that STORED means on disk.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO

from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.storage import embedded_erase
from logsync_streams.storage.api import Document, Outcome, Reaction
from logsync_streams.storage.documents import alias_missing, event_alias
from logsync_streams.storage.embedded_index import IndexFolder, fsync_folder
from logsync_streams.storage.embedded_reader import EmbeddedReader
from logsync_streams.storage.embedded_writer import Writers
from logsync_streams.storage.naming import IndexName

__all__ = ["EmbeddedReader", "EmbeddedStore", "StoreTaken"]

_LOCK = "lock"
# Folders under these names are no index yet, or no more.
_NEW, _DROPPED = "new.", "dropped."


class StoreTaken(ConfigurationError):
    """Have the other process do it, or stop it: it has the folder's lock. holder: "process <number>"."""

    def __init__(self, folder: Path, holder: str) -> None:
        self.holder = holder
        super().__init__(
            [
                f"LOGSYNC_DATA_DIR: {holder} writes to {str(folder)!r} already, and the embedded store has one "
                "writer; stop it, or name another folder"
            ]
        )


class EmbeddedStore(EmbeddedReader):
    """EventWriter, EventReader and IndexAdmin over a folder, which is made when it is not there.

    Raises StoreTaken when another process writes there; ConfigurationError when the folder cannot be used or read.
    """

    def __init__(self, folder: Path) -> None:
        self._held = _take(folder)
        try:
            _tidy(folder)
            super().__init__(folder)
        except BaseException:
            self._held.close()
            raise
        # One thread for all that changes something: nothing comes between a look-up and the write that it allows.
        self._changing = ThreadPoolExecutor(1, thread_name_prefix="embedded-write")
        self._writers = Writers()

    # ------------------------------------------------------------------------------------------------- EventWriter

    async def write(self, documents: Sequence[Document]) -> list[Outcome]:
        if self._held.closed:
            return [Outcome(Reaction.HOLD, "store_closed", "the embedded store is closed")] * len(documents)
        try:
            return await self._in_thread(self._changing, lambda: self._write(documents))
        except Unavailable as error:
            return [Outcome(Reaction.HOLD, "embedded_store_failed", error.detail)] * len(documents)

    async def close(self) -> None:
        if self._held.closed:
            return
        await self._in_thread(self._changing, self._writers.close_all)
        self._changing.shutdown()
        await super().close()
        self._held.close()

    # -------------------------------------------------------------------------------------------------- IndexAdmin

    async def prepare(self) -> None:
        """Nothing: every index carries its schema."""

    async def create(self, target: str) -> None:
        name = replace(event_alias(target), generation=1)

        def make() -> None:
            if not self._generations(target):
                self._make(name)

        await self._in_thread(self._changing, make)

    async def next_generation(self, target: str) -> None:
        alias = event_alias(target)

        def make() -> None:
            before = self._generations(target)
            self._make(replace(alias, generation=before[-1].name.generation + 1 if before else 1))

        await self._in_thread(self._changing, make)

    async def block_writes(self, index: str) -> None:
        def block() -> None:
            for one in self._folders():
                if str(one.name) == index:
                    one.block_writes()
                    self._writers.close(index)

        await self._in_thread(self._changing, block)

    async def erase(self, index: str, ids: Collection[str]) -> None:
        gone = frozenset(ids)

        def rebuild() -> None:
            for one in self._folders():
                if str(one.name) == index:
                    self._writers.close(index)
                    condemned = self._folder / (_DROPPED + index)
                    embedded_erase.rebuild(one, gone, condemned, self._lock, lambda: self._open.pop(index, None))

        await self._in_thread(self._changing, rebuild)

    async def drop(self, index: str) -> None:
        def remove() -> None:
            for one in self._folders():
                if str(one.name) == index:
                    self._writers.close(index)
                    # Renamed first: what a crash leaves of it must not look like an index.
                    condemned = self._folder / (_DROPPED + index)
                    one.path.rename(condemned)
                    fsync_folder(self._folder)
                    shutil.rmtree(condemned)

        await self._in_thread(self._changing, remove)

    async def refresh(self) -> None:
        """Nothing: what is committed is visible."""

    # ----------------------------------------------------------------------------------------- in the changing thread

    def _write(self, documents: Sequence[Document]) -> list[Outcome]:
        by_target: dict[str, list[int]] = {}
        for position, document in enumerate(documents):
            by_target.setdefault(document.target, []).append(position)
        outcomes: dict[int, Outcome] = {}
        for target, positions in by_target.items():
            generations = self._generations(target)
            if generations:
                answers = self._writers.write(generations, [documents[position] for position in positions])
            else:
                answers = [alias_missing(target)] * len(positions)
            outcomes.update(zip(positions, answers, strict=True))
        return [outcomes[position] for position in range(len(documents))]

    def _generations(self, alias: str) -> list[IndexFolder]:
        """The indices behind a write alias, oldest first."""
        return sorted((one for one in self._folders() if one.name.alias == alias), key=lambda one: one.name.generation)

    def _named(self, index: str) -> list[IndexFolder]:
        """The index of this name, or none."""
        return [one for one in self._folders() if str(one.name) == index]

    def _make(self, name: IndexName) -> None:
        being_made = self._folder / f"{_NEW}{name}"
        shutil.rmtree(being_made, ignore_errors=True)
        being_made.mkdir()
        IndexFolder.make(being_made)
        being_made.rename(self._folder / str(name))
        fsync_folder(self._folder)


def _take(folder: Path) -> IO[bytes]:
    """The folder's lock, held while the file is open. Raises StoreTaken when another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = open(folder / _LOCK, "a+b")  # noqa: SIM115 - open means held: closed with the store
    except OSError as error:
        raise ConfigurationError(
            [f"LOGSYNC_DATA_DIR: the folder {str(folder)!r} cannot be used: {error.strerror}; name one that is ours"]
        ) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.seek(0)
        holder = held.read(20).decode("ascii", "replace").strip() or "unknown"
        held.close()
        raise StoreTaken(folder, f"process {holder}") from error
    held.truncate(0)
    held.write(f"{os.getpid()}\n".encode())
    held.flush()
    return held


def _tidy(folder: Path) -> None:
    """Remove what a crash left half made or half removed."""
    embedded_erase.settle(folder)
    for entry in folder.iterdir():
        if entry.name.startswith((_NEW, _DROPPED)):
            shutil.rmtree(entry)
