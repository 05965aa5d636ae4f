"""Which receive time an event may have: no sender's clock makes an index for a day that is not (DESIGN §4, Target)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from logsync_streams.events import receive_day

DAY_MS = 86_400_000

# (received_at, append_time) -> the receive time to use, all epoch ms.
ReceiveTime = Callable[[int, int], int]


def by_append_time(received_at: int, append_time: int) -> int:
    """The door's time, unless it is more than a day from the broker's: then the broker's, which no sender sets.

    Needs nothing but the record, so that redelivery gives the same.
    """
    return received_at if abs(received_at - append_time) <= DAY_MS else append_time


def clamped(received_at: int, now_ms: int, retention_days: int) -> int:
    """For a broker that keeps the producer's timestamps: the nearest time inside the write horizon."""
    return max(now_ms - retention_days * DAY_MS, min(received_at, now_ms + DAY_MS))


def write_horizon(now_ms: int, retention_days: int) -> tuple[date, date]:
    """First and last receive day for which an index may be made: what the raw topics can still hold, to tomorrow."""
    today = receive_day(now_ms)
    return today - timedelta(days=retention_days), today + timedelta(days=1)
