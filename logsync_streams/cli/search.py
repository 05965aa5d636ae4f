"""`logsync search`: ask the query API and print what it finds, one log a line."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, TextIO

import httpx
import orjson
from rich.console import Console
from rich.text import Text

FOUND, NOTHING_FOUND, FAILED = 0, 1, 2  # exit codes

_PAGE = 200
_TIMEOUT_SECONDS = 60  # the server's own limit is shorter; this one is for a server that hangs
_STYLES = {
    "trace": "dim",
    "debug": "dim",
    "info": "blue",
    "notice": "blue",
    "warn": "yellow",
    "error": "red",
    "critical": "bold magenta",
    "fatal": "bold magenta",
}
_PRINTABLE_ASCII = re.compile(r"[ -~]*")
_JOINERS = "\u200c\u200d"  # they shape letters and emoji and do nothing else


def search(
    q: str,
    url: str = "http://127.0.0.1:8082",
    *,
    start: str | None = None,
    end: str | None = None,
    sort: str = "desc",
    limit: int = 50,
    as_json: bool = False,
    output: TextIO | None = None,
    errors: TextIO | None = None,
) -> int:
    """Print the logs that the query finds, at most `limit`; the exit code: 0 found, 1 nothing found, 2 failed.

    start, end: as the API's `from` and `to` (ISO 8601, epoch ms, now-15m). sort: "desc" (newest first) or "asc".
    as_json: the stored documents as NDJSON instead of time, level, service and message. Coloured by level on a
    terminal. Control and direction characters of logs are printed by their number, never sent to the terminal.
    output, errors: default stdout and stderr. Raises nothing for a server that is away or a bad query: that is 2.
    """
    output, errors = output or sys.stdout, errors or sys.stderr
    console = Console(file=output, highlight=False, markup=False, emoji=False, soft_wrap=True)
    parameters = {"q": q, "from": start or "", "to": end or "", "sort": sort}
    found = False
    try:
        for hit in _hits(url, parameters, limit):
            found = True
            if as_json:
                output.write(json_line(hit) + "\n")
            else:
                with console.capture() as printed:  # rich itself would end the process with 1 on a broken pipe
                    console.print(line(hit))
                output.write(printed.get())
        output.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough; what is buffered must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        errors.write(
            f"logsync: {url} cannot be asked: {escape(str(error))}; is `logsync query` or the worker running?\n"
        )
        return FAILED
    except _Refused as refused:
        errors.write(f"logsync: {refused}\n")
        return FAILED
    return FOUND if found else NOTHING_FOUND


class _Refused(Exception):
    """The server answered, and not with logs."""


def _hits(url: str, parameters: dict[str, str], limit: int) -> Iterator[dict[str, Any]]:
    cursor = ""
    with httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS) as client:
        while limit > 0:
            asked = {**parameters, "limit": str(min(limit, _PAGE)), "cursor": cursor}
            response = client.get("/api/logs/search", params={name: value for name, value in asked.items() if value})
            try:
                body = orjson.loads(response.content)
            except orjson.JSONDecodeError:
                body = None
            if response.status_code != 200 or not isinstance(body, dict) or "hits" not in body:
                raise _Refused(_explained(response.status_code, body, parameters["q"]))
            yield from body["hits"]
            limit -= len(body["hits"])
            cursor = body["cursor"] or ""
            if not cursor:
                return


def _explained(status: int, body: Any, q: str) -> str:
    if not isinstance(body, dict) or "detail" not in body:
        return f"the answer is not one of a query API (status {status}); is the URL right?"
    lines = [escape(str(body["detail"]))]
    column = body.get("column")
    if isinstance(column, int):
        # The escaped beginning is as wide as what is printed above it.
        lines += [f"  {escape(q)}", "  " + " " * len(escape(q[: column - 1])) + "^"]
    if body.get("hint"):
        lines.append(f"  {escape(str(body['hint']))}")
    return "\n".join(lines)


def line(hit: dict[str, Any]) -> Text:
    """Time, level, service and message of a log as one line that is safe to print."""
    level = str((hit.get("log") or {}).get("level") or "-")
    service = str((hit.get("service") or {}).get("name") or "-")
    message = hit.get("message")
    if message is None:
        message = (hit.get("error") or {}).get("message", "")
    style = _STYLES.get(level, "")
    return Text.assemble(
        (escape(str(hit.get("@timestamp", "-"))), "dim"),
        " ",
        (f"{escape(level):<8}", style),
        " ",
        (escape(service), "bold"),
        " ",
        (escape(str(message)), style if level in ("error", "critical", "fatal") else ""),
    )


def json_line(hit: dict[str, Any]) -> str:
    """The document as one line of JSON. What could steer a terminal is written as JSON's own \\u escapes."""
    text = orjson.dumps(hit).decode()
    return "".join(map(_json_escape, text)) if not _PRINTABLE_ASCII.fullmatch(text) else text


def escape(text: str) -> str:
    """The text with control, direction and line separator characters by their number: it steers no terminal."""
    return "".join(map(_escape, text)) if not _PRINTABLE_ASCII.fullmatch(text) else text


def _steers(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS


def _escape(character: str) -> str:
    if not _steers(character):
        return character
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character) or (
        f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
    )


def _json_escape(character: str) -> str:
    if not _steers(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
