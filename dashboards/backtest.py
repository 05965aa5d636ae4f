"""When an alert about a service would have fired, from its logs counted by the minute; and a threshold that fits. Pure.

The arithmetic is that of the rules in rules.py, looked at once a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dashboards.thresholds import ServiceThresholds

MINUTE_MS = 60_000
_WINDOW, _BEFORE = 5, 60  # minutes
WARM_UP = _WINDOW + _BEFORE  # minutes that must be known before the first one that is judged
_MAX_TRIED = 400  # thresholds that are tried for a suggestion


@dataclass(frozen=True)
class Minutes:
    """Events and errors of a service, minute by minute. start: epoch ms of the first; silent_before: seconds from the
    last log before it to it, None when there was none.
    """

    start: int
    events: Sequence[int]
    errors: Sequence[int]
    silent_before: float | None = None


@dataclass(frozen=True)
class Firing:
    """start: epoch ms at which it fires; minutes: how long; highest: the highest value meanwhile."""

    start: int
    minutes: int
    highest: float


@dataclass(frozen=True)
class Tested:
    """unit: of the values. values: one a minute, None where the alert says nothing. wait: minutes it must hold."""

    unit: str
    wait: int
    values: Callable[[Minutes, ServiceThresholds], list[float | None]]
    limit: Callable[[ServiceThresholds], float | None]


def _sums(numbers: Sequence[int], minutes: int) -> list[int]:
    """For each minute the sum of so many minutes up to it."""
    total, found = 0, []
    for place, number in enumerate(numbers):
        total += number - (numbers[place - minutes] if place >= minutes else 0)
        found.append(total)
    return found


def _error_rates(minutes: Minutes, limits: ServiceThresholds) -> list[float | None]:
    return [number / (_WINDOW * 60) for number in _sums(minutes.errors, _WINDOW)]


def _error_ratios(minutes: Minutes, limits: ServiceThresholds) -> list[float | None]:
    least = limits.ratio_from_events_per_second * _WINDOW * 60
    pairs = zip(_sums(minutes.errors, _WINDOW), _sums(minutes.events, _WINDOW), strict=True)
    return [errors / events if events and events > least else None for errors, events in pairs]


def _spikes(minutes: Minutes, limits: ServiceThresholds) -> list[float | None]:
    now, before = _sums(minutes.errors, _WINDOW), _sums(minutes.errors, _BEFORE)
    found: list[float | None] = []
    for place, number in enumerate(now):
        rate = number / (_WINDOW * 60)
        usual = before[place - _WINDOW] / (_BEFORE * 60) if place >= _WINDOW else 0.0
        found.append((rate / usual if usual else float("inf")) if rate > limits.spike_from_errors_per_second else None)
    return found


def _silences(minutes: Minutes, limits: ServiceThresholds) -> list[float | None]:
    found: list[float | None] = []
    last = None if minutes.silent_before is None else -minutes.silent_before / 60
    for place, number in enumerate(minutes.events):
        last = place if number else last
        seconds = None if last is None else (place - last) * 60.0
        found.append(seconds if seconds is not None and seconds < limits.forgotten_after else None)
    return found


ALERTS = {
    "ServiceErrorRateHigh": Tested("errors a second", 1, _error_rates, lambda limits: limits.errors_per_second),
    "ServiceErrorRatioHigh": Tested("of 1", 5, _error_ratios, lambda limits: limits.error_ratio),
    "ServiceErrorSpike": Tested("times the hour before", 2, _spikes, lambda limits: limits.spike_factor),
    "ServiceSilent": Tested("s", 1, _silences, lambda limits: limits.silent_after),
}


def firings(values: Sequence[float | None], limit: float, *, wait: int, start: int) -> list[Firing]:
    """When the alert fires: after its value was above the limit for `wait` minutes, until it is not."""
    found: list[Firing] = []
    above: list[float] = []
    for place, value in enumerate([*values, None]):
        if value is not None and value > limit:
            above.append(value)
            continue
        if len(above) > wait:
            begin = place - len(above) + wait
            found.append(Firing(start + begin * MINUTE_MS, len(above) - wait, max(above)))
        above = []
    return found


def suggested(values: Sequence[float | None], *, wait: int, at_most: float) -> float | None:
    """The lowest threshold from which on the alert fires at most so often; None when there are no values."""
    known = sorted({round(value, 4) for value in values if value is not None and value != float("inf")})
    if not known:
        return None
    step = max(1, len(known) // _MAX_TRIED)
    best = known[-1]
    for limit in reversed(known[::step]):
        if len(firings(values, limit, wait=wait, start=0)) > at_most:
            break
        best = limit
    return best
