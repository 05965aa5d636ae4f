from __future__ import annotations

import asyncio

from logsync_streams.collector import producer as module
from logsync_streams.collector.producer import Producer
from logsync_streams.settings import KafkaSettings


async def test_a_cancellation_that_is_swallowed_does_not_keep_it_from_closing(monkeypatch):
    monkeypatch.setattr(module, "_CANCEL_AGAIN_SECONDS", 0.01)
    swallowed: list[bool] = []

    async def keep(self: Producer) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed.append(True)  # as `wait_for` of Python 3.11 does

    monkeypatch.setattr(Producer, "_keep", keep)
    producer = Producer(KafkaSettings(), "logs", timeout_seconds=1)
    await producer.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await producer.close(1)

    assert [True] == swallowed
