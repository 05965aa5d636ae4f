"""What became of a request's body: the events that were taken, and those that were refused with their places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from logsync_streams.errors import RejectInput


@dataclass(slots=True)
class Refused:
    """One event that was not taken.

    line: 1-based line, or element of an array, or object of several one after the other; byte: 1-based in it, 0 = all.
    """

    line: int
    byte: int
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"line": self.line, **({"byte": self.byte} if self.byte else {}), "reason": self.reason}


MOST_SHOWN = 100  # refused events that an answer names; the others are only counted


@dataclass(slots=True)
class Framed:
    """format: the parser's key. events: what was taken, in order. refused: the first of what was not, in order;
    refused_count: of all.
    """

    format: str
    events: list[bytes] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    refused_count: int = 0

    @property
    def count(self) -> int:
        """All events that were found, taken or not."""
        return len(self.events) + self.refused_count

    def refuse(self, line: int, byte: int, reason: str) -> None:
        self.refused_count += 1
        if len(self.refused) < MOST_SHOWN:
            self.refused.append(Refused(line, byte, reason))


def too_many(limit: int) -> RejectInput:
    """The refusal of a request with more events than the limit."""
    return RejectInput(
        413, "Too many events", f"a request has at most {limit} events: send several", limit_events=limit
    )


def all_refused(framed: Framed, max_event_bytes: int) -> RejectInput:
    """The refusal of a request of which nothing was taken."""
    first = framed.refused[0]
    if framed.refused_count == 1 and first.reason.startswith(_TOO_LONG):
        return RejectInput(413, "Event too large", first.reason, limit_bytes=max_event_bytes)
    if framed.refused_count == 1 and first.byte:
        return malformed(first.line, first.byte, first.reason)
    return RejectInput(
        400,
        "No event was taken",
        f"each of {framed.refused_count} was refused; the first, line {first.line}: {first.reason}",
        refused=shown(framed.refused),
        line=first.line,
        byte=first.byte or 1,
    )


def shown(refused: list[Refused]) -> list[dict[str, Any]]:
    """The first of the refused events for an answer, which stays short whatever was sent."""
    return [item.as_json() for item in refused]


def malformed(line: int, byte: int, reason: str) -> RejectInput:
    """The refusal of a body that is no JSON from that place on."""
    return RejectInput(400, "Malformed JSON", f"line {line}, byte {byte}: {reason}", line=line, byte=byte)


_TOO_LONG = "an event has at most"


def too_long(size: int, limit: int) -> str:
    """The reason for which an event of this size is refused."""
    return f"{_TOO_LONG} {limit} bytes, this one has {size}"
