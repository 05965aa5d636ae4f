"""Error rates of the last hour by service: one-minute windows of the receive time, folded from `logs-counts`.

Exact whatever is sent again: a raw record is skipped when its offset and its append time are both not above the highest
seen for that service, raw topic and partition (DESIGN §4, Tables; ADR 0005). Nothing here reads a clock or a topic.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from logsync_streams.counts import Run, ServiceCounts
from logsync_streams.events import ERROR_LEVELS
from logsync_streams.metrics import OTHER

MINUTES = 60  # how far back the windows reach
MAX_PLACES = 50_000  # remembered offsets of one service; only `_other` could ever have so many
SPANS = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}


@dataclass(frozen=True, slots=True)
class Rate:
    """Events and errors of the last `minutes` whole and begun minutes; ratio of errors to all, 0 when none came."""

    minutes: int
    events: int
    errors: int

    @property
    def ratio(self) -> float:
        return self.errors / self.events if self.events else 0.0

    @property
    def errors_per_second(self) -> float:
        return self.errors / (self.minutes * 60)


@dataclass(slots=True)
class _Service:
    minutes: dict[int, dict[str, int]] = field(default_factory=dict)  # epoch minute -> level -> events
    seen: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)  # source -> (offset, append time)


class ErrorRates:
    """The fold. max_services: further services are counted together as `_other`."""

    def __init__(self, max_services: int) -> None:
        self._max_services = max_services
        self._services: dict[str, _Service] = {}
        self.skipped = 0  # runs that were counted before

    def apply(self, counts: ServiceCounts, now_minute: int) -> None:
        """Add one record of `logs-counts`, unless it was added before. now_minute: the clock's epoch minute."""
        service = self._service(counts.service)
        # `_other` is several services: each keeps its own place.
        topic = counts.topic if counts.service in self._services else f"{counts.service}\0{counts.topic}"
        source = (topic, counts.partition)
        for run in counts.runs:
            seen = service.seen.get(source)
            # A run's records have one append time, so that either all are new or those past an offset.
            counted_to = seen[0] if seen is not None and run.append_time <= seen[1] else -1
            last = max([numbers[-2] for numbers in run.levels.values()], default=-1)
            if last <= counted_to:
                self.skipped += 1
                continue
            # The highest time, not the last: a broker's clock may be set back between two records.
            service.seen[source] = (last, max(run.append_time, seen[1] if seen is not None else 0))
            if len(service.seen) > MAX_PLACES:
                del service.seen[next(iter(service.seen))]
            if run.minute > now_minute - MINUTES:
                self._add(service, run, counted_to)
        self._forget(service, now_minute)

    def _service(self, name: str) -> _Service:
        service = self._services.get(name)
        if service is None:
            key = name if len(self._services) < self._max_services else OTHER
            service = self._services.setdefault(key, _Service())
        return service

    @staticmethod
    def _add(service: _Service, run: Run, counted_to: int) -> None:
        levels = service.minutes.setdefault(run.minute, {})
        for level, numbers in run.levels.items():
            if numbers[0] > counted_to:
                number = sum(numbers[1::2])
            else:
                pairs = zip(numbers[::2], numbers[1::2], strict=True)
                number = sum(events for offset, events in pairs if offset > counted_to)
            if number:
                levels[level] = levels.get(level, 0) + number

    @staticmethod
    def _forget(service: _Service, now_minute: int) -> None:
        for minute in [minute for minute in service.minutes if minute <= now_minute - MINUTES]:
            del service.minutes[minute]

    def services(self) -> list[str]:
        """The names of the services counted so far."""
        return sorted(self._services)

    def rates(self, service: str, now_minute: int) -> dict[str, Rate]:
        """By span ("1m", "5m", "15m", "1h"): the rate up to and including the current minute. KeyError if unknown."""
        minutes = self._services[service].minutes
        return {name: _rate(minutes, now_minute, span) for name, span in SPANS.items()}

    def levels(self, service: str, now_minute: int) -> dict[str, int]:
        """Events of the last hour by level. KeyError if unknown."""
        totals: dict[str, int] = {}
        for minute, levels in self._services[service].minutes.items():
            if now_minute - MINUTES < minute <= now_minute:
                for level, number in levels.items():
                    totals[level] = totals.get(level, 0) + number
        return totals

    def view(self, now_ms: int) -> dict[str, object]:
        """What `/rates` and `GET /api/error-rates` answer, the services with most errors in five minutes first."""
        now_minute = now_ms // 60_000
        rows = []
        for service in self._services:
            rates = self.rates(service, now_minute)
            rows.append(
                {
                    "service": service,
                    "windows": {
                        name: {
                            "events": rate.events,
                            "errors": rate.errors,
                            "error_ratio": round(rate.ratio, 6),
                            "errors_per_second": round(rate.errors_per_second, 6),
                        }
                        for name, rate in rates.items()
                    },
                    "levels": self.levels(service, now_minute),
                    "_order": (-rates["5m"].errors, -rates["1h"].events, service),
                }
            )
        rows.sort(key=lambda row: row.pop("_order"))  # type: ignore[arg-type, return-value]  # tuples of like types
        return {"as_of_ms": now_ms, "services": rows}


def _rate(minutes: dict[int, dict[str, int]], now_minute: int, span: int) -> Rate:
    events = errors = 0
    for minute in range(now_minute - span + 1, now_minute + 1):
        for level, number in minutes.get(minute, {}).items():
            events += number
            if level in ERROR_LEVELS:
                errors += number
    return Rate(span, events, errors)
