"""Our worker with its guard taken out: `index` acknowledges what it takes before it has written it.

The kill test must see it lose logs; otherwise the test proves nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any

from logsync_streams import worker
from logsync_streams.streams.index import IndexStream
from tests.faults.early_ack_hold import HOLD_SECONDS


class _Early:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def noack_take(self, number: int, within: float) -> Any:
        async for events in self._stream.noack_take(number, within=within):
            for event in events:
                await self._stream.ack(event)
            await asyncio.sleep(HOLD_SECONDS)
            yield events

    async def ack(self, event: Any) -> None:
        return None


_run = IndexStream.run


async def _early(self: IndexStream, stream: Any) -> None:
    """Acknowledge first, write then."""
    await _run(self, _Early(stream))


IndexStream.run = _early  # type: ignore[method-assign]  # the point of this module
app = worker.app_from_environment()
