"""The Fluent forward door (24224): Fluentd, Fluent Bit and fluent-logger, in all four modes. One connection's part is
`forward_connection`.

A message with a `chunk` is acknowledged once Kafka has it, and is in envelopes of its own under the chunk as its key:
sending it again doubles nothing. Without one, the sender waits for no answer, and a full queue slows it down.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, cast

import structlog

from logsync_streams.collector.aside import Aside
from logsync_streams.collector.forward_connection import READ_BYTES, SOURCE, ForwardConnection
from logsync_streams.collector.limits import Limits
from logsync_streams.collector.publisher import Publisher
from logsync_streams.collector.syslog_stream import keep_alive
from logsync_streams.settings import CollectorSettings

log = structlog.get_logger(__name__)


class ForwardDoor:
    """The door on bound sockets: `open`, and `close` when it is over. udp: for the heartbeats of older senders."""

    def __init__(
        self,
        publisher: Publisher,
        sock: socket.socket,
        settings: CollectorSettings,
        limits: Limits,
        *,
        udp: socket.socket | None = None,
        tls: ssl.SSLContext | None = None,
        shared_key: bytes = b"",
    ) -> None:
        self.publisher, self.settings, self.limits, self.shared_key = publisher, settings, limits, shared_key
        self.stopping = asyncio.Event()
        self.aside = Aside(1, "forward")
        self._socket, self._udp, self._tls = sock, udp, tls
        self._server: asyncio.Server | None = None
        self._heartbeats: asyncio.DatagramTransport | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to accept."""
        timeout = self.settings.header_timeout_seconds if self._tls is not None else None
        self._server = await asyncio.start_server(
            self._connected, sock=self._socket, ssl=self._tls, ssl_handshake_timeout=timeout, limit=READ_BYTES
        )
        if self._udp is not None:
            loop = asyncio.get_running_loop()
            self._heartbeats, _ = await loop.create_datagram_endpoint(_Heartbeats, sock=self._udp)

    async def close(self, timeout_seconds: float) -> None:
        """Accept and read no more; what was read is handed over and acknowledged, within the time."""
        if self._server is not None:
            self._server.close()
        if self._heartbeats is not None:
            self._heartbeats.close()
        self.stopping.set()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=timeout_seconds)
        left = list(self._connections)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = writer.get_extra_info("peername")
        address = peer[0] if peer else ""
        if self.stopping.is_set() or not self.limits.connections.enter(SOURCE, address):
            writer.transport.abort()
            return
        self._connections.add(task)
        keep_alive(writer.transport)
        connection = ForwardConnection(self, reader, writer, address)
        try:
            await connection.run()
        except (ConnectionError, ssl.SSLError) as error:
            log.debug("forward connection lost", peer=address, error=repr(error))
        finally:
            self._connections.discard(task)
            self.limits.connections.leave(SOURCE, address)
            writer.transport.abort() if connection.cut_off else writer.close()


class _Heartbeats(asyncio.DatagramProtocol):
    """Protocol version 0: a datagram is answered with one NUL, which says that we are there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._transport.sendto(b"\0", addr)
