"""Logs of which it is known when alerts would have fired: what `logsync alerts backtest` is tried on."""

from __future__ import annotations

from logsync_streams.events import SEVERITIES
from logsync_streams.storage.api import Document
from tests.contract.documents import NOON, make_document

_MINUTE_MS = 60_000


def logs() -> list[tuple[str, str, int]]:
    """Service, level and time: 4,000 errors of auth-service from 12:10 to 12:15, a log of shop each minute until 12:59,
    an error of steady every 1.5 seconds from 10:30 on, and a night job that was last heard of at 9:00.
    """
    found = [("auth-service", "error", NOON + 600_000 + n * 75) for n in range(4000)]
    found += [("shop", "info", NOON + minute * _MINUTE_MS) for minute in range(60)]
    found += [("steady", "error", NOON - 5_400_000 + n * 1500) for n in range(6000)]
    return [*found, ("night-job", "info", NOON - 3 * 3_600_000)]


def documents() -> list[Document]:
    return [
        make_document(
            {"service": {"name": service}, "log": {"level": level}, "event": {"severity": SEVERITIES[level]}},
            id=f"{number:032x}-00000",
            timestamp=at,
        )
        for number, (service, level, at) in enumerate(logs())
    ]
