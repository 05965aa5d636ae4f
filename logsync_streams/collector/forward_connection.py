"""One sender of the Fluent forward door: bytes -> messages -> events -> the publisher, and acknowledgements back.

Its sender cannot be told that a record in a message was none: what came in its place goes on as text.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack
import structlog

from logsync_streams import metrics
from logsync_streams.collector.aside import LARGE_BYTES
from logsync_streams.collector.forward_handshake import Handshake
from logsync_streams.collector.forward_messages import Forwarded, Unreadable, read
from logsync_streams.collector.packed import MessageFramer
from logsync_streams.collector.publisher import Sender
from logsync_streams.collector.records import (
    FORMAT,
    RECORD_SHARE,
    UNPACK_ERRORS,
    BadRecord,
    as_event,
    as_text,
    batches,
    join_records,
    unpacked,
)
from logsync_streams.errors import Unavailable
from logsync_streams.events import idempotency_key_hash

if TYPE_CHECKING:
    from logsync_streams.collector.forward import ForwardDoor

log = structlog.get_logger(__name__)

SOURCE = "forward"
READ_BYTES = 64 * 1024
_MOST_UNACKED = 32  # chunks of one connection on their way to Kafka; more are not read
_TRY_AGAIN_SECONDS = 0.05
_ANSWER_SECONDS = 10.0  # for a peer to take an acknowledgement
_EVENT_OVERHEAD_BYTES = 64  # what an event takes in memory beside its bytes


class ForwardConnection:
    """`run` returns when the sender hangs up, is cut off, or the door closes."""

    def __init__(
        self, door: ForwardDoor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        settings = door.settings
        self._door, self._reader, self._writer = door, reader, writer
        self._sender = Sender(SOURCE, FORMAT, address)
        self._framer = MessageFramer(settings.max_body_bytes + READ_BYTES)
        self._budgeted = 0
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
                if not await self._take(message):
                    return
            if self._unacked:
                await asyncio.wait(self._unacked)
        finally:
            await messages.aclose()
            for task in self._unacked:
                task.cancel()
            self._budget(0)

    async def _shake_hands(self, messages: AsyncGenerator[bytes, None]) -> bool:
        handshake = Handshake(self._door.shared_key, self._door.settings.forward_hostname)
        self._writer.write(handshake.helo())
        try:
            async with asyncio.timeout(self._door.settings.header_timeout_seconds):
                ping = await anext(messages, b"\xc0")
        except TimeoutError:
            self._cut("too_slow")
            return False
        try:
            said = unpacked(ping) if len(ping) <= LARGE_BYTES else None
        except UNPACK_ERRORS:
            said = None
        allowed, answer = handshake.pong(said)
        self._writer.write(answer)
        if not allowed:
            metrics.refused_connections.labels(SOURCE, "shared_key").inc()
            log.warning("forward sender refused: it does not know the shared key", peer=self._sender.peer)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._writer.drain(), _ANSWER_SECONDS)
        return allowed

    async def _messages(self) -> AsyncGenerator[bytes, None]:
        """Each message as it is complete; ends when the sender hangs up, or is cut off."""
        settings, framer = self._door.settings, self._framer
        stopping = asyncio.create_task(self._door.stopping.wait())
        loop = asyncio.get_running_loop()
        begun: float | None = None
        try:
            while not self._door.stopping.is_set():
                begun = (begun or loop.time()) if framer.held_bytes else None
                if framer.held_bytes > settings.max_body_bytes:
                    self._malformed(f"a message has at most {settings.max_body_bytes} bytes")
                    return
                if not self._budget(framer.held_bytes):
                    self._cut("receiving_bytes")
                    return
                reading = asyncio.create_task(self._reader.read(READ_BYTES))
                wait = None if begun is None else max(0.0, begun + settings.receive_timeout_seconds - loop.time())
                await asyncio.wait({reading, stopping}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    if not self._door.stopping.is_set():
                        self._cut("too_slow")
                    return
                data = reading.result()
                if not data:
                    if framer.held_bytes:
                        metrics.dropped.labels("collector", "unfinished").inc()
                    return
                try:
                    found = framer.feed(data)
                except UNPACK_ERRORS as error:
                    self._malformed(f"not msgpack: {error or type(error).__name__}")
                    return
                for message in found:
                    begun = None
                    yield message
        finally:
            stopping.cancel()

    async def _take(self, message: bytes) -> bool:
        """Hand a message over, and wait while there is no room for it. False: nothing more is taken of this sender."""
        try:
            if len(message) <= LARGE_BYTES and b"compressed" not in message:
                return await self._hand_over(self._read(message))
            return await self._door.aside.run_then(partial(self._read, message), self._hand_over)
        except BadRecord as error:
            # Not acknowledged, and what follows it is no more likely to be a message.
            self._malformed(str(error))
            return False

    def _read(self, message: bytes) -> tuple[bytes, list[bytes]]:
        """(the chunk to acknowledge, the events) of a message. Raises BadRecord when it is none."""
        settings = self._door.settings
        found = read(
            message,
            max_bytes=settings.max_body_bytes,
            max_records=settings.max_request_events,
            max_record_bytes=RECORD_SHARE * settings.max_event_bytes,
        )
        return (found.chunk, self._events(found)) if found is not None else (b"", [])

    def _events(self, found: Forwarded) -> list[bytes]:
        longest = self._door.settings.max_event_bytes
        events: list[bytes] = []
        reasons: list[str] = []
        for time_ns, record in self._joined(found):
            odd = record if isinstance(record, Unreadable) else None
            if odd is None:
                try:
                    events.append(as_event(found.tag, time_ns, record, longest))
                    continue
                except BadRecord as error:
                    odd = Unreadable(record, b"", str(error))
            event, cut = as_text(found.tag, time_ns, odd.value, odd.packed, longest)
            events.append(event)
            reasons.append(odd.reason)
            if cut:
                metrics.truncated.labels(SOURCE).inc()
        if reasons:
            metrics.unreadable.labels(SOURCE).inc(len(reasons))
            log.warning(
                "forward records kept as text", peer=self._sender.peer, number=len(reasons), first=reasons[0][:200]
            )
        return events

    def _joined(self, found: Forwarded) -> Iterator[tuple[int | None, Any]]:
        for batch in batches(found.records):
            yield from self._join(batch) if self._join is not None else batch

    async def _hand_over(self, found: tuple[bytes, list[bytes]]) -> bool:
        chunk, events = found
        if not chunk:
            return await self._offer(deque(events))
        while len(self._unacked) >= _MOST_UNACKED:
            await asyncio.wait(self._unacked, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._publish(chunk, events))
        self._unacked.add(task)
        task.add_done_callback(self._unacked.discard)
        return True

    async def _offer(self, events: deque[bytes]) -> bool:
        while True:
            try:
                while events:
                    self._door.publisher.offer(self._sender, events[0])
                    events.popleft()
                return True
            except Unavailable:
                waiting = sum(map(len, events)) + len(events) * _EVENT_OVERHEAD_BYTES
                if not self._budget(self._framer.held_bytes + waiting):
                    metrics.dropped.labels("collector", "waiting_bytes").inc(len(events))
                    self._cut("receiving_bytes")
                    return False
                # Nothing is read meanwhile: TCP tells the sender to wait.
                try:
                    await asyncio.sleep(_TRY_AGAIN_SECONDS)
                except asyncio.CancelledError:
                    metrics.dropped.labels("collector", "stopped").inc(len(events))
                    raise

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
            self._writer.transport.abort()  # this task itself is among those that `_cut` lets end

    def _malformed(self, reason: str) -> None:
        metrics.dropped.labels("collector", "malformed").inc()
        log.warning("forward message refused", peer=self._sender.peer, reason=reason[:200])
        self._cut("malformed")

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
