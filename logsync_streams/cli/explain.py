"""`logsync explain`: what `process` would make of given lines, without Kafka and store."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from agents.explain import STORED, Explanation, explain
from agents.filter_file import rule_set
from logsync_streams.envelope import Envelope, RawRecord, encode
from logsync_streams.errors import ConfigurationError
from logsync_streams.events import receive_day, uuid7_hex
from logsync_streams.parsing import PARSERS
from logsync_streams.settings import Settings
from logsync_streams.worker import processor
from retention.policy import assignment, datasets, read_policies

AUTO = "auto"


def run(file: str, settings: Settings, *, format: str, as_json: bool, say: Callable[[str], None]) -> int:
    """Explains each line of a file ("-": standard input). Exit code 0, or 2 when the file cannot be read.

    format: the parser's key, or "auto": as a record of another producer on the raw topic is read. Routes are those of
    the rules as they are now, although a day that has begun keeps those that it began with. Raises ConfigurationError.
    """
    if format not in (AUTO, *PARSERS):
        raise ConfigurationError([f"--format: {format!r}: one of {', '.join((AUTO, *PARSERS))} is expected"])
    policies = read_policies(settings.retention.policies_file)
    rules = rule_set(settings.process, datasets(policies))
    stages = processor(settings, rules.rules)
    now_ms = time.time_ns() // 1_000_000
    assignments = {receive_day(now_ms): assignment(policies, rules.routes)}
    try:
        with _opened(file) as lines:
            for number, line in enumerate(_lines(lines), 1):
                for one in explain([_record(line, format, number, now_ms)], stages, assignments):
                    say(_as_json(number, one) if as_json else _as_text(number, one))
    except OSError as error:
        print(f"logsync: {file!r}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def _opened(file: str) -> BinaryIO:
    if file == "-":
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")  # closing the copy leaves standard input open
    return Path(file).open("rb")


def _lines(lines: BinaryIO) -> Iterator[bytes]:
    for line in lines:
        line = line.rstrip(b"\r\n")
        if line:
            yield line


def _record(line: bytes, format: str, number: int, now_ms: int) -> RawRecord:
    if format == AUTO:
        return RawRecord("logs", 0, number, now_ms, line, [])
    value, headers = encode(Envelope(uuid7_hex(now_ms), now_ms, "explain", format, "", (line,)))
    return RawRecord("logs", 0, number, now_ms, value, headers)


def _as_json(number: int, one: Explanation) -> str:
    return orjson.dumps({"line": number, **one.as_dict()}).decode()


def _as_text(number: int, one: Explanation) -> str:
    where = f" in {one.target}" if one.outcome == STORED else ""
    parts = [f"line {number}: {one.outcome}{where}"]
    if one.reason:
        parts.append(f"  reason       {one.category}: {_plain(one.reason)}")
    if one.parser:
        parts.append(f"  parser       {one.parser}")
    if one.redacted:
        parts.append("  redacted     " + ", ".join(f"{rule} ({number})" for rule, number in one.redacted.items()))
    for rule in one.rules:
        parts.append(
            f"  rule         {rule['name']} ({rule['action']}): {'matched' if rule['matched'] else 'no match'}"
        )
    if one.route:
        parts.append(f"  route        {one.route}: dataset {one.dataset}")
    for step, fields in one.enrichments.items():
        said = ", ".join(f"{path}={_plain(value)}" for path, value in fields.items())
        parts.append(f"  enrichment   {step}: {said}")
    if one.document is not None:
        # ASCII only: a log must not be able to write to the terminal.
        parts.append(json.dumps(one.document, indent=2, ensure_ascii=True))
    return "\n".join(parts)


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    short = text if len(text) <= 120 else text[:120] + "…"
    return short if short.isprintable() else json.dumps(short)
