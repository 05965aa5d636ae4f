"""What every request must have and every answer carries: a host name of ours, a request id, and headers by which a
browser runs nothing of what a log says.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logsync_streams.query.problems import problem

# The page loads its own script, style and data and nothing else; no markup of a log could run anything.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class Guard:
    """Middleware: refuses other sites' host names (421), takes over a sender's X-Request-Id or makes one, and sets the
    security headers.

    The host name is what tells a page of another site, whose name was made to lead to our loopback address, from our
    own: its requests carry that site's name, and without authentication it would read every log.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._allowed = None if "*" in allowed_hosts else {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_headers = dict(scope["headers"])
        given = request_headers.get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["logsync.request_id"] = request_id
        is_page = scope["path"] in ("/", "/docs") or scope["path"].startswith("/static/")
        keeps = is_page or scope["path"] == "/openapi.json"

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Content-Security-Policy"] = PAGE_POLICY if is_page else DATA_POLICY
                # What is ours has ETags; answers of the API are of the moment.
                headers["Cache-Control"] = "no-cache" if keeps else "no-store"
            await send(message)

        host = _name(request_headers.get(b"host", b"").decode("latin-1"))
        if self._allowed is None or host in self._allowed or host == "":
            await self._app(scope, receive, send_guarded)
            return
        answer = problem(
            Request(scope),
            421,
            "Not this server's name",
            f"the Host header names {host[:100]!r}, which is none of the names that are answered",
            hint="add the name to LOGSYNC_QUERY__ALLOWED_HOSTS if it is this server's, a proxy's for example",
        )
        await answer(scope, receive, send_guarded)


def _name(host: str) -> str:
    """The name in a Host header without the port; an IPv6 address without its brackets. No browser leaves it out."""
    bracketed = re.fullmatch(r"\[([^]]*)\](?::\d*)?", host)
    return bracketed[1].lower() if bracketed else host.rsplit(":", 1)[0].lower()
