"""Peers that are slow or gone, on a real collector: they are cut off, and nobody else notices them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.running_collector import RunningCollector

pytestmark = pytest.mark.real

SLOW = 500


@contextlib.contextmanager
def slow_connections(port: int, number: int, beginning: bytes):
    opened = []
    try:
        for _ in range(number):
            one = socket.create_connection(("127.0.0.1", port), timeout=30)
            one.sendall(beginning)
            opened.append(one)
        yield opened
    finally:
        for one in opened:
            one.close()


@pytest.mark.parametrize(
    ("what", "beginning"),
    [
        ("headers", b"POST /api/logs HTTP/1.1\r\nhost: x\r\nx-slow: "),
        ("body", b"POST /api/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"),
    ],
)
def test_healthy_requests_are_answered_beside_500_slow_ones(what, beginning):
    with (
        RunningCollector(header_timeout_seconds=60, receive_timeout_seconds=60, min_receive_bytes_per_second=0) as (
            collector
        ),
        slow_connections(collector.port("http"), SLOW, beginning),
    ):
        took = []
        with httpx.Client(base_url=collector.url, timeout=30) as client:
            for n in range(200):
                begun = time.perf_counter()
                answer = client.post("/api/logs", content=b'{"message":"m"}')
                took.append(time.perf_counter() - begun)
                assert 202 == answer.status_code, n
    took.sort()
    # A figure for the reader; a clock on a shared machine decides no test.
    print(f"slow {what}: {SLOW} open, 200 healthy requests: p50 {took[99] * 1e3:.1f} ms, p99 {took[197] * 1e3:.1f} ms")


def test_healthy_requests_are_answered_beside_large_bodies():
    body = b'{"a":[' + b"[]," * 3_000_000 + b"[]]}"  # as much work as its size allows, and all of it for nothing
    over = threading.Event()

    def refused(url):
        while not over.is_set():
            assert 413 == httpx.post(f"{url}/api/logs", content=body, timeout=120).status_code

    with RunningCollector() as collector, ThreadPoolExecutor(3) as senders:
        large = [senders.submit(refused, collector.url) for _ in range(3)]
        took = []
        with httpx.Client(base_url=collector.url, timeout=30) as client:
            for n in range(50):
                begun = time.perf_counter()
                answer = client.post("/api/logs", content=b'{"message":"m"}')
                took.append(time.perf_counter() - begun)
                assert 202 == answer.status_code, n
        over.set()
        for one in large:
            one.result(120)
    took.sort()
    print(f"3 large bodies at any time, 50 healthy requests: p50 {took[24] * 1e3:.1f} ms, most {took[49] * 1e3:.1f} ms")


@pytest.mark.parametrize(
    ("door", "beginning", "answer"),
    [
        ("http", b"POST /api/logs HTTP/1.1\r\nhost: x\r\nx-slow: ", b"408"),
        ("http", b"POST /api/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{", b"408"),
        ("http", b"", b"408"),
        ("syslog_tcp", b"1000 <13>half", b""),
        ("forward", b"\x93\xa1t", b""),
    ],
)
def test_a_slow_peer_is_cut_off(door, beginning, answer):
    limits = {"header_timeout_seconds": 0.5, "receive_timeout_seconds": 0.5, "multiline_wait_ms": 0}
    with RunningCollector(**limits) as collector, slow_connections(collector.port(door), 1, beginning) as (slow,):
        slow.settimeout(30)
        received = b""
        with contextlib.suppress(ConnectionError):
            while data := slow.recv(1000):
                received += data

    assert answer in received


def test_a_body_that_trickles_is_cut_off_by_its_rate_long_before_its_deadline():
    with RunningCollector(receive_timeout_seconds=300) as collector:
        beginning = b"POST /api/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"
        with slow_connections(collector.port("http"), 1, beginning) as (slow,):
            slow.settimeout(30)

            assert b"408" in slow.recv(1000)


def test_a_peer_that_reads_no_answers_is_cut_off(caplog):
    limits = {"publish_timeout_seconds": 0.5, "receive_timeout_seconds": 0.5}
    with RunningCollector(**limits) as collector, slow_connections(collector.port("http"), 1, b"") as (deaf,):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        send_until_cut(deaf, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n", pause=0.02)

    assert [] == [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]


def test_a_peer_that_sends_requests_without_end_before_the_answers_is_cut_off():
    with RunningCollector() as collector, slow_connections(collector.port("http"), 1, b"") as (flooding,):
        send_until_cut(flooding, b"POST /api/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}" * 100, pause=0)


def send_until_cut(peer: socket.socket, request: bytes, pause: float) -> None:
    peer.settimeout(60)
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            peer.sendall(request)
            time.sleep(pause)
    except ConnectionError:
        return
    pytest.fail("it was not cut off within a minute")


def test_connections_above_the_bound_are_answered_503():
    with RunningCollector(max_connections_per_address=3) as collector:
        port, deadline = collector.port("http"), time.monotonic() + 30
        answer = b""
        with slow_connections(port, 3, b"POST"), contextlib.ExitStack() as stack:
            while b"503" not in answer:
                assert time.monotonic() < deadline
                answer = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)).recv(1000)


def test_a_head_over_the_bound_is_answered_431_and_no_http_400():
    with RunningCollector(max_header_bytes=2048) as collector:
        for sent, status in ((b"GET / HTTP/1.1\r\nx: " + b"y" * 5000, b"431"), (b"\x16\x03\x01\r\n\r\n", b"400")):
            with slow_connections(collector.port("http"), 1, sent) as (one,):
                one.settimeout(30)

                assert status in one.recv(1000).split(b"\r\n")[0]


def test_the_rate_limit_of_an_address_is_answered_429_with_when_to_come_again():
    with RunningCollector(rate_limit_events_per_second=1, rate_limit_burst_events=3) as collector:
        answers = [httpx.post(f"{collector.url}/api/logs", content=b'{"a":1}\n{"a":2}') for _ in range(3)]

    assert 202 == answers[0].status_code
    assert (429, True) == (answers[2].status_code, int(answers[2].headers["retry-after"]) >= 1)


def test_what_the_kernel_drops_is_counted():
    with RunningCollector(udp_receive_buffer_bytes=65536) as collector:
        # While its loop is held up, more comes than the socket's buffer takes.
        collector.on_loop(lambda: time.sleep(1.0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(3000):
                sender.sendto(b"<13>" + b"x" * 1000, ("127.0.0.1", collector.port("syslog_udp")))
        deadline = time.monotonic() + 30
        while True:
            page = httpx.get(f"{collector.url}/metrics", timeout=30).text
            counted = sum(
                float(line.split()[-1])
                for line in page.splitlines()
                if line.startswith('logsync_udp_kernel_drops_total{source="syslog-udp"}')
            )
            received = len(collector.events("syslog-udp"))
            if counted and counted + received >= 3000:
                break
            assert time.monotonic() < deadline, (counted, received)
            time.sleep(0.1)

    assert 3000 == counted + received
