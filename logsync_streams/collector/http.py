"""The HTTP doors: `POST /api/logs`, `POST /api/fluentd/logs[/<tag>]`, and what operators ask a collector.

A 2xx answer means that Kafka has the events. Errors are problem documents (RFC 9457).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from logsync_streams import metrics
from logsync_streams.collector.bodies import Bodies
from logsync_streams.collector.fluentd import frame_fluentd
from logsync_streams.collector.framed import Framed, shown
from logsync_streams.collector.framing import frame
from logsync_streams.collector.limits import Limits
from logsync_streams.collector.multiline import join_lines
from logsync_streams.collector.publisher import Publisher, Sender
from logsync_streams.errors import RejectInput, Unavailable
from logsync_streams.events import idempotency_key_hash
from logsync_streams.settings import CollectorSettings

SOURCE, FLUENTD = "http", "fluentd"
LOGS_PATH, FLUENTD_PATH = "/api/logs", "/api/fluentd/logs"
_JSON = (b"content-type", b"application/json")
_MAX_KEY_BYTES = 255
_MAX_TAG_BYTES = 512

Headers = dict[bytes, bytes]
# (format, source, peer, events) -> what becomes of each.
Explain = Callable[[str, str, str, Sequence[bytes]], list[dict[str, Any]]]
# (body as unpacked, media type, headers, path) -> events. Raises RejectInput.
Frame = Callable[[bytes, str, Headers, str], Framed]


class CollectorApp:
    """An ASGI app: the doors by their paths, everything else by Starlette's routing.

    The doors are asked first, and directly: routing and middleware would cost a one-event request a fifth more.
    """

    def __init__(self, doors: dict[str, Door], others: Starlette) -> None:
        self._doors, self._others = doors, others
        self.routes = others.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            path = scope["path"]
            door = self._doors.get(path)
            if door is None and path.startswith(FLUENTD_PATH + "/"):
                door = self._doors[FLUENTD_PATH]
            if door is not None:
                await door(scope, receive, send)
                return
        await self._others(scope, receive, send)


def create_app(
    publisher: Publisher,
    settings: CollectorSettings,
    *,
    limits: Limits | None = None,
    stopping: Callable[[], bool] = lambda: False,
    explain: Explain | None = None,
) -> CollectorApp:
    """The doors over a publisher. stopping: True from the moment at which this process is told to end. explain:
    what `process` would make of events; it is handed in, since the collector does not know the stages.
    """

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

    async def only_post(request: Request) -> Response:
        raise HTTPException(405, "Method Not Allowed", {"allow": "POST"})

    limits = limits or Limits(settings)
    bodies = Bodies(settings, limits.receiving)
    door = partial(Door, publisher=publisher, bodies=bodies, limits=limits, settings=settings, explain=explain)
    others = Starlette(
        routes=[
            Route(LOGS_PATH, only_post),
            Route(FLUENTD_PATH, only_post),
            Route(FLUENTD_PATH + "/{tag:path}", only_post),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/status", status),
            Route("/metrics", metrics_page),
        ],
        exception_handlers={HTTPException: _http_exception},
    )
    doors = {
        LOGS_PATH: door(SOURCE, frame=_frame_logs(settings)),
        FLUENTD_PATH: door(FLUENTD, frame=_frame_fluentd(settings)),
    }
    return CollectorApp(doors, others)


class Door:
    """One path as a plain ASGI callable: the body is counted while it comes in.

    202 {accepted, envelope_ids}; 200 {explained, refused} with `?explain=1`, which stores nothing; 207 with the refused
    lines beside what was accepted when some were not well-formed; 400, 408, 413, 415 when nothing was taken; 429 over
    the rate limit; 503 with Retry-After when Kafka is away or slow (with an Idempotency-Key, sending again doubles
    nothing).
    """

    def __init__(
        self,
        source: str,
        *,
        frame: Frame,
        publisher: Publisher,
        bodies: Bodies,
        limits: Limits,
        settings: CollectorSettings,
        explain: Explain | None = None,
    ) -> None:
        self._source, self._frame, self._publisher = source, frame, publisher
        self._bodies, self._limits, self._settings = bodies, limits, settings
        self._explain = explain
        self._accepted = metrics.requests.labels(source, "202")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"])
        try:
            answer = await self._take(scope, headers, receive)
        except RejectInput as error:
            answer = _problem(self._source, error.status, error.title, error.detail, error.extra, _after(error))
        except Unavailable as error:
            retry = {"retry-after": str(error.retry_after_seconds)}
            answer = _problem(self._source, 503, "Unavailable", error.detail, headers=retry)
        if answer is None:
            return  # the sender went away in the middle of it: there is nobody to answer
        if isinstance(answer, bytes):  # 202: the way of nearly all, so it is short
            self._accepted.inc()
            length = b"%d" % len(answer)
            await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", length), _JSON]})
            await send({"type": "http.response.body", "body": answer})
            return
        metrics.requests.labels(self._source, str(answer.status_code)).inc()
        await answer(scope, receive, send)

    async def _take(self, scope: Scope, headers: Headers, receive: Receive) -> Response | bytes | None:
        key = _key_hash(headers.get(b"idempotency-key"), self._source)
        explaining = self._explain is not None and b"explain=1" in scope["query_string"].split(b"&")
        if not explaining and (away := self._publisher.unavailable()):
            # Before the body: it would be of no use, and takes room.
            raise Unavailable(away)
        body = await self._bodies.receive(headers, receive)
        if body is None:
            return None
        try:
            encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
            media_type = headers.get(b"content-type", b"").split(b";")[0].decode("latin-1").strip().lower()
            path = scope["raw_path"].decode("latin-1")
            framed = await self._bodies.unpacked(
                body, encoding, lambda plain: self._frame(plain, media_type, headers, path)
            )
            client = scope.get("client")
            address = client[0] if client else ""
            if explaining:
                return await self._explained(framed, address)
            wait = self._limits.rate.wait_seconds(address, len(framed.events), time.monotonic())
            if wait:
                raise RejectInput(429, "Too many events", "over the rate limit of your address", retry_after=wait)
            sender = Sender(self._source, framed.format, address)
            return _answer(framed, await self._publisher.publish(sender, framed.events, key=key))
        finally:
            self._bodies.give_back(body)

    async def _explained(self, framed: Framed, address: str) -> Response:
        """200 with what would become of each event; nothing is stored."""
        if len(framed.events) > _MOST_EXPLAINED:
            raise RejectInput(
                413, "Too many events", f"at most {_MOST_EXPLAINED} are explained", limit_events=_MOST_EXPLAINED
            )
        assert self._explain is not None
        explain = partial(self._explain, framed.format, self._source, address, framed.events)
        # Its first question loads all stages.
        explained = await asyncio.to_thread(explain)
        return _json(200, {"explained": explained, "refused": shown(framed.refused)})


_MOST_EXPLAINED = 100


def _frame_logs(settings: CollectorSettings) -> Frame:
    join = partial(
        join_lines,
        max_bytes=settings.multiline_max_bytes,
        start=settings.multiline_start,
        on_joined=metrics.joined.labels(SOURCE).inc,
    )

    def framed(body: bytes, media_type: str, headers: Headers, path: str) -> Framed:
        return frame(
            body,
            media_type,
            max_event_bytes=settings.max_event_bytes,
            max_events=settings.max_request_events,
            join=join if settings.multiline_wait_ms else None,
        )

    return framed


def _frame_fluentd(settings: CollectorSettings) -> Frame:
    tag_header = settings.fluentd_tag_header.lower().encode()
    join = {
        "max_bytes": settings.multiline_max_bytes,
        "start": settings.multiline_start,
        "on_joined": metrics.joined.labels(FLUENTD).inc,
    }

    def framed(body: bytes, media_type: str, headers: Headers, path: str) -> Framed:
        tag = unquote_to_bytes(path[len(FLUENTD_PATH) + 1 :].partition("?")[0]) or headers.get(tag_header, b"")
        return frame_fluentd(
            body,
            media_type,
            tag[:_MAX_TAG_BYTES],
            max_event_bytes=settings.max_event_bytes,
            max_events=settings.max_request_events,
            join=join if settings.multiline_wait_ms else None,
        )

    return framed


def _key_hash(key: bytes | None, scope: str) -> str:
    if key is None:
        return ""
    key = key.strip()
    if not 0 < len(key) <= _MAX_KEY_BYTES:
        raise RejectInput(400, "Bad Idempotency-Key", f"1 to {_MAX_KEY_BYTES} bytes are expected, not {len(key)}")
    return idempotency_key_hash(scope, key)


def _answer(framed: Framed, ids: list[str]) -> Response | bytes:
    """The body of a 202, or the response of a 207."""
    answer: dict[str, Any] = {"accepted": len(framed.events), "envelope_ids": ids}
    if not framed.refused:
        return orjson.dumps(answer)
    metrics.dropped.labels("collector", "malformed").inc(framed.refused_count)
    answer |= {"rejected": framed.refused_count, "refused": shown(framed.refused)}
    return _json(207, answer)


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _problem(
    source: str,
    status: int,
    title: str,
    detail: str,
    extra: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    metrics.rejected.labels(source, str(status)).inc()
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(extra or {})}
    return Response(orjson.dumps(content), status, headers, media_type="application/problem+json")


def _after(error: RejectInput) -> dict[str, str] | None:
    if error.status == 429:
        return {"retry-after": str(error.extra["retry_after"])}
    # What is left of a refused body is not read: the connection cannot go on.
    return {"connection": "close"} if error.status in (408, 413) else None


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return _problem(SOURCE, error.status_code, error.detail, f"{request.method} {request.url.path}", headers=headers)
