"""What an archive is: parts of zstd NDJSON, and a manifest, put last, that says what they hold.

<prefix>/<dataset>/<YYYY>/<MM>/<DD>/<index>/part-00001-<hash>.ndjson.zst … manifest.json. A folder without a manifest
is no archive: a crash left it, and the next run writes it anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import zstandard

from logsync_streams.errors import LogSyncError
from logsync_streams.storage.api import Stored
from logsync_streams.storage.naming import IndexName
from logsync_streams.storage.portions import portion_of
from logsync_streams.storage.values import date_ms
from retention.objects import ObjectMissing, Objects, disk

FORMAT = "logsync-archive/1"
MANIFEST = "manifest.json"
_READ_BYTES = 256 * 1024
_MAX_LINE_BYTES = 64 * 1024 * 1024


class ArchiveDamaged(LogSyncError):
    """Delete nothing, and name the object to the operator: what is in the archive is not what was put there."""


@dataclass(frozen=True, slots=True)
class Part:
    """One object of an archive. documents by ascending id; times: @timestamp, epoch ms; sha256: of the object."""

    key: str
    sha256: str
    size_bytes: int
    documents: int
    document_bytes: int
    first_id: str
    last_id: str
    min_time: int
    max_time: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What makes parts an archive. documents: in the parts; index_documents: in the index when it was archived, of
    which some services' may go unarchived or elsewhere. created_at: epoch ms. services: service -> documents.
    revision: counts up when logs are erased; previous: the sha256 of the manifest before, "" for the first.
    """

    index: str
    dataset: str
    day: str
    generation: int
    created_at: int
    documents: int
    index_documents: int
    services: dict[str, int]
    parts: tuple[Part, ...] = ()
    revision: int = 1
    previous: str = ""

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)

    @property
    def sha256(self) -> str:
        """Of all that it says: what the next revision calls `previous`."""
        return _digest({"format": FORMAT, **asdict(self)})

    def encoded(self) -> bytes:
        """The object's bytes; the last field is the sha256 of all others."""
        content = {"format": FORMAT, **asdict(self)}
        return orjson.dumps({**content, "sha256": self.sha256}, option=orjson.OPT_INDENT_2)


