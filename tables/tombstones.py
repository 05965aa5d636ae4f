"""The days that were dropped for ever: no log may bring their index back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

_PREFIX = "tombstone/"


def tombstone_key(alias: str) -> str:
    """The key in `logs-state` that says that a day was dropped for ever."""
    return f"{_PREFIX}{alias}"


def alias_of_tombstone(key: str) -> str | None:
    """The day that a key of `logs-state` is the tombstone of, None when it is none."""
    return key.removeprefix(_PREFIX) if key.startswith(_PREFIX) else None


class Tombstones:
    """What `logs-state` said when it was last read. read() gives all its keys, and raises Unavailable."""

    def __init__(self, read: Callable[[], Awaitable[Mapping[str, bytes]]]) -> None:
        self._read = read
        self._aliases: frozenset[str] = frozenset()

    async def reload(self) -> None:
        """Read again. Raises Unavailable."""
        found = await self._read()
        self._aliases = frozenset(key.removeprefix(_PREFIX) for key in found if key.startswith(_PREFIX))

    def stands(self, alias: str) -> bool:
        """Whether this day was dropped, as of the last reading."""
        return alias in self._aliases
