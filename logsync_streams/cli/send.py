"""`logsync send`: any log file, line by line, through the HTTP door."""

from __future__ import annotations

import random
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import httpx
import orjson

STDIN = "-"
MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 1024 * 1024
_TIMEOUT_SECONDS = 30.0
_MAX_TRIES = 8  # with the pauses below: about half a minute of a collector that cannot take anything
_PAUSE_FIRST_SECONDS = 0.25
_PAUSE_LONGEST_SECONDS = 8.0
_RETRIED_STATUSES = frozenset((429, 502, 503, 504))
_MOST_REASONS_SHOWN = 10


def send(
    path_or_stdin: str,
    url: str,
    service: str | None = None,
    level: str | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send each line that is not blank as a log {message, service, host, level}; the exit code is for the shell.

    path_or_stdin: a file, or "-" for standard input. url: of the collector (`http://127.0.0.1:8081`; `/api/logs` is
    added where there is no path). service: the file's name without its ending unless given ("stdin"). level: left
    out unless given. 0 only when every line was accepted; 1 when some were refused or the collector stayed away; 2
    when the file cannot be read. A batch is tried again with the same Idempotency-Key, so it is stored once.
    transport, sleep: for tests.
    """
    name = "stdin" if path_or_stdin == STDIN else Path(path_or_stdin).name
    common = {"service": service or name.split(".")[0] or name, "host": socket.gethostname()}
    if level:
        common["level"] = level
    tally = _Tally()
    started = time.monotonic()
    try:
        stream = sys.stdin.buffer if path_or_stdin == STDIN else Path(path_or_stdin).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        print(f"{path_or_stdin}: cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    with stream, httpx.Client(transport=transport, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        sender = _BatchSender(client, _logs_url(url), sleep)
        try:
            for batch in _batches(stream, common):
                sender.send(batch, tally)
        except OSError as error:  # a folder, or a disk that fails on the way
            print(f"{path_or_stdin}: cannot be read: {error.strerror}", file=sys.stderr)
            return 2
        except _GivenUp as error:
            print(f"{path_or_stdin}: stopped after {tally.accepted} lines: {error}", file=sys.stderr)
            return 1
    seconds = time.monotonic() - started
    print(f"{path_or_stdin}: {tally.accepted} of {tally.lines} lines accepted in {seconds:.1f} s", file=sys.stderr)
    return 0 if tally.accepted == tally.lines else 1


class _Tally:
    """What became of the lines so far."""

    def __init__(self) -> None:
        self.lines = self.accepted = self.reasons_shown = 0

    def refused(self, line: int, reason: str) -> None:
        self.reasons_shown += 1
        if self.reasons_shown <= _MOST_REASONS_SHOWN:
            print(f"line {line}: {reason}", file=sys.stderr)
        elif self.reasons_shown == _MOST_REASONS_SHOWN + 1:
            print("… and more", file=sys.stderr)


class _GivenUp(Exception):
    """The collector did not take a batch; the message says what to do."""


class _BatchSender:
    def __init__(self, client: httpx.Client, url: str, sleep: Callable[[float], None]) -> None:
        self._client, self._url, self._sleep = client, url, sleep
        self._run, self._number = uuid.uuid4().hex, 0

    def send(self, batch: list[tuple[int, bytes]], tally: _Tally) -> None:
        """One batch of (line number, event) until it is answered. Raises _GivenUp."""
        self._number += 1
        headers = {"content-type": "application/x-ndjson", "idempotency-key": f"{self._run}-{self._number}"}
        tally.lines += len(batch)
        response = self._answered(b"\n".join(event for _, event in batch), headers)
        if response.status_code in (202, 207):
            answer = orjson.loads(response.content)
            tally.accepted += answer["accepted"]
            for refused in answer.get("refused", ()):
                tally.refused(batch[refused["line"] - 1][0], refused["reason"])
        elif response.status_code in (400, 413):
            # All of the batch was refused, or its only line: the next one may be better.
            tally.refused(batch[0][0], _detail(response))
        else:
            raise _GivenUp(f"{self._url} answered {response.status_code}: {_detail(response)}")

    def _answered(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        pause = _PAUSE_FIRST_SECONDS
        for left in reversed(range(_MAX_TRIES)):
            try:
                response = self._client.post(self._url, content=body, headers=headers)
                if response.status_code not in _RETRIED_STATUSES:
                    return response
                problem = f"{self._url} answers {response.status_code}: {_detail(response)}"
                asked = response.headers.get("retry-after", "")
                wait = max(pause, float(asked)) if asked.isdigit() else pause
            except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise _GivenUp(f"{self._url!r} is no address of a collector: {error}") from error
            except httpx.TransportError as error:
                problem = f"no collector answers at {self._url} ({error or type(error).__name__})"
                wait = pause
            if left:
                self._sleep(min(wait, _PAUSE_LONGEST_SECONDS) * random.uniform(0.75, 1.25))
                pause = min(pause * 2, _PAUSE_LONGEST_SECONDS)
        raise _GivenUp(f"{problem}; tried {_MAX_TRIES} times. Is `logsync collect` running?")


def _batches(stream: BinaryIO, common: dict[str, str]) -> Iterator[list[tuple[int, bytes]]]:
    batch: list[tuple[int, bytes]] = []
    size = 0
    for number, line in enumerate(stream, start=1):
        line = line.rstrip(b"\r\n")
        if not line or line.isspace():
            continue
        event = orjson.dumps({"message": _text(line), **common})
        if batch and (len(batch) == MAX_BATCH_EVENTS or size + len(event) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((number, event))
        size += len(event) + 1
    if batch:
        yield batch


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _logs_url(url: str) -> str:
    head, separator, rest = url.partition("://")
    return url if separator and "/" in rest.rstrip("/") else f"{head}{separator}{rest.rstrip('/')}/api/logs"


def _detail(response: httpx.Response) -> str:
    try:
        found = orjson.loads(response.content).get("detail")
    except (orjson.JSONDecodeError, AttributeError):
        found = None
    return found if isinstance(found, str) else response.reason_phrase
