"""`error.type`, `.message`, `.stack_trace` out of a stack trace in the message: Java, Python, Go, Node, .NET."""

from __future__ import annotations

import re

from agents.filter_match import pattern
from logsync_streams.events import Event

_PYTHON = "Traceback (most recent call last):"
_TYPE = r"[A-Za-z_$][\w$]*(?:[.:]{1,2}[A-Za-z_$][\w$`]*)*"
# Only ever anchored: linear. What is searched for within a line is RE2.
_HEADER = re.compile(
    r'(?:Exception in thread "[^"]*" |Unhandled [Ee]xception\. |Uncaught |Caused by: )?'
    rf"({_TYPE})(?: \[[^\]]*\])?(?:: (.*))?"
)
_FAILURE = re.compile(r"(?:Exception|Error|Throwable|Failure|Fault|Interrupt)\b")
_INLINE = pattern(rf"(?:^|[\s:])({_TYPE}(?:Exception|Error))(?:: (.*))?$")
_FRAME = re.compile(r"\s+at \S")
_GO = re.compile(r"^(?:panic|fatal error): ", re.MULTILINE)
_GOROUTINE = re.compile(r"^goroutine \d+ \[", re.MULTILINE)
_MAX_TYPE = 256


def add_exception(event: Event) -> None:
    """Only where the message has several lines and the sender gave no stack trace itself; its own values win."""
    message = event.fields.get("message")
    if message is None or "\n" not in message:
        return
    error = event.fields.get("error")
    if error and error.get("stack_trace"):
        return
    found = exception_in(message)
    if found is not None:
        kind, text, trace = found
        made = {"type": kind[:_MAX_TYPE], "stack_trace": trace}
        if text:
            made["message"] = text
        event.fields["error"] = {**made, **(error or {})}


def exception_in(message: str) -> tuple[str, str, str] | None:
    """(type, message, stack trace) of the trace in a text of several lines, None when there is none."""
    if _PYTHON in message:
        return _python(message)
    if _GOROUTINE.search(message) is not None:
        return _go(message)
    return _frames(message)


def _python(message: str) -> tuple[str, str, str] | None:
    trace = message[message.index(_PYTHON) :]
    # The last exception of a chain is the one that was raised in the end.
    last = trace.rindex(_PYTHON) + len(_PYTHON)
    lines = trace[last:].split("\n")
    for number, line in enumerate(lines):
        if line and not line[0].isspace():
            header = _HEADER.fullmatch(line.rstrip())
            if header is None:
                return None
            rest = "\n".join(lines[number + 1 :]).rstrip()
            text = (header[2] or "") + ("\n" + rest if rest else "")
            return header[1], text, trace.rstrip()
    return None


def _go(message: str) -> tuple[str, str, str] | None:
    start = _GO.search(message)
    if start is None:
        return None
    kind, _, text = message[start.start() :].partition("\n")[0].partition(": ")
    return kind, text, message[start.start() :].rstrip()


def _frames(message: str) -> tuple[str, str, str] | None:
    """Java, Node and .NET: a line with the type and the message, then frames, lines that begin with `at`."""
    lines = message.split("\n")
    first = next((number for number, line in enumerate(lines) if _FRAME.match(line)), None)
    if not first:
        return None
    # The message of the exception may have lines of its own: the header is the nearest line that names a type.
    for number in range(first - 1, -1, -1):
        line = lines[number].strip()
        header = _HEADER.fullmatch(line)
        start = 0
        if header is None or not _FAILURE.search(header[1]):
            header = _INLINE.search(line)
            if header is None:
                continue
            start = header.start(1)
        text = "\n".join([header.group(2) or "", *lines[number + 1 : first]]).strip()
        trace = "\n".join([line[start:], *lines[number + 1 :]]).rstrip()
        return header.group(1), text, trace
    return None
