"""Our own log lines: one set-up for structlog and for the libraries that use `logging`, as text or as JSON.

Lines go to stderr, so that what a command prints for its caller stays apart from what it says about itself. As JSON
they are logs as our own doors take them: timestamp, level, service, message.
"""

from __future__ import annotations

import logging
import logging.config
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

SERVICE = "logsync"  # whose logs ours are

# Chatty at INFO, and nothing in it that an operator acts on: every request, every heartbeat.
_QUIET_LIBRARIES = (
    "faust",
    "mode",
    "aiokafka",
    "elastic_transport",
    "httpx",
    "httpcore",
    "urllib3",
    "botocore",
    "uvicorn.access",
)


def configure(log_format: str, log_level: str) -> None:
    """Set up logging of this process. log_format: "console" or "json"; log_level: "debug", "info", … (settings)."""
    logging.config.dictConfig(logging_config(log_format, log_level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_config(log_format: str, log_level: str) -> dict[str, Any]:
    """The same set-up as a `logging.config.dictConfig` dictionary: Faust wants it so (`logging_config`)."""
    level = log_level.upper()
    quiet = "INFO" if level == "DEBUG" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "ours": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _shared_processors(),
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_renderers(log_format),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours", "stream": "ext://sys.stderr"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {name: {"level": quiet} for name in _QUIET_LIBRARIES},
    }


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _as_a_log(logger: WrappedLogger, name: str, line: EventDict) -> EventDict:
    """structlog's names for a line's parts -> those of a log (parsing/json.py)."""
    line["message"] = line.pop("event", "")
    line["service"] = SERVICE
    if "exception" in line:
        line["stack_trace"] = line.pop("exception")
    return line


def _renderers(log_format: str) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, _as_a_log, structlog.processors.JSONRenderer()]
    # Plain tracebacks: the decorated ones print local variables, and those hold users' logs and secrets.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
