"""The hand-written floor: one consumer, one loop, orjson, bulk, commit. What a good programmer writes in an afternoon.

`python -m bench.handloop` consumes a topic of our envelopes or of one-event records, drops DEBUG of production, and
stores the same documents as our `process` and `index` do for the generator's traffic (a test compares them): same
fields, same bulk size, offsets committed after the store's answer. It has no metrics, no counts, no dead letters, no
second topic, and it trusts its input.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import aiohttp
import msgpack
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

from logsync_streams.events import SEVERITIES, foreign_record_id
from logsync_streams.words import words_field

_BULK_DOCUMENTS = 2000
_FETCH_RECORDS = {"envelopes": 4, "records": 2000}
_BULK_PATH = "/_bulk?filter_path=errors,items.*.status,items.*.error"
_RETRY = (429, 502, 503, 504)
_RETRY_SECONDS = 0.1


class Stamp(NamedTuple):
    """What all events of a record have in common, made once. action: up to the id."""

    ingested: str
    action: bytes
    source: str
    peer: dict[str, Any] | None


def stamp(received_at: int, source: str, peer: str) -> Stamp:
    """received_at: epoch ms. peer: host:port, "" when unknown."""
    received = datetime.fromtimestamp(received_at // 1000, UTC)
    ingested = f"{received:%Y-%m-%dT%H:%M:%S}.{received_at % 1000:03d}Z"
    action = b'{"create":{"_index":"logsync-default-%b","_id":"' % f"{received:%Y.%m.%d}".encode()
    host, _, port = peer.rpartition(":")
    return Stamp(ingested, action, source, {"ip": host, "port": int(port)} if peer else None)


def lines(stored_id: str, common: Stamp, data: bytes) -> list[bytes] | None:
    """The action and the document of one event, None when the filter drops it."""
    log = orjson.loads(data)
    level = log["level"].lower()
    environment = log["environment"]
    if level == "debug" and environment == "production":
        return None
    message = log["message"]
    labels = log["metadata"]
    ours: dict[str, Any] = {"source": common.source, "correlation_id": labels.get("request_id") or stored_id}
    words = words_field(message)
    if words is not None:
        ours["words"] = {"message": words}
    document: dict[str, Any] = {
        "event": {
            "id": stored_id,
            "ingested": common.ingested,
            "dataset": "default",
            "severity": SEVERITIES[level],
            "original": data.decode(),
        },
        "@timestamp": log["timestamp"],
        "message": message,
        "log": {"level": level},
        "service": {"name": log["service"], "environment": environment},
        "host": {"name": log["host"]},
        "labels": labels,
        "logsync": ours,
    }
    if common.peer is not None:
        document["source"] = common.peer
    return [b'%b%b","require_alias":true}}' % (common.action, stored_id.encode()), orjson.dumps(document)]


def of_envelope(record: Any) -> Iterable[list[bytes] | None]:
    """The lines of every event of one of our envelopes."""
    headers = {key: value.decode() for key, value in record.headers}
    common = stamp(int(headers["logsync-received-at"]), headers["logsync-source"], headers["logsync-peer"])
    envelope_id = headers["logsync-id"]
    for index, data in enumerate(msgpack.unpackb(record.value)):
        yield lines(f"{envelope_id}-{index:05d}", common, data)


def of_record(record: Any) -> Iterable[list[bytes] | None]:
    """The lines of a record that is one event."""
    record_id = foreign_record_id(record.topic, record.partition, record.offset, record.timestamp, record.value)
    yield lines(f"{record_id}-00000", _foreign_stamp(record.timestamp), record.value)


@lru_cache(maxsize=16)  # the broker gives one time to a whole batch
def _foreign_stamp(received_at: int) -> Stamp:
    return stamp(received_at, "kafka", "")


_READERS = {"envelopes": of_envelope, "records": of_record}


async def store(session: aiohttp.ClientSession, url: str, batch: list[list[bytes]]) -> None:
    """Write until every document is stored. Raises RuntimeError for a document that the store refuses."""
    while batch:
        body = b"\n".join([line for pair in batch for line in pair]) + b"\n"
        async with session.post(
            url + _BULK_PATH, data=body, headers={"Content-Type": "application/x-ndjson"}
        ) as answer:
            answer.raise_for_status()
            told = orjson.loads(await answer.read())
        if not told["errors"]:
            return
        results = [item["create"] for item in told["items"]]
        refused = [result for result in results if result["status"] not in (200, 201, 409, *_RETRY)]
        if refused:
            raise RuntimeError(f"the store refuses a document: {refused[0]}")
        batch = [pair for pair, result in zip(batch, results, strict=True) if result["status"] in _RETRY]
        await asyncio.sleep(_RETRY_SECONDS)


async def run(bootstrap: str, topic: str, group: str, url: str, form: str) -> None:
    """Consume for ever."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=60_000,
    )
    read = _READERS[form]
    await consumer.start()
    try:
        async with aiohttp.ClientSession() as session:
            while True:
                fetched = await consumer.getmany(timeout_ms=1000, max_records=_FETCH_RECORDS[form])
                batch = [
                    pair
                    for records in fetched.values()
                    for record in records
                    for pair in read(record)
                    if pair is not None
                ]
                for first in range(0, len(batch), _BULK_DOCUMENTS):
                    await store(session, url, batch[first : first + _BULK_DOCUMENTS])
                if fetched:
                    await consumer.commit()
    finally:
        await consumer.stop()


async def _until_stopped(arguments: argparse.Namespace) -> None:
    task = asyncio.create_task(run(**vars(arguments)))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True, help="host:port of Kafka")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--url", required=True, help="the store's address")
    parser.add_argument("--form", choices=sorted(_READERS), required=True)
    uvloop.run(_until_stopped(parser.parse_args()))


if __name__ == "__main__":
    main()
