"""The collector process with its sockets; Kafka is away in all of these."""

import asyncio
import socket

import httpx
import orjson
import pytest

from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.collector.server import serve
from logsync_streams.collector.syslog import SyslogUdpDoor
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import CollectorSettings, Settings


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def settings(tmp_path, **collector):
    return Settings(
        kafka={"bootstrap": f"127.0.0.1:{free_port()}"},
        collector={
            "http_port": free_port(),
            "syslog_udp_port": free_port(socket.SOCK_DGRAM),
            "syslog_tcp_port": 0,
            "forward_port": 0,
            "status_file": tmp_path / "status.json",
            "stop_timeout_seconds": 3,
            **collector,
        },
    )


async def test_without_kafka_it_runs_answers_503_and_stops(tmp_path):
    chosen, stop, ready = settings(tmp_path), asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(serve(chosen, ready=lambda _: ready.set(), stop=stop))
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{chosen.collector.http_port}") as client,
    ):
        await ready.wait()
        refused = await client.post("/api/logs", content=b"{}")
        health = [(await client.get(path)).status_code for path in ("/healthz", "/readyz")]
        stop.set()
        code = await running

    assert (503, [200, 503], 0) == (refused.status_code, health, code)
    assert 0 == orjson.loads(chosen.collector.status_file.read_bytes())["accepted_events"]


async def test_an_unfinished_status_is_never_left_and_lost_events_are_an_exit_code(tmp_path):
    chosen, stop, ready = settings(tmp_path, stop_timeout_seconds=1), asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(serve(chosen, ready=lambda _: ready.set(), stop=stop))
    async with asyncio.timeout(60):
        await ready.wait()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"<13>lost", ("127.0.0.1", chosen.collector.syslog_udp_port))
        stop.set()
        code = await running

    assert (1, 1) == (code, orjson.loads((tmp_path / "status.json").read_bytes())["dropped_events"])
    assert ["status.json"] == [path.name for path in tmp_path.iterdir()]


async def test_ports_in_use_are_reported_together_with_their_settings(tmp_path):
    with socket.socket() as http, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        http.bind(("127.0.0.1", 0))
        http.listen()
        udp.bind(("127.0.0.1", 0))
        chosen = settings(tmp_path, http_port=http.getsockname()[1], syslog_udp_port=udp.getsockname()[1])
        with pytest.raises(ConfigurationError) as refused:
            await serve(chosen)

    assert ["LOGSYNC_COLLECTOR__HTTP_PORT", "LOGSYNC_COLLECTOR__SYSLOG_UDP_PORT"] == [
        problem.split(":")[0] for problem in refused.value.problems
    ]


async def test_datagrams_are_offered_and_what_the_kernel_holds_at_close_is_read():
    publisher = MemoryPublisher(lambda: 0)
    door_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door_socket.bind(("127.0.0.1", 0))
    door_socket.setblocking(False)
    address = door_socket.getsockname()
    door = SyslogUdpDoor(publisher, door_socket, CollectorSettings(multiline_wait_ms=10))
    await door.open()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<13>first", address)
        async with asyncio.timeout(30):
            while not publisher.envelopes:  # noqa: ASYNC110 - the twin has no event
                await asyncio.sleep(0.002)
        sender.sendto(b"<13>second", address)
        sender.sendto(b" ", address)
        await door.close(1)

    assert [
        ("syslog-udp", "syslog", "127.0.0.1", b"<13>first"),
        ("syslog-udp", "syslog", "127.0.0.1", b"<13>second"),
    ] == [(e.source, e.format, e.peer, e.events[0]) for e in publisher.envelopes]
