"""Rows C1 to C3: what a door costs, each beside the least that does the same work, up to Kafka's acknowledgement."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench import measure
from bench.contenders import Command, Place, _our_version, _rsyslog, rsyslog_version
from bench.load import PARTITIONS, create, delete
from bench.run import Bench, Run, RunFailed
from deploy.servers import free_port
from logsync_streams.settings import KafkaSettings
from logsync_streams.topics import topics

Sending = Literal["one", "many", "udp"]

_CONNECTIONS = 64
_REQUESTS: dict[Sending, int] = {"one": 15_000, "many": 600, "udp": 60_000}
_EVENTS_A_REQUEST: dict[Sending, int] = {"one": 1, "many": 500, "udp": 1}
_UDP_PER_SECOND = 15_000
_UDP_BURST = 75
_WARM_UP = 20  # a twentieth of the requests
_START_SECONDS = 60
_ARRIVE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class DoorContender:
    """name: in the table. sending: what it is sent. command: how it is started, on a port."""

    name: str
    sending: Sending
    command: Callable[[Place, int], Command]
    version: Callable[[], str]


def our_door(sending: Sending) -> DoorContender:
    """The collector as it is by default."""
    return DoorContender("LogSync Streams", sending, _collector, _our_version)


def bare_door(sending: Sending) -> DoorContender:
    """bench/bare_door.py."""

    def command(place: Place, port: int) -> Command:
        given = ("--bootstrap", place.bootstrap, "--topic", place.topic, "--port", str(port))
        return Command([sys.executable, "-m", "bench.bare_door", *given])

    return DoorContender("bare uvicorn handler", sending, command, lambda: f"Python {sys.version.split()[0]}")


def rsyslog_door() -> DoorContender:
    """Debian's rsyslog with imudp and omkafka. Raises Missing."""
    _rsyslog()
    return DoorContender("rsyslog", "udp", _rsyslog_udp, rsyslog_version)


def run_door(bench: Bench, contender: DoorContender, number: int) -> Run:
    """One run; the warm-up is in no figure. Raises RunFailed when not every event that was sent is in Kafka."""
    place = Place(bench.folder / f"door-{number}", bench.bootstrap, f"bench-door-{number}", 0)
    place.folder.mkdir()
    kafka = KafkaSettings(raw_topics=[place.topic], replication_factor=1, min_insync_replicas=1)
    asyncio.run(create(bench.bootstrap, topics(kafka)))
    port = free_port()
    data = [event.data for event in bench.traffic.events]
    count = _REQUESTS[contender.sending]
    events = count * _EVENTS_A_REQUEST[contender.sending]
    try:
        with _process(contender.command(place, port), place.folder) as process:
            _wait_until_it_listens(port, process, udp=contender.sending == "udp")
            _send(contender.sending, port, data, count // _WARM_UP)
            warm = count // _WARM_UP * _EVENTS_A_REQUEST[contender.sending]
            _wait_for(place, warm, contender)
            before, begin = measure.tree(process.pid), time.monotonic()
            _send(contender.sending, port, data, count)
            took = time.monotonic() - begin
            if contender.sending == "udp":
                _wait_for(place, warm + events, contender)
            after = measure.tree(process.pid)
            _wait_for(place, warm + events, contender)
        cpu_us = (after.cpu_seconds - before.cpu_seconds) / events * 1e6
        return Run(contender.name, events, cpu_us, events / took, after.peak_rss_mb, 0)
    finally:
        asyncio.run(delete(bench.bootstrap, [place.topic]))


def _send(sending: Sending, port: int, data: Sequence[bytes], count: int) -> None:
    if sending == "udp":
        _send_datagrams(port, data, count)
        return
    size = _EVENTS_A_REQUEST[sending]
    bodies = [b"\n".join(data[n * size % (len(data) - size) :][:size]) for n in range(min(count, 200))]
    requests = [
        b"POST /api/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n%b"
        % (len(body), body)
        for body in bodies
    ]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_post(port, requests, count))


