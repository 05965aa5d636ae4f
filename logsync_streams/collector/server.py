"""The collector process: the doors are opened, kept open, and closed in the order that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import orjson
import structlog
import uvicorn
import uvloop

from logsync_streams.collector.forward import ForwardDoor
from logsync_streams.collector.http import Explain, create_app
from logsync_streams.collector.http_protocol import Guard
from logsync_streams.collector.kafka_publisher import KafkaPublisher
from logsync_streams.collector.kernel_drops import KernelDrops
from logsync_streams.collector.limits import Limits
from logsync_streams.collector.publisher import Publisher, Status
from logsync_streams.collector.sockets import BACKLOG, Sockets, allow_open_files
from logsync_streams.collector.syslog import SOURCE as SYSLOG_UDP
from logsync_streams.collector.syslog import SyslogUdpDoor
from logsync_streams.collector.syslog_stream import SyslogStreamDoor
from logsync_streams.collector.tls import context
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import CollectorSettings, Settings

log = structlog.get_logger(__name__)

# Of the time to stop, what is left to Kafka when the doors' share is used up.
_KAFKA_SHARE_SECONDS = 2.0
_DROPS_SECONDS = 1.0
_SWITCH_SECONDS = 0.0005


class Door(Protocol):
    """A door beside HTTP, on a bound socket."""

    async def open(self) -> None: ...

    async def close(self, timeout_seconds: float) -> None:
        """Take no more, and hand over what was read, within the time."""
        ...


def run(settings: Settings, *, explain: Explain | None = None) -> int:
    """The collector until SIGTERM or SIGINT. The exit code: 0, or 1 when events that were taken had to be given up.

    explain: see `http.create_app`. Raises ConfigurationError when a door cannot be opened.
    """
    # aiokafka reports each failed attempt on its own loggers; the publisher says once what is wrong.
    if settings.log_level != "debug":
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(settings, explain=explain))


async def serve(
    settings: Settings,
    *,
    ready: Callable[[dict[str, str]], None] | None = None,
    stop: asyncio.Event | None = None,
    publisher: Publisher | None = None,
    explain: Explain | None = None,
) -> int:
    """`run` on the running loop. ready: called with the doors' addresses when they are open (Kafka may be away still:
    they answer 503). publisher: what they hand over to, in place of Kafka.

    stop: ends it, as the signals do. At stop the doors close first, requests that are in are answered, and what was
    taken is handed over, all within `collector.stop_timeout_seconds`.
    """
    # While a thread looks at a large body, the loop asks for its turn after so long, and not after Python's 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = stop or asyncio.Event()
    doors = settings.collector
    tls = context(doors)
    key = shared_key(doors)
    allow_open_files(doors.max_connections)
    sockets = Sockets(doors, tls=tls is not None)
    limits = Limits(doors)
    publisher = publisher or KafkaPublisher(settings, _now_ms)
    guard = Guard(doors, limits)
    # Own log lines, signals and addresses of senders: uvicorn is to serve, and no more.
    config = uvicorn.Config(
        create_app(publisher, doors, limits=limits, stopping=stop.is_set, explain=explain),
        http=guard.protocol(),
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=doors.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, int(doors.stop_timeout_seconds - _KAFKA_SHARE_SECONDS)),
    )
    server = _Server(config)
    others = _doors(sockets, publisher, doors, limits, tls, key)
    with _signals(stop):
        await publisher.start()
        for door in others:
            await door.open()
        watching = asyncio.create_task(_watch(sockets), name="kernel-drops")
        guarding = asyncio.create_task(guard.watch(), name="http-deadlines")
        addresses = sockets.addresses()
        serving = asyncio.create_task(server.serve(sockets=[sockets.by_door["http"]]), name="http-door")
        log.info("collector listening", **addresses)
        if ready is not None:
            ready(addresses)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, serving], return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, watching):
            task.cancel()
        code = await _close(server, serving, others, publisher, doors)
        guarding.cancel()
        return code


def _doors(
    sockets: Sockets,
    publisher: Publisher,
    settings: CollectorSettings,
    limits: Limits,
    tls: ssl.SSLContext | None,
    key: bytes,
) -> list[Door]:
    made: list[Door] = []
    for name, sock in sockets.by_door.items():
        if name == "syslog-udp":
            made.append(SyslogUdpDoor(publisher, sock, settings))
        elif name == "syslog-tcp":
            made.append(SyslogStreamDoor(publisher, sock, settings, limits))
        elif name == "syslog-tls":
            made.append(SyslogStreamDoor(publisher, sock, settings, limits, tls=tls))
        elif name == "forward":
            made.append(
                ForwardDoor(
                    publisher,
                    sock,
                    settings,
                    limits,
                    udp=sockets.by_door["forward-udp"],
                    tls=tls if settings.forward_tls else None,
                    shared_key=key,
                )
            )
    return made


async def _watch(sockets: Sockets) -> None:
    """Count what the kernel drops, once a second: a scrape may come seldom."""
    udp = sockets.by_door.get("syslog-udp")
    if udp is None:
        return
    drops = KernelDrops(udp, SYSLOG_UDP)
    while True:
        await asyncio.sleep(_DROPS_SECONDS)
        drops.read()


async def _close(
    server: uvicorn.Server,
    serving: asyncio.Task[None],
    others: list[Door],
    publisher: Publisher,
    doors: CollectorSettings,
) -> int:
    deadline = time.monotonic() + doors.stop_timeout_seconds
    server.should_exit = True
    share = max(0.5, doors.stop_timeout_seconds - _KAFKA_SHARE_SECONDS)
    await asyncio.gather(serving, *(door.close(share) for door in others))
    await publisher.stop(max(0.1, deadline - time.monotonic()))
    status = publisher.status()
    if doors.status_file is not None:
        _write_status(doors.status_file, status)
    log.info("collector stopped", **status.as_json())
    return 1 if status.dropped_events else 0


def shared_key(settings: CollectorSettings) -> bytes:
    """What senders of forward must know; empty when they need not. Raises ConfigurationError naming the file."""
    if settings.forward_shared_key_file is None:
        return settings.forward_shared_key.get_secret_value().encode() if settings.forward_shared_key else b""
    path = settings.forward_shared_key_file
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(
            [f"LOGSYNC_COLLECTOR__FORWARD_SHARED_KEY_FILE: {str(path)!r}: {error.strerror}"]
        ) from error
    if not key:
        raise ConfigurationError([f"LOGSYNC_COLLECTOR__FORWARD_SHARED_KEY_FILE: {str(path)!r} is empty"])
    return key


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals are this process's affair: the syslog door and the publisher stop with the HTTP door.
        yield


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handled: list[int] = []
    try:
        for number in (int(signal.SIGTERM), int(signal.SIGINT)):
            loop.add_signal_handler(number, stop.set)
            handled.append(number)
    except (ValueError, RuntimeError):
        pass  # not the main thread (a test's): `stop` is the only way then
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _write_status(path: Path, status: Status) -> None:
    # Whole or not at all: a supervisor reads it.
    unfinished = path.with_name(path.name + ".new")
    try:
        unfinished.write_bytes(orjson.dumps(status.as_json()))
        unfinished.replace(path)
    except OSError as error:
        log.error("the final status could not be written", path=str(path), error=error.strerror)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