def decode_manifest(key: str, content: bytes) -> Manifest:
    """The manifest of an object. Raises ArchiveDamaged for what `encoded` did not write, whole."""
    try:
        found: dict[str, Any] = orjson.loads(content)
        said = found.pop("sha256")
        if found["format"] != FORMAT or said != _digest(found):
            raise ValueError("its checksum or format is another")
        del found["format"]
        return Manifest(**{**found, "parts": tuple(Part(**part) for part in found["parts"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveDamaged(f"{key}: the manifest is damaged: {error}") from error


def folder(prefix: str, name: IndexName) -> str:
    """Where an index's archive is, with `/` at the end."""
    return under(prefix, name.dataset, f"{name.day:%Y/%m/%d}", str(name))


def under(*parts: str) -> str:
    """What the keys in such a folder begin with: each part that is not empty, and `/`."""
    return "".join(f"{part}/" for part in parts if part)


def read_manifest(objects: Objects, at: str) -> Manifest:
    """The manifest in an archive's folder. Raises ObjectMissing, ArchiveDamaged, Unavailable."""
    key = at + MANIFEST
    return decode_manifest(key, b"".join(objects.read(key)))


@dataclass
class PartWriter:
    """Writes documents into part files, one after the other; each is handed out when it is full.

    Memory: one compressor. at: the archive's folder; folder: where the files are until they are taken.
    """

    at: str
    work: Path
    part_bytes: int
    level: int
    documents: int = 0
    services: dict[str, int] = field(default_factory=dict)
    _number: int = 0
    _open: _OpenPart | None = None

    def add(self, stored: Stored, document: dict[str, Any]) -> tuple[Part, Path] | None:
        """Add one document, ids ascending; `document` is it parsed. A part that this fills, with its file. Raises
        Unavailable when the disk is full.
        """
        with disk(self.work):
            if self._open is None:
                self._number += 1
                self._open = _OpenPart(self.work, self.level)
            self._open.add(stored, date_ms(document.get("@timestamp")) or 0)
        self.documents += 1
        service = portion_of(document)[0]
        self.services[service] = self.services.get(service, 0) + 1
        return self.finish() if self._open.document_bytes >= self.part_bytes else None

    def finish(self) -> tuple[Part, Path] | None:
        """The last part, None when there is nothing in it. Raises Unavailable when the disk is full."""
        if self._open is None:
            return None
        with disk(self.work):
            part, path = self._open.close(f"{self.at}part-{self._number:05d}"), self._open.path
        self._open = None
        return part, path

    def abandon(self) -> None:
        """Remove the file that is being written. Raises Unavailable."""
        done, self._open = self._open, None
        if done is not None:
            with disk(self.work):
                done.abandon()


class _OpenPart:
    def __init__(self, work: Path, level: int) -> None:
        work.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(dir=work, prefix="part-", delete=False)  # noqa: SIM115 - open until closed
        self.path = Path(file.name)
        self._hashing = _HashingFile(file)
        compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
        self._writer: Any = compressor.stream_writer(self._hashing)  # type: ignore[arg-type]  # it only writes and closes
        self.document_bytes = self._documents = 0
        self._first = self._last = ""
        self._min = self._max = 0

    def add(self, stored: Stored, time: int) -> None:
        if not self._documents:
            self._first, self._min, self._max = stored.id, time, time
        self._min, self._max, self._last = min(self._min, time), max(self._max, time), stored.id
        self._writer.write(stored.body + b"\n")
        self._documents += 1
        self.document_bytes += len(stored.body) + 1

    def close(self, key: str) -> Part:
        self._writer.close()
        return Part(
            # Named by its content: no later attempt can put something else in the place of what a manifest names.
            key=f"{key}-{self._hashing.sha256.hexdigest()[:12]}.ndjson.zst",
            sha256=self._hashing.sha256.hexdigest(),
            size_bytes=self._hashing.size_bytes,
            documents=self._documents,
            document_bytes=self.document_bytes,
            first_id=self._first,
            last_id=self._last,
            min_time=self._min,
            max_time=self._max,
        )

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # what a full disk has no room for; it goes anyway
            self._hashing.close()
        self.path.unlink(missing_ok=True)


class _HashingFile:
    """What zstandard writes to: a file, whose bytes are hashed on their way."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size_bytes += len(data)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def part_lines(objects: Objects, part: Part) -> Iterator[bytes]:
    """The documents of a part, one JSON object each, checked as they are read: at the end all of it was right.

    Raises ArchiveDamaged naming the object, at the latest after the last line; ObjectMissing, Unavailable.
    """
    sha256, size = hashlib.sha256(), 0
    documents = 0

    def hashed() -> Iterator[bytes]:
        nonlocal size
        for chunk in objects.read(part.key):
            sha256.update(chunk)
            size += len(chunk)
            yield chunk

    try:
        for line in _lines(hashed()):
            documents += 1
            yield line
    except (zstandard.ZstdError, EOFError) as error:
        raise ArchiveDamaged(f"{part.key}: it cannot be decompressed: {error}") from error
    if size != part.size_bytes or sha256.hexdigest() != part.sha256:
        raise ArchiveDamaged(f"{part.key}: {size} bytes with another sha256 than the manifest's {part.size_bytes}")
    if documents != part.documents:
        raise ArchiveDamaged(f"{part.key}: {documents} documents where the manifest has {part.documents}")


def verify(objects: Objects, manifest: Manifest) -> None:
    """Read the whole archive back. Raises ArchiveDamaged naming the object; ObjectMissing, Unavailable."""
    verify_parts(objects, manifest.parts)
    _verify_sums(manifest)


def _verify_sums(manifest: Manifest) -> None:
    documents = sum(part.documents for part in manifest.parts)
    if documents != manifest.documents or documents != sum(manifest.services.values()):
        raise ArchiveDamaged(f"{manifest.index}: the manifest's parts have {documents} documents, not what it says")


def problems(objects: Objects, manifest: Manifest) -> list[LogSyncError]:
    """What is damaged or missing in an archive, every object named; [] when it is whole. Raises Unavailable."""
    found: list[LogSyncError] = []
    for part in manifest.parts:
        try:
            verify_parts(objects, [part])
        except (ArchiveDamaged, ObjectMissing) as error:
            found.append(error)
    if not found:
        try:
            _verify_sums(manifest)
        except ArchiveDamaged as error:
            found.append(error)
    return found


def verify_parts(objects: Objects, parts: Iterable[Part]) -> None:
    """Read parts back and hash them. Raises as `verify` does."""
    for part in parts:
        for _ in part_lines(objects, part):
            pass


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Memory: as much as is read at once, and a line, however well it was compressed."""
    reader = zstandard.ZstdDecompressor().stream_reader(_Source(chunks))  # type: ignore[arg-type]  # it only reads
    rest = b""
    while text := reader.read(_READ_BYTES):
        lines = (rest + text).split(b"\n")
        rest = lines.pop()
        if len(rest) > _MAX_LINE_BYTES:
            raise EOFError("a line without an end")
        yield from lines
    for _ in chunks:  # what follows belongs to the object, and to its hash
        pass
    if rest:
        raise EOFError("it is cut off")


class _Source:
    """What zstandard reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _: int = -1) -> bytes:
        return next(self._chunks, b"")


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