async def _post(port: int, requests: Sequence[bytes], count: int) -> None:
    numbers = iter(range(count))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 202"):
                raise RunFailed(f"answered {head.splitlines()[0]!r}")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
        writer.close()

    await asyncio.gather(*(connection() for _ in range(min(_CONNECTIONS, count))))


def _send_datagrams(port: int, data: Sequence[bytes], count: int) -> None:
    head = b"<13>1 2026-11-24T22:00:00.123456Z web-1 shop 42 - - "
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        due = time.monotonic()
        for number in range(count):
            sender.send(head + data[number % len(data)][:250])
            if number % _UDP_BURST == 0:
                due += _UDP_BURST / _UDP_PER_SECOND
                time.sleep(max(0.0, due - time.monotonic()))


def _wait_for(place: Place, events: int, contender: DoorContender) -> None:
    weight = _EVENTS_A_REQUEST[contender.sending] if contender.name != "LogSync Streams" else 1
    deadline = time.monotonic() + _ARRIVE_SECONDS
    while (found := asyncio.run(_in_topic(place, weight))) != events:
        if time.monotonic() > deadline or found > events:
            raise RunFailed(f"{contender.name}: {events} events were sent, {found} are in Kafka")
        time.sleep(0.2)


async def _in_topic(place: Place, weight: int) -> int:
    """Events in the topic: of our envelopes as many as their header says, of another's record `weight`."""
    consumer = AIOKafkaConsumer(bootstrap_servers=place.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(place.topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found = 0
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        headers = dict(record.headers)
                        found += int(headers.get("logsync-events", weight))
        return found
    finally:
        await consumer.stop()


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes], *, udp: bool) -> None:
    table = Path("/proc/net/udp" if udp else "/proc/net/tcp")
    wanted = f":{port:04X} "
    deadline = time.monotonic() + _START_SECONDS
    while not any(wanted in line.split(" ", 4)[-1][:40] or wanted in line for line in table.read_text().splitlines()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RunFailed(f"{process.args!r} does not listen")
        time.sleep(0.05)
    time.sleep(2.0)  # until it has Kafka


@contextmanager
def _process(command: Command, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **command.environment}
    with (folder / "output.log").open("wb") as log:
        process = subprocess.Popen(
            command.arguments, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    except RunFailed as failure:
        tail = (folder / "output.log").read_text(errors="replace")[-2000:]
        raise RunFailed(f"{failure}\nThe end of its output:\n{tail}") from failure
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _collector(place: Place, port: int) -> Command:
    settings = {
        "KAFKA__BOOTSTRAP": place.bootstrap,
        "KAFKA__RAW_TOPICS": place.topic,
        "COLLECTOR__HTTP_PORT": str(port),
        "COLLECTOR__SYSLOG_UDP_PORT": str(port),
        "COLLECTOR__DOORS": "syslog-udp",
    }
    environment = {f"LOGSYNC_{name}": value for name, value in settings.items()}
    return Command([sys.executable, "-m", "logsync_streams.cli", "collect"], environment)


def _rsyslog_udp(place: Place, port: int) -> Command:
    binary, environment = _rsyslog()
    config = place.folder / "rsyslog.conf"
    config.write_text(
        f'global(workDirectory="{place.folder}")\nmodule(load="imudp")\nmodule(load="omkafka")\n'
        f'template(name="raw" type="string" string="%rawmsg%")\n'
        f'input(type="imudp" address="127.0.0.1" port="{port}" RcvbufSize="4m" ruleset="out")\n'
        f'ruleset(name="out" queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="500") {{\n'
        f'  action(type="omkafka" broker="{place.bootstrap}" topic="{place.topic}" template="raw"\n'
        f'    confParam=["acks=all", "compression.codec=lz4", "linger.ms=20"] action.resumeRetryCount="-1")\n}}\n'
    )
    modules = ":".join(map(str, sorted((Path(binary).parent.parent / "lib").glob("*/rsyslog"))))
    arguments = [binary, "-n", "-f", str(config), "-i", str(place.folder / "pid"), "-M", modules]
    return Command(arguments, environment)
