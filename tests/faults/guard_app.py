"""A Faust app that never acknowledges one message of each topic, with our guard or with Faust's own consumer.

One topic a scenario, one partition each; guard_scenarios.py says which offset is held back. The scenarios are the ways
in which the stock consumer commits past a message that is still in flight. From the environment: GUARD_CONSUMER (stock
or guarded), GUARD_BOOTSTRAP, GUARD_HOLD (1: hold, 0: acknowledge everything), GUARD_DELIVERED (file, one line a
delivery: topic and offset), GUARD_WEB_PORT.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import faust
from faust.serializers import codecs

from logsync_streams.consumer import GuardedApp, Records, coalescing_scheduler
from tests.faults.guard_scenarios import COALESCED, COMPACTED, HELD, PROBE, TRANSACTIONAL

GUARDED = "guarded"

consumer = os.environ["GUARD_CONSUMER"]
_holding = os.environ["GUARD_HOLD"] == "1"
_delivered = os.open(Path(os.environ["GUARD_DELIVERED"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)


class _AsIs(codecs.Codec):
    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


codecs.register("as_is", _AsIs())
app = (GuardedApp if consumer == GUARDED else faust.App)(
    f"guard-{consumer}",
    broker=f"kafka://{os.environ['GUARD_BOOTSTRAP']}",
    autodiscover=False,
    store="memory://",
    table_standby_replicas=0,
    topic_disable_leader=True,
    stream_wait_empty=False,
    broker_commit_interval=0.2,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=1.0,
    consumer_group_instance_id=f"guard-{consumer}",  # the second start need not wait for the first to time out
    value_serializer="raw",
    key_serializer="raw",
    web_port=int(os.environ["GUARD_WEB_PORT"]),
    worker_redirect_stdouts=False,
    ConsumerScheduler=coalescing_scheduler(frozenset({COALESCED}), 100, 1 << 20),
)
_in_flight: list[Any] = []  # what an agent still works on is referenced by it


def _topic(name: str, serializer: str = "raw") -> Any:
    return app.topic(name, value_type=bytes, value_serializer=serializer, key_type=bytes, key_serializer="raw")


def _note(topic: str, offset: int) -> None:
    os.write(_delivered, f"{topic} {offset}\n".encode())


def _is_held(topic: str, offset: int) -> bool:
    _note(topic, offset)
    return _holding and HELD.get(topic) == offset


async def _holds_back(stream: Any) -> None:
    """Acknowledge all but one, which stays in work."""
    async for [event] in stream.noack_take(1, within=0.05):
        if _is_held(event.message.topic, event.message.offset):
            _in_flight.append(event)
        else:
            await stream.ack(event)


async def _drops(stream: Any) -> None:
    """Acknowledge all but one, which is forgotten."""
    async for [event] in stream.noack_take(1, within=0.05):
        if not _is_held(event.message.topic, event.message.offset):
            await stream.ack(event)


async def _acknowledges(stream: Any) -> None:
    """Acknowledge everything."""
    async for [event] in stream.noack_take(1, within=0.05):
        await stream.ack(event)


async def _blocks(stream: Any) -> None:
    """Stay at one message for ever; the other instance goes on."""
    async for event in stream.events():
        if _is_held(event.message.topic, event.message.offset):
            await asyncio.Event().wait()


async def _holds_a_batch(stream: Any) -> None:
    """Acknowledge all batches of records but the one with the held record."""
    async for [event] in stream.noack_take(1, within=0.05):
        assert isinstance(event.value, Records)
        held = [_is_held(record.topic, record.offset) for record in event.value]
        if any(held):
            _in_flight.append(event)
        else:
            await stream.ack(event)


for _name in (
    "guard-later-acknowledged",
    "guard-nothing-committed-yet",
    "guard-two-agents-out-of-order",
    TRANSACTIONAL,
    COMPACTED,
    PROBE,
):
    app.agent(_topic(_name), name=f"{_name}-holds-back")(_holds_back)
app.agent(_topic("guard-dropped-without-ack"), name="drops")(_drops)
app.agent(_topic("guard-two-agents-out-of-order"), name="acknowledges")(_acknowledges)
app.agent(_topic("guard-concurrency-two"), name="blocks", concurrency=2)(_blocks)
app.agent(_topic(COALESCED, "as_is"), name="holds-a-batch")(_holds_a_batch)
