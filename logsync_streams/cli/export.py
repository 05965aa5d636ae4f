"""`logsync export`: every log that a query finds, into a file or a pipe."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TextIO

import httpx
import orjson

from logsync_streams.cli.asking import FAILED, FOUND, NOTHING_FOUND, Refused, client, exit_code, explained, given
from logsync_streams.cli.printing import escape

STDOUT = "-"
_EVERY_BYTES = 1 << 20


def export(
    q: str = "",
    url: str = "http://127.0.0.1:8082",
    *,
    to: str = STDOUT,
    format: str = "ndjson",
    start: str | None = None,
    end: str | None = None,
    sort: str = "desc",
    fields: str | None = None,
    limit: int | None = None,
    stdout: BinaryIO | None = None,
    errors: TextIO | None = None,
) -> int:
    """Write the export to the file `to` ("-": stdout) and say on `errors` how far it is, if that is a terminal.

    A file is there under its name only once it is complete. The exit code: 0 exported, 1 nothing found, 2 failed or not
    complete. start, end, sort, fields, limit, format: as the API's parameters.
    """
    errors = errors or sys.stderr
    asked = {"q": q, "from": start, "to": end, "sort": sort, "fields": fields, "format": format}
    parameters = given({**asked, "limit": None if limit is None else str(limit)})

    def act() -> int:
        with client(url) as asking:
            return _fetched(asking, parameters, to, stdout or sys.stdout.buffer, errors)

    try:
        return exit_code(url, errors, act)
    except OSError as error:
        errors.write(f"logsync: {to}: {error.strerror}\n")
        return FAILED


def _fetched(asking: httpx.Client, parameters: dict[str, str], to: str, stdout: BinaryIO, errors: TextIO) -> int:
    with ExitStack() as stack:
        response = stack.enter_context(asking.stream("GET", "/api/logs/export", params=parameters))
        if response.status_code != 200 or "application/problem" in response.headers.get("content-type", ""):
            response.read()
            raise Refused(explained(response.status_code, _json(response.content), parameters.get("q", "")))
        part = None if to == STDOUT else Path(f"{to}.part")
        out = stdout if part is None else stack.enter_context(part.open("wb"))
        progress = _Progress(errors)
        try:
            for piece in response.iter_bytes():
                out.write(piece)
                progress.add(piece)
            out.flush()
        except httpx.HTTPError as error:
            progress.end()
            kept = f"; what came is in {escape(str(part))}" if part is not None else ""
            raise Refused(f"the export broke off after {progress.lines:,} lines: it is not complete{kept}") from error
        progress.end()
        if part is not None:
            part.replace(to)
    head = 1 if parameters["format"] == "csv" else 0
    return FOUND if progress.lines > head else NOTHING_FOUND


class _Progress:
    """Lines and bytes so far, on a terminal."""

    def __init__(self, errors: TextIO) -> None:
        self._errors = errors if errors.isatty() else None
        self.lines = self._bytes = self._shown = 0

    def add(self, piece: bytes) -> None:
        self.lines += piece.count(b"\n")
        self._bytes += len(piece)
        if self._bytes - self._shown >= _EVERY_BYTES:
            self._show("")

    def end(self) -> None:
        if self._bytes:
            self._show("\n")

    def _show(self, end: str) -> None:
        self._shown = self._bytes
        if self._errors is not None:
            self._errors.write(f"\r{self.lines:,} lines, {self._bytes / 1e6:,.1f} MB{end}")
            self._errors.flush()


def _json(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
