"""`logsync tail`: the newest logs, and with -f those that come, as they pass and before they are stored."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import httpx
import orjson

from logsync_streams.cli.asking import FOUND, NOTHING_FOUND, Refused, client, exit_code, explained, given, hits
from logsync_streams.cli.printing import Printer

_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0
# The server sends a sign of life every 15 seconds.
_SILENCE_SECONDS = 45.0
_KNOWN_IDS = 5000


def tail(
    q: str = "",
    url: str = "http://127.0.0.1:8082",
    *,
    follow: bool = False,
    lines: int = 10,
    as_json: bool = False,
    output: TextIO | None = None,
    errors: TextIO | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Print the newest logs that the query finds, oldest first; the exit code as of `search`.

    follow: go on with what comes until Ctrl-C (then 0); a connection that breaks is made again, from the last log on.
    What a slow terminal could not take is said on `errors`. sleep: for tests.
    """
    output, errors = output or sys.stdout, errors or sys.stderr
    printer = Printer(output, as_json=as_json)

    def act() -> int:
        with client(url) as asking:
            if not follow:
                return _newest(asking, q, lines, printer.log, printer)
            _Following(asking, q, lines, printer, errors, sleep).run()
        return FOUND

    try:
        return exit_code(url, errors, act)
    except KeyboardInterrupt:
        return FOUND


def _newest(asking: httpx.Client, q: str, lines: int, show: Callable[[dict[str, Any]], None], printer: Printer) -> int:
    found = list(hits(asking, {"q": q, "sort": "desc"}, lines))
    for hit in reversed(found):
        show(hit)
    printer.flush()
    return FOUND if found else NOTHING_FOUND


class _Following:
    def __init__(
        self,
        asking: httpx.Client,
        q: str,
        lines: int,
        printer: Printer,
        errors: TextIO,
        sleep: Callable[[float], None],
    ) -> None:
        self._asking, self._q, self._lines, self._printer = asking, q, lines, printer
        self._errors, self._sleep = errors, sleep
        self._last = ""
        self._known: deque[str] = deque(maxlen=_KNOWN_IDS)

    def run(self) -> None:
        """Until something interrupts. Raises Refused, and httpx.HTTPError when the first connection fails."""
        pause, first = _PAUSE_SECONDS, True
        while True:
            try:
                for name, data in self._events(first):
                    first, pause = False, _PAUSE_SECONDS
                    if name == "log":
                        self._show(data)
                        self._printer.flush()
                    elif name == "skipped":
                        self._skipped(data)
            except httpx.HTTPError as error:
                if first:
                    raise
                self._errors.write(f"logsync: the connection broke ({type(error).__name__}), trying again\n")
            self._sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _events(self, first: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        headers = {"Last-Event-ID": self._last} if self._last else {}
        timeout = httpx.Timeout(10.0, read=_SILENCE_SECONDS)
        parameters = given({"q": self._q})
        with self._asking.stream(
            "GET", "/api/logs/tail", params=parameters, headers=headers, timeout=timeout
        ) as response:
            if response.status_code >= 500 and not first:
                raise httpx.RemoteProtocolError(f"status {response.status_code}")
            if response.status_code != 200:
                response.read()
                raise Refused(explained(response.status_code, _json(response.content), self._q))
            if first and self._lines:
                # After the connection is there, so that nothing passes unseen in between.
                _newest(self._asking, self._q, self._lines, self._show, self._printer)
            yield "connected", {}
            yield from events(response.iter_bytes())

    def _show(self, log: dict[str, Any]) -> None:
        id_ = str(log.get("id", ""))
        if id_ in self._known:
            return
        self._known.append(id_)
        self._last = id_
        self._printer.log({name: value for name, value in log.items() if name != "highlights"})

    def _skipped(self, what: dict[str, Any]) -> None:
        if what.get("reason") == "unknown":
            self._errors.write("logsync: what came while there was no connection is not shown; search for it\n")
        elif what.get("logs"):
            least = "at least " if what.get("at_least") else ""
            self._errors.write(f"logsync: {least}{what['logs']} logs came too quickly to be shown\n")


def events(pieces: Iterator[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, data) of server-sent events whose data are JSON objects; others are left out."""
    name, waiting = "message", b""
    for piece in pieces:
        # Lines end at line feeds only: text of logs holds other characters that Python takes for line ends.
        *whole, waiting = (waiting + piece).split(b"\n")
        for line in whole:
            if line.startswith(b"event: "):
                name = line[7:].decode(errors="replace").strip()
            elif line.startswith(b"data: "):
                data = _json(line[6:])
                if isinstance(data, dict):
                    yield name, data
                name = "message"


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
