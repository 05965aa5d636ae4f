"""What an index is made of: documents by service, level and environment, which is what a retention policy looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from logsync_streams.storage import values
from logsync_streams.storage.api import Portion

FIELDS = ("service.name", "log.level", "service.environment")


def portion_of(document: dict[str, Any]) -> tuple[str, str, str]:
    """Service, level and environment of a document; "" for none, or for one too long to be indexed."""
    service, log = document.get("service"), document.get("log")
    service = service if isinstance(service, dict) else {}
    level = log.get("level") if isinstance(log, dict) else None
    return _text(service.get("name")), _text(level), _text(service.get("environment"))


def counted_portions(documents: Iterable[dict[str, Any]]) -> list[Portion]:
    """The portions of these documents, in order."""
    return ordered(Counter(portion_of(document) for document in documents))


def ordered(counts: dict[tuple[str, str, str], int]) -> list[Portion]:
    """The portions of these counts, in order."""
    return [Portion(*key, documents=count) for key, count in sorted(counts.items()) if count]


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, list | dict) else values.keyword(value) or ""
