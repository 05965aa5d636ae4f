"""The Fluent forward door (24224): Fluentd, Fluent Bit and fluent-logger, in all four modes.

A message with a `chunk` is acknowledged once Kafka has it, and is in envelopes of its own under the chunk as its key:
sending it again doubles nothing. Without one, the sender waits for no answer, and a full queue slows it down.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, cast

import msgpack
import structlog

from logsync_streams import metrics
from logsync_streams.collector.forward_handshake import Handshake
from logsync_streams.collector.forward_messages import Forwarded, read
from logsync_streams.collector.limits import Limits
from logsync_streams.collector.publisher import Publisher, Sender
from logsync_streams.collector.records import FORMAT, UNPACK_ERRORS, BadRecord, as_event, join_records, unpacker
from logsync_streams.collector.syslog_stream import keep_alive
from logsync_streams.errors import Unavailable
from logsync_streams.events import idempotency_key_hash
from logsync_streams.settings import CollectorSettings

log = structlog.get_logger(__name__)

SOURCE = "forward"
_READ_BYTES = 64 * 1024
_MOST_UNACKED = 32  # chunks of one connection on their way to Kafka; more are not read
_TRY_AGAIN_SECONDS = 0.05
_ANSWER_SECONDS = 10.0  # for a peer to take an acknowledgement


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
        self._socket, self._udp, self._tls = sock, udp, tls
        self._server: asyncio.Server | None = None
        self._heartbeats: asyncio.DatagramTransport | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to accept."""
        timeout = self.settings.header_timeout_seconds if self._tls is not None else None
        self._server = await asyncio.start_server(
            self._connected, sock=self._socket, ssl=self._tls, ssl_handshake_timeout=timeout, limit=_READ_BYTES
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


class ForwardConnection:
    """One sender. `run` returns when it hangs up, is cut off, or the door closes."""

    def __init__(
        self, door: ForwardDoor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        settings = door.settings
        self._door, self._reader, self._writer = door, reader, writer
        self._sender = Sender(SOURCE, FORMAT, address)
        self._unpacker = unpacker(settings.max_body_bytes + _READ_BYTES)
        self._fed = self._begun_at = self._budgeted = 0
        self._unacked: set[asyncio.Task[None]] = set()
        self._join: Callable[..., Any] | None = None
        if settings.multiline_wait_ms:
            self._join = partial(
                join_records,
                max_bytes=settings.multiline_max_bytes,
                start=settings.multiline_start,
                on_joined=metrics.joined.labels(SOURCE).inc,
            )
        self.cut_off = False

    async def run(self) -> None:
        messages = self._messages()
        try:
            if self._door.shared_key and not await self._shake_hands(messages):
                return
            async for message in messages:
                await self._take(message)
            if self._unacked:
                await asyncio.wait(self._unacked)
        finally:
            await messages.aclose()
            for task in self._unacked:
                task.cancel()
            self._budget(0)

    async def _shake_hands(self, messages: AsyncGenerator[Any, None]) -> bool:
        handshake = Handshake(self._door.shared_key, self._door.settings.forward_hostname)
        self._writer.write(handshake.helo())
        try:
            async with asyncio.timeout(self._door.settings.header_timeout_seconds):
                ping = await anext(messages, None)
        except TimeoutError:
            self._cut("too_slow")
            return False
        allowed, answer = handshake.pong(ping)
        self._writer.write(answer)
        if not allowed:
            metrics.refused_connections.labels(SOURCE, "shared_key").inc()
            log.warning("forward sender refused: it does not know the shared key", peer=self._sender.peer)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._writer.drain(), _ANSWER_SECONDS)
        return allowed

    async def _messages(self) -> AsyncGenerator[Any, None]:
        """Each message as it is complete; ends when the sender hangs up, or is cut off."""
        longest = self._door.settings.receive_timeout_seconds
        stopping = asyncio.create_task(self._door.stopping.wait())
        loop = asyncio.get_running_loop()
        begun: float | None = None
        try:
            while True:
                try:
                    for message in self._unpacker:
                        self._begun_at = self._unpacker.tell()
                        yield message
                except UNPACK_ERRORS as error:
                    self._malformed(f"not msgpack: {error or type(error).__name__}")
                    return
                if self._door.stopping.is_set():
                    return
                unfinished = self._fed - self._begun_at
                begun = (begun or loop.time()) if unfinished else None
                if unfinished > self._door.settings.max_body_bytes:
                    self._malformed(f"a message has at most {self._door.settings.max_body_bytes} bytes")
                    return
                if not self._budget(unfinished):
                    self._cut("receiving_bytes")
                    return
                reading = asyncio.create_task(self._reader.read(_READ_BYTES))
                wait = None if begun is None else max(0.0, begun + longest - loop.time())
                await asyncio.wait({reading, stopping}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    if not self._door.stopping.is_set():
                        self._cut("too_slow")
                    return
                data = reading.result()
                if not data:
                    if unfinished:
                        metrics.dropped.labels("collector", "unfinished").inc()
                    return
                self._fed += len(data)
                self._unpacker.feed(data)
        finally:
            stopping.cancel()

    async def _take(self, message: Any) -> None:
        settings = self._door.settings
        try:
            found = read(message, max_bytes=settings.max_body_bytes, max_records=settings.max_request_events)
        except BadRecord as error:
            # Not acknowledged: its sender will come again with it, or notice.
            self._bad([str(error)])
            return
        if found is None:
            return
        events = self._events(found)
        if not found.chunk:
            for event in events:
                await self._offer(event)
            return
        while len(self._unacked) >= _MOST_UNACKED:
            await asyncio.wait(self._unacked, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._publish(found.chunk, events))
        self._unacked.add(task)
        task.add_done_callback(self._unacked.discard)

    def _events(self, found: Forwarded) -> list[bytes]:
        records = self._join(found.records) if self._join is not None else found.records
        events: list[bytes] = []
        bad = list(found.bad)
        for time_ns, record in records:
            try:
                events.append(as_event(found.tag, time_ns, record, self._door.settings.max_event_bytes))
            except BadRecord as error:
                bad.append(str(error))
        if bad:
            self._bad(bad)
        return events

    async def _offer(self, event: bytes) -> None:
        while True:
            try:
                self._door.publisher.offer(self._sender, event)
            except Unavailable:
                # Nothing is read meanwhile: TCP tells the sender to wait.
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            else:
                return

    async def _publish(self, chunk: bytes, events: list[bytes]) -> None:
        key = idempotency_key_hash(SOURCE, chunk)
        try:
            await self._door.publisher.publish(self._sender, events, key=key)
        except Unavailable as error:
            # No answer: the sender sends the chunk again when its time for an acknowledgement is over.
            metrics.rejected.labels(SOURCE, "unavailable").inc()
            log.debug("forward chunk not taken", peer=self._sender.peer, reason=error.detail)
            return
        if self._writer.is_closing():
            return
        self._writer.write(msgpack.packb({"ack": chunk}, use_bin_type=False))
        try:
            await asyncio.wait_for(self._writer.drain(), _ANSWER_SECONDS)
        except (TimeoutError, ConnectionError):
            self._cut("too_slow")

    def _malformed(self, reason: str) -> None:
        self._bad([reason])
        self._cut("malformed")

    def _bad(self, reasons: list[str]) -> None:
        metrics.dropped.labels("collector", "malformed").inc(len(reasons))
        log.warning("forward records refused", peer=self._sender.peer, number=len(reasons), first=reasons[0])

    def _cut(self, reason: str) -> None:
        metrics.refused_connections.labels(SOURCE, reason).inc()
        self.cut_off = True
        if not self._unacked:
            self._writer.transport.abort()

    def _budget(self, size: int) -> bool:
        if size > self._budgeted:
            if not self._door.limits.receiving.take(size - self._budgeted):
                return False
        else:
            self._door.limits.receiving.give(self._budgeted - size)
        self._budgeted = size
        return True


class _Heartbeats(asyncio.DatagramProtocol):
    """Protocol version 0: a datagram is answered with one NUL, which says that we are there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._transport.sendto(b"\0", addr)
