"""The least HTTP/1.1 server that the clients here are content with: keep-alive, Content-Length and chunked bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import httptools


@dataclass(frozen=True, slots=True)
class Request:
    """One request. target: path and query as sent. headers: names in lower case."""

    method: str
    target: str
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Iterable[tuple[str, str]]
    body: bytes


Handler = Callable[[Request], Awaitable[Response]]


class Protocol(asyncio.Protocol):
    """One connection. Requests are answered in order, one after the other."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: asyncio.Queue[Request] = asyncio.Queue()
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._answering = asyncio.get_running_loop().create_task(self._answer())

    def connection_lost(self, error: Exception | None) -> None:
        self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self._transport.close()

    # ---------------------------------------------------------------------------------------- called by the parser
    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", {}, []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._headers.get(b"expect", b"").lower() == b"100-continue":  # curl waits for it before a large body
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        self._waiting.put_nowait(Request(method, self._target.decode(), self._headers, b"".join(self._body)))

    async def _answer(self) -> None:
        while True:
            request = await self._waiting.get()
            response = await self._handler(request)
            head = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
            head += [f"{name}: {value}" for name, value in response.headers]
            head.append(f"Content-Length: {len(response.body)}")
            body = b"" if request.method == "HEAD" else response.body
            self._transport.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
