"""Logs on a terminal: a line each, coloured by level, and nothing in them that could steer the terminal."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from typing import Any, TextIO

import orjson
from rich.console import Console
from rich.text import Text

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
_INDENT = "\n    "
_JOINERS = "\u200c\u200d"  # they shape letters and emoji and do nothing else


class Printer:
    """Prints logs on `output`. Colours only on a terminal, and not with NO_COLOR."""

    def __init__(self, output: TextIO, *, as_json: bool) -> None:
        self._output, self._as_json = output, as_json
        self._console = Console(file=output, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def log(self, hit: dict[str, Any], *, marked: bool = False) -> None:
        """One log: the stored document as JSON, or time, level, service and message. marked: the one that is meant.

        On a terminal a message has its lines, elsewhere each log is one line.
        """
        if self._as_json:
            self._output.write(json_line(hit) + "\n")
            return
        text = line(hit, lines=self._console.is_terminal)
        if marked:
            text = Text.assemble(("> ", "bold"), text)
        with self._console.capture() as printed:  # rich itself would end the process with 1 on a broken pipe
            self._console.print(text)
        self._output.write(printed.get())

    def flush(self) -> None:
        self._output.flush()


def stop_printing() -> None:
    """The reader (head, less) has seen enough; what is buffered must not fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def line(hit: dict[str, Any], *, lines: bool = False) -> Text:
    """Time, level, service and message of a log as one line that is safe to print.

    lines: the further lines of a message, a stack trace for one, stand below it. They are indented, so that none of
    them can be taken for a log of its own.
    """
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
        (_message(str(message), lines), style if level in ("error", "critical", "fatal") else ""),
    )


def _message(text: str, lines: bool) -> str:
    if not lines:
        return escape(text)
    shown = text.rstrip("\n").replace("\r\n", "\n").expandtabs(4)
    return _INDENT.join(map(escape, shown.split("\n")))


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
