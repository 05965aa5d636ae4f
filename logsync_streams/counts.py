"""What travels on `logs-counts`: how many events of a service each raw record held, counted before the filter.

One Kafka record a batch and service, keyed by service. Its entries are in source order, so that a reader can skip
what it has seen by comparing offsets (DESIGN §4, Tables).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from logsync_streams.errors import DeadLetter

NO_SERVICE = "_unknown"  # events whose sender named no service
NO_LEVEL = "_unknown"


class Entry(NamedTuple):
    """One raw record's events of one service. append_time: epoch ms of the raw record; minute: the receive time's
    epoch minute; levels: canonical level -> how many.
    """

    offset: int
    append_time: int
    minute: int
    levels: dict[str, int]


@dataclass(frozen=True, slots=True)
class ServiceCounts:
    """The entries of one service within one batch of one partition of a raw topic."""

    service: str
    topic: str
    partition: int
    entries: tuple[Entry, ...]


def encode(counts: ServiceCounts) -> tuple[bytes, bytes]:
    """The key and the value of the Kafka record."""
    body = {
        "service": counts.service,
        "topic": counts.topic,
        "partition": counts.partition,
        "entries": [list(entry) for entry in counts.entries],
    }
    return counts.service.encode(), orjson.dumps(body)


def decode(value: bytes | None) -> ServiceCounts:
    """The record as it was encoded. Raises DeadLetter("undecodable") for what we did not write."""
    try:
        body = orjson.loads(value or b"")
        # With one event a record there are as many entries as events: checked, not converted.
        entries = tuple([Entry(*entry) for entry in body["entries"]])
        for offset, append_time, minute, levels in entries:
            if type(offset) is not int or type(append_time) is not int or type(minute) is not int:
                raise ValueError("offset, append time and minute must be whole numbers")
            for number in levels.values():
                if type(number) is not int:
                    raise ValueError(f"{number!r} is no number of events")
        return ServiceCounts(str(body["service"]), str(body["topic"]), int(body["partition"]), entries)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeadLetter("undecodable", f"not a record of logs-counts: {error!r}") from error
