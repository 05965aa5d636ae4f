"""`logsync topics create` and `logsync topics check`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from logsync_streams import kafka_topics
from logsync_streams.settings import Settings


def create(settings: Settings, *, say: Callable[[str], None]) -> int:
    """Create what is missing, then check all. The exit code. Raises ConfigurationError as `check` does."""

    async def both() -> None:
        for name in await kafka_topics.create(settings):
            say(f"created {name}")
        await kafka_topics.check(settings)

    asyncio.run(both())
    say("the topics are as they should be")
    return 0


def check(settings: Settings, *, say: Callable[[str], None]) -> int:
    """The exit code. Raises ConfigurationError: a topic is missing or differs, or Kafka cannot be reached."""
    asyncio.run(kafka_topics.check(settings))
    say("the topics are as they should be")
    return 0
