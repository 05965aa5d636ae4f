"""In front of moto's server, on loopback: notes every request, and spoils those that it is told to."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

# What a request meets. The first three never reach the server; the last two are done, and nobody hears of it.
OK, ERROR, REFUSED, SILENT, SLOW, LOST, CUT = "ok", "500", "403", "timeout", "slow", "lost answer", "cut answer"
_CODES = {ERROR: (500, "InternalError"), REFUSED: (403, "AccessDenied")}
_HEADERS_OF_ONE_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. kind: in words, `put manifest` for one; headers: names in lower case."""

    kind: str
    path: str
    headers: dict[str, str]


@dataclass
class S3Proxy:
    """Use as a context. fault(asked): what a request meets. seconds: how long SILENT and SLOW take."""

    upstream: str
    fault: Callable[[Asked], str] = lambda _: OK
    seconds: float = 1.0
    asked: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> S3Proxy:
        proxy = self

        class Handler(_Handler):
            of = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def kinds(self) -> list[str]:
        """Of all requests so far, in order."""
        return [one.kind for one in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    of: S3Proxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(
            _kind(self.command, self.path), self.path, {name.lower(): value for name, value in self.headers.items()}
        )
        self.of.asked.append(asked)
        fault = self.of.fault(asked)
        if fault in _CODES:
            status, code = _CODES[fault]
            return self._answer(status, {}, f"<Error><Code>{code}</Code><Message>told to</Message></Error>".encode())
        if fault in (SILENT, SLOW):
            self.of.closing.wait(self.of.seconds)
        self.close_connection = fault in (SILENT, LOST, CUT)
        if fault == SILENT:
            return None
        status, headers, content = self._forwarded(body)
        if fault == LOST or (fault == CUT and len(content) < 2):
            return None
        return self._answer(status, headers, content[: len(content) // 2] if fault == CUT else content, len(content))

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.of.upstream).netloc, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "expect")}
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], content: bytes, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HEADERS_OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what matters is in `asked`."""


def _kind(method: str, target: str) -> str:
    url = urlsplit(target)
    query, key = parse_qs(url.query, keep_blank_values=True), url.path.strip("/").partition("/")[2]
    if not key:
        return "list uploads" if "uploads" in query else "list" if method == "GET" else "bucket"
    if "uploads" in query:
        return "begin upload"
    if "uploadId" in query:
        return {"PUT": "upload", "POST": "complete upload", "DELETE": "abort upload"}[method]
    what = "manifest" if key.endswith("manifest.json") else "part"
    return f"{method.lower()} {what}"
