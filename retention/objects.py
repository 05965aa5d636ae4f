"""Where archives are: one small protocol, and its twins on a local folder and in memory. S3 is in `s3.py`.

All calls may block: they are made in threads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from logsync_streams.errors import LogSyncError, Unavailable

CHUNK_BYTES = 1024 * 1024


class ObjectExists(LogSyncError):
    """Look at what is there: the object was to be made only if there was none."""


class ObjectMissing(LogSyncError):
    """Name the object to the operator: it should be there and is not."""


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Raises Unavailable for what the disk under the folder refuses."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{folder}: {error.strerror or error}: see that its disk has room and can be written to"
        ) from error


class ObjectInfo(NamedTuple):
    """An object's key and size."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PutOptions:
    """How an object is kept; a store that knows nothing of it ignores it."""

    storage_class: str | None = None
    encryption: str | None = None
    kms_key_id: str | None = None


PLAIN = PutOptions()


class Objects(Protocol):
    """One bucket. Each call raises Unavailable when the store cannot answer now, ConfigurationError when it refuses."""

    def upload(self, key: str, path: Path, options: PutOptions = PLAIN) -> None:
        """Put a file; returns when it is durable. An object of this key is replaced, as a whole or not at all."""
        ...

    def put(self, key: str, content: bytes, options: PutOptions = PLAIN, *, only_new: bool = False) -> None:
        """Put a small object. only_new: raises ObjectExists when there is one of this key already."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """The object's bytes in chunks of at most about CHUNK_BYTES. Raises ObjectMissing."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key begins with the prefix, by key."""
        ...

    def delete(self, key: str) -> None:
        """Remove it; one that is not there is no error."""
        ...

    def abort_uploads(self, prefix: str, before: float) -> int:
        """End multipart uploads begun before then (epoch seconds) and never completed; how many there were."""
        ...


@dataclass
class MemoryObjects:
    """Objects in memory, for tests."""

    held: dict[str, bytes] = field(default_factory=dict)

    def upload(self, key: str, path: Path, options: PutOptions = PLAIN) -> None:
        self.held[key] = path.read_bytes()

    def put(self, key: str, content: bytes, options: PutOptions = PLAIN, *, only_new: bool = False) -> None:
        if only_new and key in self.held:
            raise ObjectExists(key)
        self.held[key] = content

    def read(self, key: str) -> Iterator[bytes]:
        if key not in self.held:
            raise ObjectMissing(key)
        content = self.held[key]
        return iter([content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)])

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter([ObjectInfo(key, len(self.held[key])) for key in sorted(self.held) if key.startswith(prefix)])

    def delete(self, key: str) -> None:
        self.held.pop(key, None)

    def abort_uploads(self, prefix: str, before: float) -> int:
        return 0


class FolderObjects:
    """Objects as files of a local folder: to try it, and for a mounted share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def upload(self, key: str, path: Path, options: PutOptions = PLAIN) -> None:
        with disk(self._folder), path.open("rb") as source:
            self._write(key, iter(lambda: source.read(CHUNK_BYTES), b""), only_new=False)

    def put(self, key: str, content: bytes, options: PutOptions = PLAIN, *, only_new: bool = False) -> None:
        with disk(self._folder):
            self._write(key, iter([content]), only_new=only_new)

    def read(self, key: str) -> Iterator[bytes]:
        with disk(self._folder):
            try:
                file = self._path(key).open("rb")
            except FileNotFoundError as error:
                raise ObjectMissing(key) from error

        def chunks() -> Iterator[bytes]:
            with disk(self._folder), file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

        return chunks()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found = []
        with disk(self._folder):
            for path in self._folder.rglob("*"):
                key = path.relative_to(self._folder).as_posix()
                if key.startswith(prefix) and path.is_file() and not path.name.startswith("."):
                    found.append(ObjectInfo(key, path.stat().st_size))
        return iter(sorted(found))

    def delete(self, key: str) -> None:
        with disk(self._folder):
            self._path(key).unlink(missing_ok=True)

    def abort_uploads(self, prefix: str, before: float) -> int:
        """Remove what a crash left half written."""
        with disk(self._folder):
            stale = [path for path in self._folder.rglob(".part-*") if path.is_file() and path.stat().st_mtime < before]
            for path in stale:
                path.unlink(missing_ok=True)
        return len(stale)

    def _path(self, key: str) -> Path:
        path = self._folder / key
        if ".." in path.relative_to(self._folder).parts:
            raise ValueError(f"{key!r} leads out of the folder")
        return path

    def _write(self, key: str, chunks: Iterator[bytes], *, only_new: bool) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if only_new:
                try:
                    os.link(name, path)
                except FileExistsError as error:
                    raise ObjectExists(key) from error
            else:
                Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
