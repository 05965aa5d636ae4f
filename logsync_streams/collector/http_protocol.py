"""The HTTP connections' own deadlines and bounds; uvicorn has none for what it receives.

A request is in one of four phases: its head comes in, its body does, it is answered, or the connection is idle. The
body's deadline is the door's (it can answer 408); here is what the door does not see.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from logsync_streams import metrics
from logsync_streams.collector.limits import Limits
from logsync_streams.settings import CollectorSettings

SOURCE = "http"
_HEAD, _BODY, _ANSWER, _IDLE, _CLOSING = range(5)
_DOOR_GRACE_SECONDS = 3.0  # the door's own deadline, which is the same, comes first
_MOST_PIPELINED = 32  # requests sent before the answer to an earlier one
_CLOSING_SECONDS = 5.0  # for a peer to read its last answer
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Guard:
    """All HTTP connections, and who of them is over its time."""

    def __init__(self, settings: CollectorSettings, limits: Limits) -> None:
        self.max_head_bytes = settings.max_header_bytes
        self.limits = limits
        self.open: set[GuardedProtocol] = set()
        answer = settings.publish_timeout_seconds + settings.receive_timeout_seconds
        self._longest = {
            _HEAD: settings.header_timeout_seconds,
            _BODY: settings.receive_timeout_seconds + _DOOR_GRACE_SECONDS,
            _ANSWER: answer + _DOOR_GRACE_SECONDS,
            _CLOSING: _CLOSING_SECONDS,
        }
        self._pause = min(1.0, settings.header_timeout_seconds / 4)

    def protocol(self) -> type[HttpToolsProtocol]:
        """The protocol class to give to uvicorn."""
        return type("Guarded", (GuardedProtocol,), {"guard": self})

    async def watch(self) -> None:
        """Cut who is over its time, for ever."""
        while True:
            await asyncio.sleep(self._pause)
            now = time.monotonic()
            for connection in list(self.open):
                phase = connection.phase
                if phase != _IDLE and now - connection.since > self._longest[phase]:
                    connection.cut()


class _Gone(asyncio.Transport):
    """A transport of which nothing comes."""

    def write(self, data: Any) -> None:
        return

    def close(self) -> None:
        return

    def is_closing(self) -> bool:
        return True


_GONE = _Gone()


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which notes when each phase began."""

    guard: Guard

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.phase, self.since, self.head_bytes, self.unparsed_bytes = _HEAD, time.monotonic(), 0, 0
        self._answered: RequestResponseCycle | None = None
        self._address = self.client[0] if self.client else ""
        self._entered = self.guard.limits.connections.enter(SOURCE, self._address)
        self.guard.open.add(self)
        if not self._entered:
            self._refuse(503, "there are too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        self._answer_nobody()
        super().connection_lost(exc)
        self.guard.open.discard(self)
        if self._entered:
            self._entered = False
            self.guard.limits.connections.leave(SOURCE, self._address)

    def data_received(self, data: bytes) -> None:
        if self.phase == _CLOSING:
            return
        if self.phase == _IDLE:
            self._enter(_HEAD)
        super().data_received(data)
        if self.phase == _HEAD:
            # A header that has not ended is not seen by `on_header` yet.
            self.unparsed_bytes += len(data)
            if self.unparsed_bytes > self.guard.max_head_bytes:
                self._refuse_head()

    def on_url(self, url: bytes) -> None:
        self._head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.head_bytes = self.unparsed_bytes = 0
        self._enter(_BODY)
        super().on_headers_complete()
        if len(self.pipeline) > _MOST_PIPELINED:
            # uvicorn goes on reading while earlier requests are answered, and would keep them all.
            metrics.refused_connections.labels(SOURCE, "pipelined").inc()
            self._abort()

    def on_message_complete(self) -> None:
        # In the head's phase it is the rest of a body that was answered before it was there.
        if self.phase in (_BODY, _HEAD):
            self._enter(_ANSWER if self.phase == _BODY else _IDLE)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._enter(_CLOSING if self.transport.is_closing() else _ANSWER if self.pipeline else _IDLE)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if self.head_bytes > self.guard.max_head_bytes:
            self._refuse_head()
        else:
            self._refuse(400, "this is no HTTP/1.1 request")

    def cut(self) -> None:
        """Its time is over: say so where that can be understood, and hang up."""
        if self.phase == _HEAD:
            metrics.refused_connections.labels(SOURCE, "too_slow").inc()
            self._refuse(408, "the request's headers took too long")
        else:
            if self.phase != _CLOSING:
                metrics.refused_connections.labels(SOURCE, "too_slow").inc()
            self._abort()

    def _enter(self, phase: int) -> None:
        self.phase, self.since = phase, time.monotonic()

    def _abort(self) -> None:
        self._enter(_CLOSING)
        self.pipeline.clear()
        self._answer_nobody()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _answer_nobody(self) -> None:
        # An answer that waits for its peer to read goes on now, and uvloop refuses to write what nobody gets. It is not
        # `self.cycle`, which is the request that came last.
        if self._answered is not None:
            self._answered.transport = _GONE

    def _head(self, size: int) -> None:
        self.head_bytes += size
        if self.head_bytes > self.guard.max_head_bytes:
            raise ValueError("the head is too large")  # httptools makes a parser error of it

    def _refuse_head(self) -> None:
        self._refuse(431, f"a request's line and headers have at most {self.guard.max_head_bytes} bytes")

    def _refuse(self, status: int, detail: str) -> None:
        self._enter(_CLOSING)
        metrics.rejected.labels(SOURCE, str(status)).inc()
        if self.transport.is_closing():
            return
        title = _REASONS[status]
        problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        body = orjson.dumps(problem)
        retry = "retry-after: 1\r\n" if status == 503 else ""
        head = (
            f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n{retry}"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
