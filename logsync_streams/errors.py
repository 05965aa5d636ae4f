"""Exceptions, each named by the reaction it asks of its caller.

Nothing here is caught broadly: a caller that meets one of these knows from its name what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence

# The bounded set of reasons for which an event may go to the dead-letter topic (DESIGN §4).
DEAD_LETTER_CATEGORIES = (
    "undecodable",  # the record or the event in it cannot be read at all
    "too_many_events",  # a request or record of more events than an id's index can number
    "stage_failed",  # one of our stages raised on this event; the others of its batch went on
    "mapping",  # the store refuses the document itself
    "too_large",  # the document alone is over the store's limit
    "expired",  # its receive day was archived and dropped: it must not bring an index back
)


class LogSyncError(Exception):
    """The root of every error that this project raises on purpose."""


class ConfigurationError(LogSyncError):
    """Stop before starting: settings or files are wrong. All problems are reported together."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class RejectInput(LogSyncError):
    """Answer the sender with a 4xx: its input is wrong and nothing of it was accepted.

    `status` is the HTTP status, `title` the problem's short name (RFC 9457), `detail` says where and what was
    expected; `extra` are members added to the problem document (`line`, `byte`, `limit_bytes`, …).
    """

    def __init__(self, status: int, title: str, detail: str, **extra: object) -> None:
        self.status, self.title, self.detail, self.extra = status, title, detail, extra
        super().__init__(f"{title}: {detail}")


class InvalidQuery(LogSyncError):
    """Answer the searcher with a 400: the query cannot be understood or names a field that cannot be searched.

    `column` is the 1-based column in the query text at which it went wrong, None when the query has no text.
    """

    def __init__(self, detail: str, *, column: int | None = None, hint: str | None = None) -> None:
        self.detail, self.column, self.hint = detail, column, hint
        super().__init__(detail if hint is None else f"{detail} ({hint})")


class DeadLetter(LogSyncError):
    """Put this one event in the dead-letter topic and go on: the event itself is at fault."""

    def __init__(self, category: str, reason: str) -> None:
        if category not in DEAD_LETTER_CATEGORIES:
            raise ValueError(f"unknown dead-letter category {category!r}: one of {DEAD_LETTER_CATEGORIES}")
        self.category, self.reason = category, reason
        super().__init__(f"{category}: {reason}")


class Stalled(LogSyncError):
    """End the process: a group has something to do and makes no progress; a restart begins at the last commit."""


class Unavailable(LogSyncError):
    """Answer 503 with Retry-After, or wait: a server that we need is away, or a bounded queue is full."""

    def __init__(self, detail: str, *, retry_after_seconds: int = 1) -> None:
        self.detail, self.retry_after_seconds = detail, retry_after_seconds
        super().__init__(detail)
