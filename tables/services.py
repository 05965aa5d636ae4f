"""The inventory of services: when each was first and last heard of, so that a silent one is a row and not a gap.

The updates are idempotent (minimum, maximum): redelivery and frozen workers do no harm (DESIGN §4, Tables).
"""

from __future__ import annotations

from typing import TypedDict

from logsync_streams.counts import ServiceCounts

# A table's change is a record in Kafka: it is written when it says something new, not at every batch.
WRITE_EVERY_MINUTES = 1


class Seen(TypedDict):
    """One row. Epoch minutes of the receive time."""

    first_minute: int
    last_minute: int


def update(row: Seen | None, counts: ServiceCounts) -> Seen | None:
    """The row after one record of `logs-counts`, None when it stays as it is."""
    if not counts.runs:
        return None
    first = min(run.minute for run in counts.runs)
    last = max(run.minute for run in counts.runs)
    if row is None:
        return Seen(first_minute=first, last_minute=last)
    if first >= row["first_minute"] and last < row["last_minute"] + WRITE_EVERY_MINUTES:
        return None
    return Seen(first_minute=min(first, row["first_minute"]), last_minute=max(last, row["last_minute"]))
