"""What the doors share so that no sender can take it all: connections, memory for what comes in, events a second."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict

from logsync_streams import metrics
from logsync_streams.settings import CollectorSettings

_MOST_ADDRESSES = 10_000  # whose rate is known; the one that was quiet for longest is forgotten first


class Connections:
    """Counts the open connections of all TCP doors, and refuses what is above the bounds."""

    def __init__(self, in_all: int, per_address: int) -> None:
        self._in_all, self._per_address = in_all, per_address
        self._open = 0
        self._by_address: Counter[str] = Counter()

    def enter(self, source: str, address: str) -> bool:
        """False when there are too many already; else the caller must `leave` in the end."""
        if self._open >= self._in_all:
            metrics.refused_connections.labels(source, "too_many").inc()
            return False
        if self._by_address[address] >= self._per_address:
            metrics.refused_connections.labels(source, "too_many_of_address").inc()
            return False
        self._open += 1
        self._by_address[address] += 1
        metrics.connections.labels(source).inc()
        return True

    def leave(self, source: str, address: str) -> None:
        self._open -= 1
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]
        metrics.connections.labels(source).dec()


class Budget:
    """Bytes of what is being received, of all senders together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0
        metrics.receiving_bytes.set_function(lambda: self.taken)

    def take(self, size: int) -> bool:
        """False, and nothing taken, when that would be too much. What was taken must be given back."""
        if self.taken + size > self._limit:
            return False
        self.taken += size
        return True

    def give(self, size: int) -> None:
        self.taken -= size


class Rate:
    """A bucket of events for each address, filled at a steady rate. rate 0: no limit. No clock is read."""

    def __init__(self, events_per_second: float, burst: int) -> None:
        self._rate, self._burst = events_per_second, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, address: str, events: int, now: float) -> int:
        """0 when so many events may come now (they are counted), else the seconds until they may.

        A request of more than the burst is let in when the bucket is full, and paid for afterwards.
        """
        if not self._rate:
            return 0
        left, at = self._buckets.pop(address, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._rate)
        wanted = min(events, self._burst)
        wait = 0
        if left >= wanted:
            left -= events
        else:
            wait = max(1, math.ceil((wanted - left) / self._rate))
        self._buckets[address] = (left, now)
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return wait


class Limits:
    """The three together, as the settings have them; one for the whole process."""

    def __init__(self, settings: CollectorSettings) -> None:
        self.connections = Connections(settings.max_connections, settings.max_connections_per_address)
        self.receiving = Budget(settings.max_receiving_bytes)
        self.rate = Rate(settings.rate_limit_events_per_second, settings.rate_limit_burst_events)
