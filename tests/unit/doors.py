"""Doors on sockets of their own over the in-memory publisher, for the tests of what comes over connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from logsync_streams import metrics
from logsync_streams.collector.limits import Limits
from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.settings import CollectorSettings

NOW = 1_714_566_900_000


def bound(kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket on a free port of the loopback."""
    made = socket.socket(socket.AF_INET, kind)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made


@contextlib.asynccontextmanager
async def opened(door_class: Any, publisher: MemoryPublisher, sock: socket.socket, **given: Any) -> AsyncIterator[Any]:
    """The door, open; closed at the end. `settings` and `limits` may be given, the rest goes to the door."""
    settings = given.pop("settings", None) or CollectorSettings(multiline_wait_ms=0)
    limits = given.pop("limits", None) or Limits(settings)
    door = door_class(publisher, sock, settings, limits, **given)
    await door.open()
    try:
        yield door
    finally:
        await door.close(5)


async def until(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds; fails after half a minute."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the condition is the product's, it has no event
            await asyncio.sleep(0.002)


def events_of(publisher: MemoryPublisher) -> list[bytes]:
    return [data for envelope in publisher.envelopes for data in envelope.events]


def count(name: str, **labels: str) -> float:
    """A counter's value now."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def hung_up(reader: asyncio.StreamReader) -> bool:
    """True once the other side has closed or broken the connection, whatever came before; waits half a minute."""
    try:
        async with asyncio.timeout(30):
            while await reader.read(65_536):
                pass
    except (ConnectionError, ssl.SSLError):
        pass
    except TimeoutError:
        return False
    return True
