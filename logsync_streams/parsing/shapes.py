"""The names that common loggers give to our fields: Bunyan, pino, zap, logrus, Serilog, Logstash, GELF, Google Cloud.

A new shape is a line in ALIASES, where its names do not mean something else elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from logsync_streams.events import Fields

# Name -> field. Where two are there, the upper one wins and the other becomes a label.
ALIASES: dict[str, str] = {
    "time": "@timestamp",
    "ts": "@timestamp",
    "@t": "@timestamp",  # Serilog, compact
    "Timestamp": "@timestamp",  # Serilog
    "asctime": "@timestamp",  # Python's formatters
    "msg": "message",
    "log": "message",  # container runtimes; an object of this name is ECS
    "@m": "message",
    "RenderedMessage": "message",
    "short_message": "message",  # GELF
    "@mt": "message",
    "MessageTemplate": "message",
    "severity": "log.level",
    "lvl": "log.level",
    "@l": "log.level",
    "Level": "log.level",
    "levelname": "log.level",
    "logger": "log.logger",
    "logger_name": "log.logger",
    "loggerName": "log.logger",
    "hostname": "host.name",
    "err.type": "error.type",
    "err.name": "error.type",
    "err.message": "error.message",
    "error": "error.message",  # zap, logrus; an object of this name is ECS
    "err.stack": "error.stack_trace",
    "stack_trace": "error.stack_trace",
    "stacktrace": "error.stack_trace",
    "stack": "error.stack_trace",
    "exc_info": "error.stack_trace",
    "@x": "error.stack_trace",
    "Exception": "error.stack_trace",
}
BUNYAN_NAME, BUNYAN_FIELD = "name", "service.name"

_ORDER = {name: position for position, name in enumerate(ALIASES)}
_BUNYAN_LEVELS = {10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}


def is_bunyan(document: dict[str, Any]) -> bool:
    """True for Bunyan's and pino's logs: a process, its host, and a version or a time in milliseconds."""
    return "hostname" in document and "pid" in document and ("v" in document or type(document.get("time")) is int)


def bunyan_level(number: int) -> int | str:
    """Bunyan's and pino's numbers are ten above Python's; one between belongs to the step below."""
    return _BUNYAN_LEVELS.get(min(number // 10 * 10, 60), number)


def in_order(found: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Names and values, the one that wins first."""
    return sorted(found, key=lambda item: _ORDER.get(item[0], len(_ORDER)))


def fill_in(fields: Fields, document: dict[str, Any]) -> None:
    """What a shape means by leaving it out: Serilog's compact form writes no level when it is Information."""
    if ("@mt" in document or "@m" in document) and "@t" in document and "@l" not in document:
        fields.setdefault("log", {}).setdefault("level", "info")
