"""Which dead letters are open, grouped by what went wrong: a fold over the records of `logs-dlq`, in any order."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from logsync_streams import dead_letter
from logsync_streams.envelope import Headers

MAX_REASON_LENGTH = 160
_MAX_READ_LENGTH = 1000  # of an error's text, before it is shortened

# What differs from one failure to the next and not from one reason to the next; the first that fits a place counts.
_VARYING = (
    (re.compile(r"(?:'|\")(?:[^'\"\\\n]|\\.){0,300}(?:'|\")"), "'…'"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b[0-9a-fA-F]{16,}(?:-\d+)?\b"), "<id>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|(?<![\w.])[-+]?\d+(?:[.,:]\d+)*(?!\w)"), "#"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a letter is in `logs-dlq`, and its key there."""

    partition: int
    offset: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """An open dead letter without its bytes. first, last: epoch ms of its failures, the redelivered ones included.

    size: of its bytes. superseded: letters of earlier attempts that were left open, to be handled with it. target: the
    write alias, "" when it failed before it had one; received_at: epoch ms.
    """

    place: Place
    event_id: str
    stage: str
    category: str
    reason: str
    attempts: int
    first: int
    last: int
    size: int
    superseded: tuple[Place, ...] = ()
    target: str = ""
    received_at: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Open letters of one category, stage and reason. example: the id of the latest."""

    category: str
    stage: str
    reason: str
    letters: int
    first: int
    last: int
    most_attempts: int
    example: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: all that have every named thing. since: epoch ms of the latest failure, inclusive."""

    ids: frozenset[str] = frozenset()
    category: str = ""
    stage: str = ""
    since: int | None = None

    def takes(self, letter: Letter) -> bool:
        return (
            (not self.ids or letter.event_id in self.ids)
            and self.category in ("", letter.category)
            and self.stage in ("", letter.stage)
            and (self.since is None or letter.last >= self.since)
        )


@dataclass(slots=True)
class Ledger:
    """All that `logs-dlq` says. dropped: (stage, category) -> letters dropped for ever. unreadable: records that are
    neither a letter nor a mark. About half a kilobyte of memory a letter.
    """

    unreadable: int = 0
    _letters: dict[bytes, Letter] = field(default_factory=dict)
    _handled: dict[bytes, str] = field(default_factory=dict)
    _dropped: dict[bytes, tuple[str, str]] = field(default_factory=dict)

    def add(self, place: Place, at: int, value: bytes | None, headers: Headers) -> None:
        """Take in one record of the topic; at: its timestamp, epoch ms."""
        how = dead_letter.handled(value, headers)
        if how:
            self._handled[place.key] = how
            if how == dead_letter.DROPPED:
                named = dict(headers)
                self._dropped[place.key] = (_text(named, "logsync-stage"), _text(named, "logsync-category"))
            return
        try:
            record = dead_letter.decode(place.key, value, headers)
        except ValueError:
            self.unreadable += 1
            return
        known = self._letters.get(place.key)
        self._letters[place.key] = Letter(
            place=place,
            event_id=record.event_id,
            stage=sys.intern(record.stage),
            category=sys.intern(record.category),
            reason=sys.intern(reason(record.error)),
            attempts=record.attempts,
            first=min(at, known.first) if known else at,
            last=max(at, known.last) if known else at,
            size=len(record.value),
            target=sys.intern(record.target),
            received_at=record.received_at,
        )

    def open(self) -> list[Letter]:
        """The letters that nobody has handled, one an event and stage (the latest attempt), the oldest first."""
        last_attempts: dict[bytes, int] = {}
        for key in (*self._letters, *self._handled):
            failure, attempts = _failure(key)
            last_attempts[failure] = max(attempts, last_attempts.get(failure, 0))
        latest: dict[bytes, Letter] = {}
        older: dict[bytes, list[Place]] = {}
        for key, letter in self._letters.items():
            if key not in self._handled:
                failure, attempts = _failure(key)
                if attempts == last_attempts[failure]:
                    latest[failure] = letter
                else:
                    older.setdefault(failure, []).append(letter.place)
        found = [_with(letter, older.get(failure, ())) for failure, letter in latest.items()]
        return sorted(found, key=lambda letter: (letter.first, letter.place.partition, letter.place.offset))

    def dropped(self) -> Counter[tuple[str, str]]:
        """(stage, category) -> letters that were dropped for ever."""
        return Counter(self._dropped.values())


def groups(letters: Iterable[Letter]) -> list[Group]:
    """The letters by category, stage and reason, the largest group first."""
    found: dict[tuple[str, str, str], list[Letter]] = {}
    for letter in letters:
        found.setdefault((letter.category, letter.stage, letter.reason), []).append(letter)
    made = [
        Group(
            *kind,
            letters=len(members),
            first=min(letter.first for letter in members),
            last=max(letter.last for letter in members),
            most_attempts=max(letter.attempts for letter in members),
            example=max(members, key=lambda letter: letter.last).event_id,
        )
        for kind, members in found.items()
    ]
    return sorted(made, key=lambda group: (-group.letters, group.category, group.stage, group.reason))


def reason(error: str) -> str:
    """An error's text without what varies from one event to the next: quoted values, ids and numbers."""
    text = " ".join(error[:_MAX_READ_LENGTH].split())
    for pattern, shown in _VARYING:
        text = pattern.sub(shown, text)
    return text if len(text) <= MAX_REASON_LENGTH else text[: MAX_REASON_LENGTH - 1] + "…"


def _failure(key: bytes) -> tuple[bytes, int]:
    """What a letter's key says: the event and stage, and the attempts."""
    failure, _, attempts = key.rpartition(b"/")
    return failure, int(attempts) if attempts.isdigit() else 0


def _with(letter: Letter, superseded: Iterable[Place]) -> Letter:
    places = tuple(superseded)
    if not places:
        return letter
    return replace(letter, superseded=places)


def _text(named: dict[str, bytes], name: str) -> str:
    return named.get(name, b"").decode(errors="replace")
