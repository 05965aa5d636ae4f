"""The embedded store from beside its writer: reads from the folder, and has the writer do what changes something."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.storage.api import Document, Outcome, Reaction
from logsync_streams.storage.embedded_commands import AWAY, DONE, address, frame, read_frame
from logsync_streams.storage.embedded_reader import EmbeddedReader

_ANSWER_SECONDS = 300.0  # a big folder takes a while to remove


class BesideWriter(EmbeddedReader):
    """EventWriter, EventReader and IndexAdmin while another process holds the folder's lock: the worker.

    Every change is Unavailable when nobody takes commands there.
    """

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(folder)
        self._holder = holder

    async def write(self, documents: Sequence[Document]) -> list[Outcome]:
        try:
            answers = await self._command("write", [list(document) for document in documents])
        except (Unavailable, ConfigurationError) as error:
            return [Outcome(Reaction.HOLD, "embedded_store_failed", str(error))] * len(documents)
        return [Outcome(Reaction(reaction), *others) for reaction, *others in answers]

    async def prepare(self) -> None:
        """Nothing: every index carries its schema."""

    async def create(self, target: str) -> None:
        await self._command("create", target)

    async def next_generation(self, target: str) -> None:
        await self._command("next_generation", target)

    async def block_writes(self, index: str) -> None:
        await self._command("block_writes", index)

    async def erase(self, index: str, ids: Collection[str]) -> None:
        await self._command("erase", index, list(ids))

    async def drop(self, index: str) -> None:
        await self._command("drop", index)

    async def refresh(self) -> None:
        """Nothing: what is committed is visible."""

    async def _command(self, operation: str, *arguments: Any) -> Any:
        """The writer's answer. Raises Unavailable, ConfigurationError."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                status, value = await self._asked(frame([operation, *arguments]))
        except TimeoutError as error:
            raise Unavailable(f"{self._holder} has not answered within {_ANSWER_SECONDS:.0f} s: {operation}") from error
        except (OSError, EOFError) as error:
            raise Unavailable(
                f"{self._holder} writes to {str(self._folder)!r} and takes no commands ({error}): it is starting or "
                "stopping, or it is another command; try again in a moment"
            ) from error
        if status == DONE:
            return value
        if status == AWAY:
            raise Unavailable(value)
        raise ConfigurationError(value)

    async def _asked(self, request: bytes) -> Any:
        with address(self._folder) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(request)
            await writer.drain()
            return await read_frame(reader)
        finally:
            writer.close()
