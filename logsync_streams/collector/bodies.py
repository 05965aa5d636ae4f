"""A request's body as it comes in: counted, within a deadline and a least rate; then unpacked and framed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.types import Receive

from logsync_streams.collector.aside import LARGE_BYTES, Aside
from logsync_streams.collector.decompress import decompress, too_large
from logsync_streams.collector.limits import Budget
from logsync_streams.errors import RejectInput, Unavailable
from logsync_streams.settings import CollectorSettings

T = TypeVar("T")

_GRACE_SECONDS = 5.0  # so long a body may be slower than the least rate
_LARGE_PACKED_BYTES = 4 * 1024
_THREADS = 2


class Bodies:
    """Receives bodies within the settings' bounds. `give_back` what `receive` returned when it is done with."""

    def __init__(self, settings: CollectorSettings, budget: Budget) -> None:
        self._max_bytes, self._seconds = settings.max_body_bytes, settings.receive_timeout_seconds
        self._least_rate = settings.min_receive_bytes_per_second
        self._budget = budget
        self._aside = Aside(_THREADS, "bodies")

    async def receive(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The body as sent; None when the sender went away.

        Raises RejectInput: 413, or 408 for one that comes too slowly; Unavailable when all bodies together are too
        many. Nothing is to be given back then.
        """
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and len(announced) < 20 and int(announced) > self._max_bytes:
            raise too_large(self._max_bytes)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                async with asyncio.timeout_at(self._deadline(begun, size)):
                    message = await receive()
                if message["type"] != "http.request":
                    self._budget.give(size)
                    return None
                part: bytes = message.get("body", b"")
                if size + len(part) > self._max_bytes:
                    raise too_large(self._max_bytes)
                if not self._budget.take(len(part)):
                    raise Unavailable("too many requests are being received", retry_after_seconds=1)
                size += len(part)
                parts.append(part)
                if not message.get("more_body", False):
                    return part if len(parts) == 1 else b"".join(parts)
        except TimeoutError as error:
            self._budget.give(size)
            waited = loop.time() - begun
            why = (
                f"a body must be here within {self._seconds:g} s"
                if waited >= self._seconds
                else f"a body must come with {self._least_rate} bytes a second at least"
            )
            raise RejectInput(408, "Body too slow", why) from error
        except (RejectInput, Unavailable, asyncio.CancelledError):
            self._budget.give(size)
            raise

    def give_back(self, body: bytes) -> None:
        self._budget.give(len(body))

    async def unpacked(self, body: bytes, encoding: str, work: Callable[[bytes], T]) -> T:
        """What `work` returns or raises for the body without its Content-Encoding; beside the event loop when it is
        large. Raises RejectInput as `decompress` does.
        """
        if encoding in ("", "identity"):
            if len(body) <= LARGE_BYTES:
                return work(body)
        elif len(body) <= _LARGE_PACKED_BYTES:
            try:
                plain = decompress(body, encoding, LARGE_BYTES)
            except RejectInput as error:
                if error.status != 413:
                    raise
            else:
                return work(plain)
        return await self._aside.run(lambda: work(decompress(body, encoding, self._max_bytes)))

    def _deadline(self, begun: float, size: int) -> float:
        latest = begun + self._seconds
        if self._least_rate:
            latest = min(latest, begun + _GRACE_SECONDS + size / self._least_rate)
        return latest
