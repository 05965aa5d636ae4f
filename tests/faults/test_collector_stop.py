"""SIGTERM while senders are connected over TLS and chunks are on their way: what was acknowledged is in Kafka, and the
collector is gone in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from pathlib import Path

import aiokafka
import httpx
import msgpack
import pytest
import trustme

from deploy.servers import KafkaServer, free_port
from tests.pipeline.kafka_truth import reset
from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Pipeline

SENDERS, UNACKED = 3, 8
STOP_SECONDS = 15  # what is promised


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    return made


@pytest.fixture
def doors(tmp_path: Path, kafka: KafkaServer, authority: trustme.CA):
    reset(kafka.bootstrap)
    made = Pipeline(
        tmp_path,
        kafka.bootstrap,
        "http://127.0.0.1:9",
        LOGSYNC_COLLECTOR__FORWARD_PORT=str(free_port()),
        LOGSYNC_COLLECTOR__FORWARD_TLS="true",
        LOGSYNC_COLLECTOR__SYSLOG_TLS_PORT=str(free_port()),
        LOGSYNC_COLLECTOR__TLS_CERTIFICATE_FILE=str(tmp_path / "server.pem"),
    )
    made.create_topics()
    yield made
    made.close()


def connected(authority: trustme.CA, port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    plain = socket.create_connection(("127.0.0.1", port), timeout=60)
    return context.wrap_socket(plain, server_hostname="localhost")


class Chunks:
    """A forward sender that has a few chunks unacknowledged at any time, until it is hung up on."""

    def __init__(self, connection: ssl.SSLSocket, name: int) -> None:
        self._connection, self._name = connection, name
        self.sent = 0
        self.acked: set[str] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        unpacker = msgpack.Unpacker()
        with contextlib.suppress(OSError):
            while True:
                while self.sent - len(self.acked) < UNACKED:
                    chunk = f"{self._name}-{self.sent}"
                    self.sent += 1
                    self._connection.sendall(msgpack.packb(["t", [[1, {"n": chunk}]], {"chunk": chunk}]))
                received = self._connection.recv(65_536)
                if not received:
                    break
                unpacker.feed(received)
                self.acked |= {answer["ack"] for answer in unpacker}

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive(), "it was never hung up on"


def in_topic(bootstrap: str) -> list[str]:
    return asyncio.run(_in_topic(bootstrap))


async def _in_topic(bootstrap: str) -> list[str]:
    consumer = aiokafka.AIOKafkaConsumer(
        "logs", bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        found = []
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [event for record in records for event in msgpack.unpackb(record.value)]
    finally:
        await consumer.stop()
    return [json.loads(event)[2]["n"] if event.startswith(b"[") else event.decode() for event in found]


@pytest.mark.parametrize("how", ["there", "frozen"])
def test_a_collector_that_is_stopped_with_tls_connections_open_keeps_what_it_acknowledged(doors, kafka, authority, how):
    collector = doors.collector()
    collector.wait_until_ready()
    ports = {name: int(doors.environment[f"LOGSYNC_COLLECTOR__{name}_PORT"]) for name in ("FORWARD", "SYSLOG_TLS")}
    with contextlib.ExitStack() as stack:
        senders = [Chunks(stack.enter_context(connected(authority, ports["FORWARD"])), name) for name in range(SENDERS)]
        silent = stack.enter_context(connected(authority, ports["FORWARD"]))
        syslog = stack.enter_context(connected(authority, ports["SYSLOG_TLS"]))
        keeping = stack.enter_context(httpx.Client(base_url=collector.url))
        assert 202 == keeping.post("/api/logs", content=b"{}").status_code
        eventually(lambda: all(len(one.acked) > 20 for one in senders), 60, "acknowledgements")
        if how == "frozen":
            kafka.pause()
        else:
            syslog.sendall(b"8 <13>last20 <13>un")  # a whole message, and one that never ends
            eventually(lambda: collector.metric("logsync_collector_accepted_events_total", source="syslog-tls"), 60, "")
        at_stop = sum(one.sent for one in senders), sum(len(one.acked) for one in senders)
        try:
            code = collector.stop(STOP_SECONDS)
        finally:
            if how == "frozen":
                kafka.resume()
        for one in senders:
            one.join()
        hung_up = [one.recv(1) for one in (silent,)]
    acked = set().union(*(one.acked for one in senders))
    sent = sum(one.sent for one in senders)
    found = in_topic(doors.bootstrap)
    print(
        f"stopped, Kafka {how}: sent {sent}, acked {len(acked)}, in the topic {len(set(found))}; at SIGTERM {at_stop}"
    )

    assert 0 == code, collector.log_end()
    assert at_stop[0] > at_stop[1], "nothing was on its way at the stop: it proves nothing"
    assert set() == acked - set(found)
    assert [b""] == hung_up
    if how == "there":
        assert {"<13>last", "<13>un"} <= set(found)
