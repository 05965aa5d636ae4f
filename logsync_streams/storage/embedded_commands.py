"""The embedded store's socket: other processes' writes and changes, done by the one process that may make them.

<folder>/commands is a Unix socket that only its owner may open (0600). One command a connection: a frame with the
operation's name and its arguments, and a frame back with "done" and the result, or with why not. A frame is four bytes
of length and msgpack. What only reads needs no command: an EmbeddedReader reads beside the writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgpack
import structlog

from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.storage.api import Document, Outcome

SOCKET = "commands"
DONE, AWAY, REFUSED = "done", "unavailable", "refused"
MAX_FRAME_BYTES = 96 * 1024 * 1024  # above the largest bulk that the settings allow
_MOST_AT_ONCE = 4
_REQUEST_SECONDS = 30.0
_MAX_PATH_BYTES = 100  # what every system takes in a socket's address
_LENGTH_BYTES = 4

log = structlog.get_logger(__name__)


class Commanded(Protocol):
    """What can be commanded: the parts of EventWriter and IndexAdmin that change something."""

    async def write(self, documents: Sequence[Document]) -> list[Outcome]: ...
    async def create(self, target: str) -> None: ...
    async def next_generation(self, target: str) -> None: ...
    async def block_writes(self, index: str) -> None: ...
    async def erase(self, index: str, ids: Collection[str]) -> None: ...
    async def drop(self, index: str) -> None: ...


class CommandSocket:
    """Takes commands for `store`, whose folder's lock this process holds, from `open` to `close`."""

    def __init__(self, store: Commanded, folder: Path) -> None:
        self._folder = folder
        self._server: asyncio.Server | None = None
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)
        self._operations: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "write": _writing(store),
            "create": store.create,
            "next_generation": store.next_generation,
            "block_writes": store.block_writes,
            "erase": store.erase,
            "drop": store.drop,
        }

    async def open(self) -> None:
        """Raises ConfigurationError when the socket cannot be made."""
        (self._folder / SOCKET).unlink(missing_ok=True)  # of a process that was killed: the lock is ours
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with address(self._folder) as path:
                listening.bind(path)
            (self._folder / SOCKET).chmod(0o600)  # before anybody is let in
        except OSError as error:
            listening.close()
            raise ConfigurationError(
                [f"LOGSYNC_DATA_DIR: no socket can be made in {str(self._folder)!r}: {error.strerror}"]
            ) from error
        self._server = await asyncio.start_unix_server(self._serve, sock=listening)

    async def close(self) -> None:
        """Takes no more; what was begun is ended by the store's own order."""
        if self._server is not None:
            self._server.close()
            (self._folder / SOCKET).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._at_once:
                operation, *arguments = await asyncio.wait_for(read_frame(reader), _REQUEST_SECONDS)
                writer.write(frame(await self._answer(operation, arguments)))
                await writer.drain()
        except (OSError, EOFError, ValueError, TimeoutError) as error:  # the other side has gone, or is not one of ours
            log.warning("a command to the store was not understood or not waited for", error=str(error))
        finally:
            writer.close()

    async def _answer(self, operation: str, arguments: Sequence[Any]) -> list[Any]:
        act = self._operations.get(operation)
        if act is None:
            return [REFUSED, [f"the worker knows no command {operation!r}: run it and `logsync` in one version"]]
        if operation != "write":
            log.info("a command to the store", operation=operation, of=arguments[:1])
        try:
            return [DONE, await act(*arguments)]
        except ConfigurationError as error:
            return [REFUSED, list(error.problems)]
        except Unavailable as error:
            return [AWAY, error.detail]
        except (OSError, ValueError) as error:
            log.exception("a command to the store failed", operation=operation)
            return [AWAY, f"the embedded store failed: {error}"]


def _writing(store: Commanded) -> Callable[[Sequence[Sequence[Any]]], Awaitable[list[list[str]]]]:
    async def write(documents: Sequence[Sequence[Any]]) -> list[list[str]]:
        outcomes = await store.write([Document(*one) for one in documents])
        return [[one.reaction.value, one.reason, one.detail, one.category, one.field] for one in outcomes]

    return write


def frame(content: Any) -> bytes:
    """One frame. Raises ValueError for content above MAX_FRAME_BYTES."""
    packed: bytes = msgpack.packb(content)
    if len(packed) > MAX_FRAME_BYTES:
        raise ValueError(f"{len(packed)} bytes are too many for one command to the store: at most {MAX_FRAME_BYTES}")
    return len(packed).to_bytes(_LENGTH_BYTES, "big") + packed


async def read_frame(reader: asyncio.StreamReader) -> Any:
    """The content of the next frame. Raises EOFError when the connection ends before, ValueError for what is none."""
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {length} bytes: at most {MAX_FRAME_BYTES} are taken")
    content = msgpack.unpackb(await reader.readexactly(length))
    if not isinstance(content, list) or not content:
        raise ValueError("a frame that holds no list")
    return content


@contextlib.contextmanager
def address(folder: Path) -> Iterator[str]:
    """The socket's address, also when its path is longer than an address may be. Raises OSError."""
    path = str(folder / SOCKET)
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES or not sys.platform.startswith("linux"):
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)
