"""R3: how soon a process that starts can answer with the error rates of the last hour, at 200 counts records a second.

A row that is no ratio: the fold itself, in this process, reads an hour of `logs-counts` from the real broker.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from aiokafka import AIOKafkaProducer

from bench.alone import footer
from bench.contenders import ours
from bench.run import Bench, RunFailed, place_for
from logsync_streams import counts, topics
from logsync_streams.counts import Run, ServiceCounts
from logsync_streams.settings import KafkaSettings
from logsync_streams.streams.rates import RatesFold

RECORDS_PER_SECOND = 200
_RECORDS = 3600 * RECORDS_PER_SECOND
_SERVICES = 50
_EVENTS_A_RECORD = 25
_IN_FLIGHT = 2000
_GOAL_SECONDS = 10
_MOST_SECONDS = 120


def ready(bench: Bench, number: int) -> str:
    """R3 as Markdown. Raises RunFailed when the fold is not ready at all, or does not hold what was written."""
    with place_for(bench, number):  # which makes the topics
        seconds, cpu = asyncio.run(_measure(bench.bootstrap))
    print(f"R3  ready after {seconds:.1f} s, {cpu:.1f} s of CPU, {_RECORDS:,} records", flush=True)
    return (
        f"## R3 – error rates of the last hour ready, {RECORDS_PER_SECOND} counts records a second\n\n"
        f"**{seconds:.1f} s** (goal ≤ {_GOAL_SECONDS}) from the start of the fold until {_RECORDS:,} records of "
        f"{_SERVICES} services are read, {cpu:.1f} s of them CPU; the totals are those written; one run.\n\n"
        f"{footer(ours('envelopes').version)}"
    )


async def _measure(bootstrap: str) -> tuple[float, float]:
    now_ms = int(time.time() * 1000)
    await _write(bootstrap, now_ms)
    kafka = KafkaSettings(bootstrap=[bootstrap], replication_factor=1, min_insync_replicas=1)
    fold = RatesFold(kafka, max_services=2 * _SERVICES, now=lambda: now_ms)
    began, cpu_began = time.monotonic(), time.process_time()
    reading = asyncio.create_task(fold.run())
    try:
        while not fold.ready:
            if time.monotonic() - began > _MOST_SECONDS:
                raise RunFailed(f"R3: the fold is not ready after {_MOST_SECONDS} s")
            await asyncio.sleep(0.02)
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu_began
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    minute = now_ms // 60_000
    folded = sum(sum(fold.rates.levels(f"bench-{n}", minute).values()) for n in range(_SERVICES))
    if folded != _RECORDS * _EVENTS_A_RECORD:
        raise RunFailed(f"R3: {folded:,} events folded of {_RECORDS * _EVENTS_A_RECORD:,}")
    return seconds, cpu


async def _write(bootstrap: str, now_ms: int) -> None:
    """An hour of counts in the minutes before now, as a batch of 25 envelopes a service makes them."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type="zstd", linger_ms=20)
    await producer.start()
    try:
        waiting: list[asyncio.Future[object]] = []
        for n in range(_RECORDS):
            minute = now_ms // 60_000 - 59 * (_RECORDS - 1 - n) // _RECORDS
            levels = {"info": [n * 2, _EVENTS_A_RECORD - 5, n * 2 + 1, 3], "error": [n * 2, 2]}
            run = Run(minute * 60_000, minute, levels)
            key, value = counts.encode(ServiceCounts(f"bench-{n % _SERVICES}", "logs", n % 4, (run,)))
            waiting.append(await producer.send(topics.COUNTS, value, key=key))
            if len(waiting) == _IN_FLIGHT:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
