"""`logsync query`: the API and the page alone, with error rates and live tail that this process reads for itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from logsync_streams.query import server
from logsync_streams.settings import Settings
from logsync_streams.state import open_state
from logsync_streams.streams.rates import RatesFold
from logsync_streams.streams.tail import feeding
from retention.shown import View


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. The exit code; raises ConfigurationError as `server.run` does."""
    return server.run(
        settings,
        open_rates=_folded_rates,
        feed_tail=lambda settings, hub: feeding(settings.kafka, hub),
        retention=View(open_state(settings).read, _now),
    )


def _now() -> int:
    return time.time_ns() // 1_000_000


@contextlib.asynccontextmanager
async def _folded_rates(settings: Settings) -> AsyncIterator[Callable[[], dict[str, object]]]:
    fold = RatesFold(settings.kafka, settings.web.max_services, _now)
    # It tries again by itself while Kafka is away: searching needs no Kafka.
    folding = asyncio.create_task(fold.run(), name="error-rates")
    try:
        yield fold.view
    finally:
        folding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await folding
