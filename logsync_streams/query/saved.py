"""Searches saved under a name: checked here, kept in the store where processes share it, else in a file."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import orjson

from logsync_streams.errors import Unavailable
from logsync_streams.query.problems import BadParameter

FILE = "saved-searches.json"
MAX_NAME_LENGTH = 80
MAX_BODY_BYTES = 16_384
# What the page's address holds, and how long each may be.
PARTS = {"q": 8192, "from": 40, "to": 40, "sort": 4, "columns": 2000}


class Place(Protocol):
    """Where searches are kept: a file, or the store where that is shared. Each method raises Unavailable."""

    async def all(self) -> dict[str, dict[str, str]]:
        """By name, in order."""
        ...

    async def put(self, name: str, search: dict[str, str], most: int) -> bool:
        """Save or replace; False, and nothing is changed, when there are `most` others already."""
        ...

    async def delete(self, name: str) -> bool:
        """Whether there was one of this name."""
        ...


@runtime_checkable
class SharesSearches(Protocol):
    """A reader of a store that several machines share: it keeps saved searches, too."""

    def saved_searches(self) -> Place: ...


class SavedSearches:
    """Names -> the parts of a search, checked and at most `most` of them."""

    def __init__(self, place: Place, most: int) -> None:
        self._place, self._most = place, most

    async def all(self) -> dict[str, dict[str, str]]:
        """By name, in order. Raises Unavailable."""
        return await self._place.all()

    async def put(self, name: str, search: Any) -> dict[str, str]:
        """Save or replace; what was saved. Raises BadParameter for what is no search, Unavailable."""
        checked_name(name)
        checked = checked_search(search)
        if not await self._place.put(name, checked, self._most):
            raise BadParameter("name", f"{self._most} searches are saved already", hint="delete one that is old")
        return checked

    async def delete(self, name: str) -> bool:
        """Whether there was one of this name. Raises Unavailable."""
        try:
            checked_name(name)
        except BadParameter:
            return False
        return await self._place.delete(name)


class FilePlace:
    """One small JSON file in the data folder, for all processes that share the folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    async def all(self) -> dict[str, dict[str, str]]:
        return await asyncio.to_thread(self._read)

    async def put(self, name: str, search: dict[str, str], most: int) -> bool:
        return await asyncio.to_thread(self._put, name, search, most)

    async def delete(self, name: str) -> bool:
        return await asyncio.to_thread(self._delete, name)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            found = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Unavailable(f"the saved searches in {str(self._path)!r} cannot be read: {error}") from error
        return dict(sorted(found.items()))

    def _put(self, name: str, search: dict[str, str], most: int) -> bool:
        with self._alone():
            found = self._read()
            if name not in found and len(found) >= most:
                return False
            self._write({**found, name: search})
        return True

    def _delete(self, name: str) -> bool:
        with self._alone():
            found = self._read()
            if found.pop(name, None) is None:
                return False
            self._write(found)
        return True

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time reads and writes again."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path.with_suffix(".lock"), "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise Unavailable(f"searches cannot be saved in {str(self._path)!r}: {error.strerror}") from error

    def _write(self, searches: dict[str, dict[str, str]]) -> None:
        descriptor, name = tempfile.mkstemp(prefix=FILE, dir=self._path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(searches, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, self._path)


def checked_name(name: str) -> None:
    """Raises BadParameter for a name that is too long, blank, or not printable."""
    odd = any(unicodedata.category(character)[0] == "C" for character in name)
    if not name.strip() or len(name) > MAX_NAME_LENGTH or odd or name != name.strip():
        raise BadParameter("name", f"a name of 1 to {MAX_NAME_LENGTH} printable characters is expected")


def checked_search(search: Any) -> dict[str, str]:
    """The parts of a search as texts. Raises BadParameter for anything else. What they mean is checked when it runs."""
    if not isinstance(search, dict):
        raise BadParameter("body", "a JSON object is expected", hint=f"with {', '.join(PARTS)}, all texts")
    for part, value in search.items():
        if part not in PARTS:
            raise BadParameter("body", f"unknown part {str(part)[:40]!r}", hint=f"known are {', '.join(PARTS)}")
        if not isinstance(value, str) or len(value) > PARTS[part]:
            raise BadParameter("body", f"{part}: a text of at most {PARTS[part]} characters is expected")
    return {part: value for part, value in search.items() if value}
