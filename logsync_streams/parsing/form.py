"""A web form -> the fields of an event: what Python's `logging.handlers.HTTPHandler` sends.

Its keys are read as those of a JSON object. The handler writes a record's `msg` without its arguments put in.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from logsync_streams.events import Fields
from logsync_streams.parsing.json import from_document
from logsync_streams.parsing.text import decode_text

_MAX_KEYS = 1000
# What a Python log record holds beside what we have a place for, and nobody searches.
_NOTHING = {"None", "", "()"}


def parse(data: bytes, received_at: int) -> Fields:
    """The fields of one form; raises nothing. What is no form is a message that is marked `unparsed`."""
    text = decode_text(data)
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_KEYS) if "=" in text else []
    except ValueError:
        pairs = []
    if not pairs:
        return {"message": text, "tags": ["unparsed"]}
    document: dict[str, Any] = {}
    for key, value in pairs:
        document.setdefault(key, value)
    if "levelname" in document and "levelno" in document:
        _python(document)
    return from_document(document)


def _python(record: dict[str, Any]) -> None:
    """Python's names that mean something else elsewhere."""
    for key in [key for key, value in record.items() if value in _NOTHING]:
        del record[key]
    if "name" in record:
        record.setdefault("logger", record.pop("name"))
    if "created" in record:
        record.setdefault("time", record.pop("created"))
    if "exc_text" in record:
        record.setdefault("exc_info", record.pop("exc_text"))
