"""The syslog door for UDP (RFC 5426): one datagram is one message, and nobody is answered.

A datagram that was read is handed over as soon as Kafka can be reached, within the bound on what waits; what comes
above the bound is dropped and counted. What the kernel drops before we read is not seen here.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import structlog

from logsync_streams import metrics
from logsync_streams.collector.publisher import Publisher, Sender
from logsync_streams.errors import Unavailable

log = structlog.get_logger(__name__)

SOURCE = "syslog-udp"
FORMAT = "syslog"
_LARGEST_DATAGRAM = 65_535
_MOST_READ_AT_STOP = 100_000


class SyslogUdp(asyncio.DatagramProtocol):
    """Datagrams -> `publisher.offer`, which batches them by sender."""

    def __init__(self, publisher: Publisher) -> None:
        self._offer = publisher.offer
        self._full = metrics.dropped.labels("collector", "waiting_bytes")
        self._empty = metrics.dropped.labels("collector", "empty")

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not data or data.isspace():
            self._empty.inc()
            return
        try:
            self._offer(Sender(SOURCE, FORMAT, addr[0]), data)
        except Unavailable:
            self._full.inc()

    def error_received(self, exc: Exception) -> None:
        log.warning("syslog UDP socket", error=repr(exc))


class SyslogUdpDoor:
    """The door on a bound socket: `open`, and `close` when it is over."""

    def __init__(self, publisher: Publisher, sock: socket.socket) -> None:
        self._protocol = SyslogUdp(publisher)
        self._socket = sock
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Begin to read."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self._protocol, sock=self._socket)

    def close(self) -> None:
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
                    return
                self._protocol.datagram_received(data, address)
