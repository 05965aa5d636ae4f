"""Our worker with a fault put in: after STALL_AFTER batches its `index` gets nowhere any more.

STALL_HOW: `waits` for what never comes, as a lost wake-up would; `blocks` the loop, as a call that does not return.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from logsync_streams import worker
from logsync_streams.streams.index import IndexStream


class _Stalling:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def noack_take(self, number: int, within: float) -> Any:
        left = int(os.environ["STALL_AFTER"])
        async for events in self._stream.noack_take(number, within=within):
            left -= 1
            while left < 0:
                if os.environ["STALL_HOW"] == "blocks":
                    time.sleep(3600)  # noqa: ASYNC251  # the point of it
                await asyncio.sleep(3600)
            yield events

    async def ack(self, event: Any) -> None:
        await self._stream.ack(event)


_run = IndexStream.run


async def _stalling(self: IndexStream, stream: Any) -> None:
    """Write until it stalls."""
    await _run(self, _Stalling(stream))


IndexStream.run = _stalling  # type: ignore[method-assign]  # the point of this module
app = worker.app_from_environment()
