"""The HTTP door: `POST /api/logs`, and what operators ask a collector.

A 2xx answer means that Kafka has the events. Errors are problem documents (RFC 9457).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from logsync_streams import metrics
from logsync_streams.collector.decompress import decompress, too_large
from logsync_streams.collector.framing import Framed, frame, shown
from logsync_streams.collector.publisher import Publisher, Sender
from logsync_streams.errors import RejectInput, Unavailable
from logsync_streams.events import idempotency_key_hash
from logsync_streams.settings import CollectorSettings

SOURCE = "http"
_MAX_KEY_BYTES = 255


def create_app(
    publisher: Publisher, settings: CollectorSettings, *, stopping: Callable[[], bool] = lambda: False
) -> Starlette:
    """The door over a publisher. stopping: True from the moment at which this process is told to end."""

    async def healthz(request: Request) -> Response:
        return _json(200, {"status": "ok"})

    async def readyz(request: Request) -> Response:
        reason = "this collector is stopping" if stopping() else publisher.unavailable()
        return _json(503, {"status": "unavailable", "reason": reason}) if reason else _json(200, {"status": "ok"})

    async def status(request: Request) -> Response:
        return _json(200, publisher.status().as_json())

    async def metrics_page(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.REGISTRY), headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/api/logs", LogsDoor(publisher, settings), methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/status", status),
            Route("/metrics", metrics_page),
        ],
        exception_handlers={
            RejectInput: _rejected,
            Unavailable: _unavailable,
            HTTPException: _http_exception,
        },
    )


class LogsDoor:
    """`POST /api/logs` as a plain ASGI callable: the body is counted while it comes in.

    202 {accepted, envelope_ids}; 207 with the refused lines beside them when some were not well-formed; 400, 408, 413,
    415 when nothing was taken; 503 with Retry-After when Kafka is away or slow (with an Idempotency-Key, sending
    again doubles nothing).
    """

    def __init__(self, publisher: Publisher, settings: CollectorSettings) -> None:
        self._publisher, self._settings = publisher, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        key = _key_hash(headers.get(b"idempotency-key"))
        body = await self._body(headers, receive)
        if body is None:
            return  # the sender went away in the middle of it: there is nobody to answer
        encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        limit = self._settings.max_body_bytes
        framed = frame(
            decompress(body, encoding, limit),
            headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower(),
            max_event_bytes=self._settings.max_event_bytes,
            max_events=self._settings.max_request_events,
        )
        client = scope.get("client")
        sender = Sender(SOURCE, framed.format, client[0] if client else "")
        ids = await self._publisher.publish(sender, framed.events, key=key)
        await _answer(framed, ids)(scope, receive, send)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The body as sent; None when the sender went away. Raises RejectInput: 413, or 408 for one that trickles."""
        limit = self._settings.max_body_bytes
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            raise too_large(limit)
        seconds = self._settings.receive_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
                if message["type"] == "http.request" and not message.get("more_body", False):
                    body: bytes = message.get("body", b"")
                    if len(body) > limit:
                        raise too_large(limit)
                    return body
                parts: list[bytes] = []
                size = 0
                while message["type"] == "http.request":
                    part = message.get("body", b"")
                    size += len(part)
                    if size > limit:
                        raise too_large(limit)
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
                    message = await receive()
                return None
        except TimeoutError as error:
            raise RejectInput(408, "Body too slow", f"a body must be here within {seconds:g} s") from error


def _key_hash(key: bytes | None) -> str:
    if key is None:
        return ""
    key = key.strip()
    if not 0 < len(key) <= _MAX_KEY_BYTES:
        raise RejectInput(400, "Bad Idempotency-Key", f"1 to {_MAX_KEY_BYTES} bytes are expected, not {len(key)}")
    return idempotency_key_hash(SOURCE, key)


def _answer(framed: Framed, ids: list[str]) -> Response:
    answer: dict[str, Any] = {"accepted": len(framed.events), "envelope_ids": ids}
    if not framed.refused:
        return _json(202, answer)
    metrics.dropped.labels("collector", "malformed").inc(len(framed.refused))
    answer |= {"rejected": len(framed.refused), "refused": shown(framed.refused)}
    return _json(207, answer)


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _problem(
    status: int, title: str, detail: str, extra: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Response:
    metrics.rejected.labels(SOURCE, str(status)).inc()
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(extra or {})}
    return Response(orjson.dumps(content), status, headers, media_type="application/problem+json")


async def _rejected(request: Request, error: Exception) -> Response:
    assert isinstance(error, RejectInput)
    # What is left of a refused body is not read: the connection cannot go on.
    headers = {"connection": "close"} if error.status in (408, 413) else None
    return _problem(error.status, error.title, error.detail, error.extra, headers)


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    return _problem(503, "Unavailable", error.detail, headers={"retry-after": str(error.retry_after_seconds)})


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return _problem(error.status_code, error.detail, f"{request.method} {request.url.path}", headers=headers)
