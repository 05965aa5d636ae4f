"""The collector process: the doors are opened, kept open, and closed in the order that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import structlog
import uvicorn
import uvloop

from logsync_streams.collector.http import create_app
from logsync_streams.collector.kafka_publisher import KafkaPublisher
from logsync_streams.collector.publisher import Status
from logsync_streams.collector.syslog import SyslogUdpDoor
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import CollectorSettings, Settings

log = structlog.get_logger(__name__)

_BACKLOG = 1024
# Of the time to stop, what is left to Kafka when the HTTP door's share is used up.
_KAFKA_SHARE_SECONDS = 2.0


def run(settings: Settings) -> int:
    """The collector until SIGTERM or SIGINT. The exit code: 0, or 1 when events that were taken had to be given up.

    Raises ConfigurationError when a door cannot be opened.
    """
    # aiokafka reports each failed attempt on its own loggers; the publisher says once what is wrong.
    if settings.log_level != "debug":
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(settings))


async def serve(
    settings: Settings, *, ready: Callable[[], None] | None = None, stop: asyncio.Event | None = None
) -> int:
    """`run` on the running loop. ready: called when the doors are open (Kafka may be away still: they answer 503).

    stop: ends it, as the signals do. At stop the doors close first, requests that are in are answered, and what was
    taken is handed over, all within `collector.stop_timeout_seconds`.
    """
    stop = stop or asyncio.Event()
    doors = settings.collector
    http_socket, udp_socket = _bind(doors)
    publisher = KafkaPublisher(settings, _now_ms)
    syslog = SyslogUdpDoor(publisher, udp_socket)
    # Own log lines, signals and addresses of senders: uvicorn is to serve, and no more.
    config = uvicorn.Config(
        create_app(publisher, doors, stopping=stop.is_set),
        http="httptools",
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=max(1, int(doors.stop_timeout_seconds - _KAFKA_SHARE_SECONDS)),
    )
    server = _Server(config)
    http_address, udp_address = _address(http_socket), _address(udp_socket)
    with _signals(stop):
        await publisher.start()
        await syslog.open()
        serving = asyncio.create_task(server.serve(sockets=[http_socket]), name="http-door")
        log.info("collector listening", http=http_address, syslog_udp=udp_address)
        if ready is not None:
            ready()
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, serving], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        return await _close(server, serving, syslog, publisher, doors)


async def _close(
    server: uvicorn.Server,
    serving: asyncio.Task[None],
    syslog: SyslogUdpDoor,
    publisher: KafkaPublisher,
    doors: CollectorSettings,
) -> int:
    deadline = time.monotonic() + doors.stop_timeout_seconds
    syslog.close()
    server.should_exit = True
    await serving
    await publisher.stop(max(0.1, deadline - time.monotonic()))
    status = publisher.status()
    if doors.status_file is not None:
        _write_status(doors.status_file, status)
    log.info("collector stopped", **status.as_json())
    return 1 if status.dropped_events else 0


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


def _bind(doors: CollectorSettings) -> tuple[socket.socket, socket.socket]:
    """The sockets of both doors, or all that is wrong with either."""
    problems: list[str] = []
    http = _socket(socket.SOCK_STREAM, doors.http_host, doors.http_port, "HTTP_PORT", problems)
    udp = _socket(socket.SOCK_DGRAM, doors.syslog_host, doors.syslog_udp_port, "SYSLOG_UDP_PORT", problems)
    if http is None or udp is None:
        for opened in (http, udp):
            if opened is not None:
                opened.close()
        raise ConfigurationError(problems)
    wanted = doors.udp_receive_buffer_bytes
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    got = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux reports twice what it gives
    if got < wanted:
        log.warning("UDP receive buffer is smaller than asked for: raise net.core.rmem_max", bytes=got, asked=wanted)
    return http, udp


def _socket(kind: socket.SocketKind, host: str, port: int, setting: str, problems: list[str]) -> socket.socket | None:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    opened = socket.socket(family, kind)
    try:
        if kind is socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setblocking(False)
        opened.bind(address)
        if kind is socket.SOCK_STREAM:
            opened.listen(_BACKLOG)  # another listener shows here, not at bind
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            advice = "another program has it: stop that one, or choose another port with this setting"
        elif error.errno == errno.EACCES:
            advice = "ports below 1024 need the right CAP_NET_BIND_SERVICE: choose a higher port with this setting"
        else:
            advice = f"{error.strerror}: choose another address or port"
        problems.append(f"LOGSYNC_COLLECTOR__{setting}: {host}:{port} cannot be opened; {advice}")
        return None
    return opened


def _address(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
