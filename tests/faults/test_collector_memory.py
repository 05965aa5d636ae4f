"""Bodies that are made to fill the memory: a real collector with a real Kafka stays within what its settings allow."""

from __future__ import annotations

import contextlib
import gzip
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import msgpack
import pytest
import zstandard

from deploy.servers import KafkaServer, free_port
from tests.pipeline.kafka_truth import reset
from tests.pipeline.processes import Pipeline

MIB = 1024 * 1024
BODY, WAITING, RECEIVING = 10 * MIB, 16 * MIB, 64 * MIB  # the body is the default
AT_ONCE = 6
# The process itself; what is being received; what waits for Kafka, as events, as records and as batches; and three
# bodies that are being unpacked and taken apart, each twice its size, and as much again.
MOST_MIB = 110 + (RECEIVING + 3 * WAITING + 3 * 3 * BODY) / MIB

HUNDRED_THOUSAND = b"\xdd" + (99_000).to_bytes(4, "big") + b"\x80" * 99_000
HOSTILE = {
    "an array of empty objects": ("application/json", b"[" + b"{}," * (BODY // 3 - 1) + b"{}]"),
    "lines of empty objects": ("application/x-ndjson", b"{}\n" * (BODY // 3)),
    "lines that are no objects": ("application/json", b"{\n" * (BODY // 2)),
    "lines of text": ("text/plain", b"x\n" * (BODY // 2)),
    "one object of empty arrays": ("application/json", b'{"a":[' + b"[]," * (BODY // 3 - 10) + b"[]]}"),
    "arrays of empty maps": ("application/msgpack", b"\xdd" + (105).to_bytes(4, "big") + HUNDRED_THOUSAND * 105),
    "logs": ("application/x-ndjson", b"\n".join(b'{"message":"%0100d"}' % n for n in range(85_000))),
}
PACKED = {"identity": bytes, "gzip": lambda body: gzip.compress(body, 1), "zstd": zstandard.compress}
ENTRY = b"\x92\x01\x81\xa1a" + HUNDRED_THOUSAND
FORWARD = {
    "a record of empty maps": b"\x93\xa1t" + ENTRY[1:],
    "entries of empty maps": b"\x92\xa1t\xdc" + (100).to_bytes(2, "big") + ENTRY * 100,
    "a compressed bomb": msgpack.packb(["t", gzip.compress(b"\x92\x00\x80" * (BODY // 3)), {"compressed": "gzip"}]),
    "an unfinished one": b"\x92\xa1t\xdc" + (101).to_bytes(2, "big") + ENTRY * 100,
}


@pytest.fixture
def doors(tmp_path: Path, kafka: KafkaServer):
    reset(kafka.bootstrap)
    made = Pipeline(
        tmp_path,
        kafka.bootstrap,
        "http://127.0.0.1:9",
        LOGSYNC_COLLECTOR__FORWARD_PORT=str(free_port()),
        LOGSYNC_COLLECTOR__MAX_WAITING_BYTES=str(WAITING),
        LOGSYNC_COLLECTOR__MAX_RECEIVING_BYTES=str(RECEIVING),
    )
    made.create_topics()
    yield made
    made.close()


def post(url: str, content_type: str, encoding: str, body: bytes) -> int:
    headers = {"content-type": content_type, "content-encoding": encoding}
    path = "/api/fluentd/logs" if "msgpack" in content_type else "/api/logs"
    return httpx.post(url + path, content=body, headers=headers, timeout=120).status_code


def forward(port: int, message: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=60)
    with contextlib.suppress(ConnectionError):  # cut off for what it sends
        made.sendall(message)
    return made


def test_memory_stays_within_the_settings_whatever_several_senders_send_at_once(doors):
    collector = doors.collector()
    collector.wait_until_ready()
    at_first = collector.peak_rss_mib
    forward_port = int(doors.environment["LOGSYNC_COLLECTOR__FORWARD_PORT"])
    with ThreadPoolExecutor(AT_ONCE) as senders:
        for number, (name, (content_type, body)) in enumerate(HOSTILE.items()):
            encoding, pack = list(PACKED.items())[number % len(PACKED)]
            send = partial(post, collector.url, content_type, encoding, pack(body))
            answers = list(senders.map(lambda _, send=send: send(), range(AT_ONCE)))
            print(f"{name}, {encoding}: {answers}, peak {collector.peak_rss_mib:.0f} MiB")

            assert {202, 207, 503} >= set(answers) if name == "logs" else {400, 413, 503} >= set(answers)
        opened: list[socket.socket] = []
        for name, message in FORWARD.items():
            opened += senders.map(forward, [forward_port] * AT_ONCE, [message] * AT_ONCE)
            print(f"forward, {name}: peak {collector.peak_rss_mib:.0f} MiB")
        healthy = httpx.post(f"{collector.url}/api/logs", content=b"{}", timeout=60)
        for one in opened:
            one.close()
    peak = collector.peak_rss_mib
    print(f"memory: {at_first:.0f} MiB at first, {peak:.0f} MiB at most, {MOST_MIB:.0f} MiB allowed")

    assert healthy.status_code in (202, 503)
    assert peak < MOST_MIB
