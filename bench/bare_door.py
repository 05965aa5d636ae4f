"""The least that can be compared with our HTTP door: a bare ASGI handler that reads the body and sends it to Kafka.

The same server, the same producer settings, the same answer only after Kafka's acknowledgement; nothing is looked at.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer

_ANSWER = b'{"accepted":1}'
_START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 202,
    "headers": [(b"content-length", str(len(_ANSWER)).encode()), (b"content-type", b"application/json")],
}


async def serve(bootstrap: str, topic: str, port: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=20,
        max_batch_size=900_000,
    )
    await producer.start()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        parts = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        await producer.send_and_wait(topic, b"".join(parts))
        await send(_START)
        await send({"type": "http.response.body", "body": _ANSWER})

    config = uvicorn.Config(
        app, port=port, http="httptools", ws="none", lifespan="off", loop="none", log_config=None, access_log=False
    )
    await uvicorn.Server(config).serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.bootstrap, given.topic, given.port))


if __name__ == "__main__":
    main()
