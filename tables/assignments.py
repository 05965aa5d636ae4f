"""Which dataset a service's logs go to on a receive day: decided once a day, remembered, the same at redelivery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Protocol


class Assignment(Protocol):
    """routes: the filter's routes in force, JSON (agents/filter_file.py)."""

    @property
    def routes(self) -> str: ...

    def dataset(self, service: str) -> str:
        """The dataset of a service's logs that no route names."""
        ...

    def possible_datasets(self, service: str) -> set[str]:
        """All datasets that a service's logs of that day may be in."""
        ...


Decide = Callable[[date], Awaitable[Assignment]]


class Assignments:
    """The assignments of the days met so far. decide(day) looks the day's up, or fixes it now and for ever."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self._days: dict[date, Assignment] = {}

    async def of(self, days: set[date]) -> Mapping[date, Assignment]:
        """The assignments in force on these receive days."""
        for day in days - self._days.keys():
            self._days[day] = await self._decide(day)
        return self._days
