"""The syslog doors for TCP (RFC 6587) and TLS (RFC 5425): no sender is answered, but a full queue slows it down.

While Kafka is away, messages wait within the bound on what waits; above it nothing more is read, and TCP tells the
sender to wait. Plain syslog has no acknowledgement: what the sender's system has sent and we have not read is lost
when this process dies.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import deque
from typing import cast

import structlog

from logsync_streams import metrics
from logsync_streams.collector.limits import Limits
from logsync_streams.collector.multiline import Joiner, syslog_head
from logsync_streams.collector.publisher import Publisher, Sender
from logsync_streams.collector.syslog import FORMAT
from logsync_streams.collector.syslog_framing import SyslogFramer
from logsync_streams.errors import Unavailable
from logsync_streams.parsing import in_zone
from logsync_streams.settings import CollectorSettings

log = structlog.get_logger(__name__)

TCP, TLS = "syslog-tcp", "syslog-tls"
_TRY_AGAIN_SECONDS = 0.05
_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))  # a dead peer is noticed


class SyslogConnection(asyncio.Protocol):
    """One sender: bytes -> frames -> stack traces joined -> `publisher.offer`, in order."""

    def __init__(self, door: SyslogStreamDoor) -> None:
        self._door = door
        settings = door.settings
        self._framer = SyslogFramer(settings.max_event_bytes)
        self._wait = settings.multiline_wait_ms / 1000
        self._joiner: Joiner[bytes] = Joiner(
            lambda _, event: self._out.append(event),
            wait_seconds=self._wait,
            max_bytes=min(settings.multiline_max_bytes, settings.max_event_bytes),
            start=settings.multiline_start,
            on_joined=metrics.joined.labels(door.source).inc,
        )
        self._out: deque[bytes] = deque()  # what is to be offered; reading stops while something is left in it
        self._sender = Sender(door.source, in_zone(FORMAT, settings.syslog_time_zone), "")
        self._transport: asyncio.Transport | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None
        self._entered = self._paused = self._ended = False
        self._budgeted = self._cut = 0
        self._begun: float | None = None  # when the unfinished frame began

    # ------------------------------------------------------------------------------------------- called by the loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        address = peer[0] if peer else ""
        self._sender = self._sender._replace(peer=address)
        if not self._door.limits.connections.enter(self._door.source, address):
            self._transport.abort()
            return
        self._entered = True
        keep_alive(transport)
        self._door.open_connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        frames = self._framer.feed(data)
        if self._framer.truncated > self._cut:
            metrics.truncated.labels(self._door.source).inc(self._framer.truncated - self._cut)
            self._cut = self._framer.truncated
        self._take(frames)
        if not self._framer.in_frame:
            self._begun = None
        elif frames or self._begun is None:
            self._begun = time.monotonic()
        if not self._budget(self._framer.held_bytes):
            self.cut("receiving_bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end()
        if self._entered:
            self._entered = False
            self._door.limits.connections.leave(self._door.source, self._sender.peer)

    # ------------------------------------------------------------------------------------------- called by the door
    @property
    def slow_since(self) -> float | None:
        """Since when a frame has been unfinished; not while we are the ones who do not read."""
        return None if self._paused else self._begun

    def cut(self, reason: str) -> None:
        """Give the connection up; what came of an unfinished frame is kept as an event."""
        metrics.refused_connections.labels(self._door.source, reason).inc()
        self.end()
        if self._transport is not None:
            self._transport.abort()

    def end(self) -> None:
        """No more is read: what was read is handed over."""
        if self._ended:
            return
        self._ended = True
        self._take(self._framer.end())
        self._joiner.flush()
        self._drain()
        self._budget(0)
        if self._expiry is not None:
            self._expiry.cancel()
        if not self._out:
            self._door.open_connections.discard(self)
        elif not self._budget(sum(map(len, self._out))):
            # Who hangs up and comes again while Kafka is away must not fill the memory.
            metrics.dropped.labels("collector", "waiting_bytes").inc(len(self._out))
            self._out.clear()
            self._door.open_connections.discard(self)

    def close(self) -> None:
        """The door closes: hand over, and hang up. What Kafka has no room for is lost, and counted."""
        self.end()
        if self._again is not None:
            self._again.cancel()
        if self._out:
            metrics.dropped.labels("collector", "stopped").inc(len(self._out))
            self._out.clear()
        self._budget(0)
        self._door.open_connections.discard(self)
        if self._transport is not None:
            self._transport.abort()

    # ---------------------------------------------------------------------------------------------- from here inside
    def _take(self, frames: list[bytes]) -> None:
        if self._wait:
            now = time.monotonic()
            for frame in frames:
                whose, text_start = syslog_head(frame)
                self._joiner.push(whose, frame, text_start, now)
            if self._joiner.held and self._expiry is None and not self._ended:
                self._expiry = asyncio.get_running_loop().call_later(self._wait, self._expire)
        else:
            self._out += frames
        self._drain()

    def _expire(self) -> None:
        self._expiry = None
        self._joiner.expire(time.monotonic())
        if self._joiner.held:
            self._expiry = asyncio.get_running_loop().call_later(self._wait / 2, self._expire)
        self._drain()

    def _drain(self) -> None:
        out, offer, sender = self._out, self._door.publisher.offer, self._sender
        try:
            while out:
                offer(sender, out[0])
                out.popleft()
        except Unavailable:
            if self._again is None:
                self._again = asyncio.get_running_loop().call_later(_TRY_AGAIN_SECONDS, self._try_again)
            if not self._paused and not self._ended and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
            return
        if self._ended:
            self._budget(0)
            self._door.open_connections.discard(self)
        elif self._paused and self._transport is not None:
            self._paused = False
            if self._begun is not None:
                self._begun = time.monotonic()
            self._transport.resume_reading()

    def _try_again(self) -> None:
        self._again = None
        self._drain()

    def _budget(self, size: int) -> bool:
        if size > self._budgeted:
            if not self._door.limits.receiving.take(size - self._budgeted):
                return False
        elif size < self._budgeted:
            self._door.limits.receiving.give(self._budgeted - size)
        self._budgeted = size
        return True


class SyslogStreamDoor:
    """The door on a bound socket: `open`, and `close` when it is over. tls: None for plain TCP."""

    def __init__(
        self,
        publisher: Publisher,
        sock: socket.socket,
        settings: CollectorSettings,
        limits: Limits,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.publisher, self.settings, self.limits = publisher, settings, limits
        self.source = TCP if tls is None else TLS
        self.open_connections: set[SyslogConnection] = set()
        self._socket, self._tls = sock, tls
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        timeout = self.settings.header_timeout_seconds if self._tls is not None else None
        self._server = await loop.create_server(
            lambda: SyslogConnection(self), sock=self._socket, ssl=self._tls, ssl_handshake_timeout=timeout
        )
        self._watching = asyncio.create_task(self._watch(), name=f"{self.source}-deadlines")

    async def close(self, timeout_seconds: float) -> None:
        """Accept no more, hand over what was read, hang up."""
        if self._server is not None:
            self._server.close()
        if self._watching is not None:
            self._watching.cancel()
        # What the kernel had received before the stop is read yet.
        await asyncio.sleep(0.05)
        for connection in list(self.open_connections):
            connection.close()

    async def _watch(self) -> None:
        """Cut who began a frame and does not end it."""
        longest = self.settings.receive_timeout_seconds
        while True:
            await asyncio.sleep(min(1.0, longest / 4))
            late = time.monotonic() - longest
            for connection in list(self.open_connections):
                if connection.slow_since is not None and connection.slow_since < late:
                    connection.cut("too_slow")


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Have the kernel notice a peer that is gone without a word, within a minute and a half."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
