"""What is shown of the retention: a plan's days as JSON, and what the page tells: the plan and the last runs.

The page's is read from `logs-state` alone, where each run leaves it: who looks at the page needs no access to the
archive, and costs the store nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from logsync_streams.events import iso_time
from retention.plan import Action, Entry, Plan

PLAN, RECEIPT = "retention-plan/", "retention-run/"
MAX_DAYS, MAX_RUNS = 300, 20
_MAX_REASONS, _MAX_REASON_LENGTH = 5, 300
_FRESH_MS = 30_000


def entry_view(entry: Entry) -> dict[str, Any]:
    """A day of a dataset, with what each service has in it."""
    return {
        **_day(entry),
        "reasons": list(entry.reasons),
        "indices": [str(facts.info.name) for facts in entry.indices],
        "services": [
            {
                "service": one.service,
                "policy": one.policy,
                "documents": one.documents,
                "size_bytes": one.size_bytes,
                "due_at": None if one.due_at is None else iso_time(one.due_at),
                "archive": one.archive._asdict() if one.archive else None,
            }
            for one in entry.services
        ],
    }


def plan_view(plan: Plan, made_at: int) -> dict[str, Any]:
    """A plan in short, for the page: what a run would do first, then what is due soonest. made_at: epoch ms."""

    def order(entry: Entry) -> tuple[bool, bool, int]:
        return entry.action is Action.KEEP, entry.due_at is None, entry.due_at or 0

    days = sorted(plan.entries, key=order)
    shown = [
        {**_day(one), "reasons": [reason[:_MAX_REASON_LENGTH] for reason in one.reasons[:_MAX_REASONS]]}
        for one in days[:MAX_DAYS]
    ]
    return {"made_at": iso_time(made_at), "days": shown, "more_days": len(days) - len(shown)}


class View:
    """What `GET /api/retention` answers. read: all of `logs-state`, asked at most twice a minute; now: epoch ms."""

    def __init__(self, read: Callable[[], Awaitable[Mapping[str, bytes]]], now: Callable[[], int]) -> None:
        self._read, self._now = read, now
        self._reading = asyncio.Lock()
        self._answer: dict[str, Any] | None = None
        self._read_at = 0

    async def __call__(self) -> dict[str, Any]:
        """plan: as of the last run, None before the first; runs: the last ones, newest first. Raises Unavailable."""
        async with self._reading:
            if self._answer is None or not 0 <= self._now() - self._read_at < _FRESH_MS:
                found = await self._read()
                plans = sorted(key for key in found if key.startswith(PLAN))
                runs = sorted((key for key in found if key.startswith(RECEIPT)), reverse=True)
                self._answer = {
                    "plan": orjson.loads(found[plans[-1]]) if plans else None,
                    "runs": [_run(orjson.loads(found[key])) for key in runs[:MAX_RUNS]],
                }
                self._read_at = self._now()
            return self._answer


def _day(entry: Entry) -> dict[str, Any]:
    return {
        "alias": entry.alias,
        "day": entry.day.isoformat(),
        "dataset": entry.dataset,
        "action": entry.action.value,
        "policy": entry.by,
        "due_at": None if entry.due_at is None else iso_time(entry.due_at),
        "documents": entry.documents,
        "size_bytes": entry.size_bytes,
    }


def _run(receipt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "begun_at": iso_time(receipt["begun_at"]),
        "ended_at": iso_time(receipt["ended_at"]),
        "archived_documents": sum(receipt["archived"].values()),
        "archived_bytes": receipt["archived_bytes"],
        "dropped_documents": sum(receipt["dropped"].values()),
        "held_days": len(receipt["held"]),
        "problems": [problem[:_MAX_REASON_LENGTH] for problem in receipt["problems"][:_MAX_REASONS]],
        "more_problems": max(0, len(receipt["problems"]) - _MAX_REASONS),
        "unfinished": receipt.get("unfinished", ""),
    }
