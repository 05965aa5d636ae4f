"""The syslog door for UDP (RFC 5426): one datagram is one message, and nobody is answered.

A datagram that was read is handed over as soon as Kafka can be reached, within the bound on what waits; what comes
above the bound is dropped and counted. What the kernel drops before we read is counted by `kernel_drops`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import structlog

from logsync_streams import metrics
from logsync_streams.collector.multiline import Joiner, syslog_head
from logsync_streams.collector.publisher import Publisher, Sender
from logsync_streams.errors import Unavailable
from logsync_streams.parsing import in_zone
from logsync_streams.settings import CollectorSettings

log = structlog.get_logger(__name__)

SOURCE = "syslog-udp"
FORMAT = "syslog"
_LARGEST_DATAGRAM = 65_535
_MOST_READ_AT_STOP = 100_000

Key = tuple[Sender, bytes]


class SyslogUdp(asyncio.DatagramProtocol):
    """Datagrams -> stack traces joined -> `publisher.offer`, which batches them by sender."""

    def __init__(self, publisher: Publisher, settings: CollectorSettings) -> None:
        self._publish = publisher.offer
        self._full = metrics.dropped.labels("collector", "waiting_bytes")
        self._empty = metrics.dropped.labels("collector", "empty")
        self._truncated = metrics.truncated.labels(SOURCE)
        self._format = in_zone(FORMAT, settings.syslog_time_zone)
        self._max_bytes = settings.max_event_bytes
        self._wait = settings.multiline_wait_ms / 1000
        self._joiner: Joiner[Key] = Joiner(
            self._offer_joined,
            wait_seconds=self._wait,
            max_bytes=min(settings.multiline_max_bytes, settings.max_event_bytes),
            start=settings.multiline_start,
            on_joined=metrics.joined.labels(SOURCE).inc,
        )
        self._senders: dict[str, Sender] = {}
        self._timer: asyncio.TimerHandle | None = None

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not data or data.isspace():
            self._empty.inc()
            return
        if len(data) > self._max_bytes:
            data = data[: self._max_bytes]
            self._truncated.inc()
        sender = self._senders.get(addr[0])
        if sender is None:
            if len(self._senders) >= 10_000:
                self._senders.clear()
            sender = self._senders[addr[0]] = Sender(SOURCE, self._format, addr[0])
        if not self._wait:
            self._offer(sender, data)
            return
        whose, text_start = syslog_head(data)
        self._joiner.push((sender, whose), data, text_start, time.monotonic())
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._wait, self._expire)

    def error_received(self, exc: Exception) -> None:
        log.warning("syslog UDP socket", error=repr(exc))

    def flush(self) -> None:
        """Hand over what waits for more lines."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._joiner.flush()

    def _expire(self) -> None:
        self._timer = None
        self._joiner.expire(time.monotonic())
        if self._joiner.held:
            self._timer = asyncio.get_running_loop().call_later(self._wait / 2, self._expire)

    def _offer_joined(self, key: Key, data: bytes) -> None:
        try:
            self._publish(key[0], data)
        except Unavailable:
            self._full.inc()

    def _offer(self, sender: Sender, data: bytes) -> None:
        try:
            self._publish(sender, data)
        except Unavailable:
            self._full.inc()


class SyslogUdpDoor:
    """The door on a bound socket: `open`, and `close` when it is over."""

    def __init__(self, publisher: Publisher, sock: socket.socket, settings: CollectorSettings) -> None:
        self._protocol = SyslogUdp(publisher, settings)
        self._socket = sock
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Begin to read."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self._protocol, sock=self._socket)

    async def close(self, timeout_seconds: float) -> None:
        """Read what the kernel holds already, then close the socket."""
        if self._transport is None:
            return
        rest = self._socket.dup()
        rest.setblocking(False)
        self._transport.close()
        self._transport = None
        with rest:
            for _ in range(_MOST_READ_AT_STOP):
                try:
                    data, address = rest.recvfrom(_LARGEST_DATAGRAM)
                except BlockingIOError:
                    break
                self._protocol.datagram_received(data, address)
        self._protocol.flush()
