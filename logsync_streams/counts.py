"""What travels on `logs-counts`: how many events of a service each raw record held, counted before the filter.

One Kafka record a batch and service, keyed by service. It is in source order, so that a reader can skip what it has
seen by comparing offsets (DESIGN §4, Tables). What neighbours have in common is written once: where each raw record is
one event, there are as many offsets as events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from logsync_streams.errors import DeadLetter

NO_SERVICE = "_unknown"  # events whose sender named no service
NO_LEVEL = "_unknown"


class Run(NamedTuple):
    """Raw records, one behind the other, with an append time (epoch ms) and a receive time's epoch minute in common.

    levels: canonical level -> offset of a raw record, how many events it holds, next offset, how many, …
    """

    append_time: int
    minute: int
    levels: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class ServiceCounts:
    """The events of one service within one batch of one partition of a raw topic."""

    service: str
    topic: str
    partition: int
    runs: tuple[Run, ...]


def encode(counts: ServiceCounts) -> tuple[bytes, bytes]:
    """The key and the value of the Kafka record."""
    body = {
        "service": counts.service,
        "topic": counts.topic,
        "partition": counts.partition,
        "runs": [list(run) for run in counts.runs],
    }
    return counts.service.encode(), orjson.dumps(body)


def decode(value: bytes | None) -> ServiceCounts:
    """The record as it was encoded. Raises DeadLetter("undecodable") for what we did not write."""
    try:
        body = orjson.loads(value or b"")
        runs = tuple([Run(*run) for run in body["runs"]])
        for append_time, minute, levels in runs:
            if type(append_time) is not int or type(minute) is not int:
                raise ValueError("append time and minute must be whole numbers")
            for numbers in levels.values():
                if not numbers or len(numbers) % 2 or set(map(type, numbers)) != {int}:
                    raise ValueError("a level must have pairs of an offset and a number of events")
        return ServiceCounts(str(body["service"]), str(body["topic"]), int(body["partition"]), runs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeadLetter("undecodable", f"not a record of logs-counts: {error!r}") from error
