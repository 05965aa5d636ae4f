"""The oracle: it numbers the events, knows which were acknowledged, and counts what became of each, outside of the
processes under test: straight from Elasticsearch and from the dead-letter topic.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

import aiokafka
import httpx

from tests.pipeline.kafka_truth import dead_letters
from tests.servers.wiping import request

SERVICES = ("auth-service", "payment-service", "search", "shop", "mail")


@dataclass(frozen=True)
class Verdict:
    """What became of the acknowledged events. twice: stored more than once. spurious: stored and never sent."""

    acknowledged: int
    filtered: int
    stored: int
    dead: int
    missing: int
    twice: int
    spurious: int

    def __str__(self) -> str:
        return (
            f"acked {self.acknowledged} indexed {self.stored} filtered {self.filtered} dlq {self.dead} "
            f"dup_in_index {self.twice} missing {self.missing} spurious {self.spurious}"
        )

    @property
    def identity_holds(self) -> bool:
        """accepted = stored + dead-lettered + filtered, over distinct events, nothing in flight (DESIGN §5)."""
        return self.acknowledged == self.stored + self.dead + self.filtered


@dataclass
class Oracle:
    """Numbers and remembers. An event that is to be filtered is DEBUG in production."""

    seed: int
    sent: int = 0
    acknowledged: set[int] = field(default_factory=set)
    to_be_filtered: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._lock = threading.Lock()  # there may be several loads
        self.kinds: dict[int, tuple[str, str]] = {}  # number -> service, level in lower case

    def events(self, count: int) -> tuple[list[int], list[dict[str, object]]]:
        """New events with their numbers."""
        with self._lock:
            numbers = list(range(self.sent, self.sent + count))
            self.sent += count
            return numbers, [self._event(number) for number in numbers]

    def _event(self, number: int) -> dict[str, object]:
        noise = self._random.random() < 0.1
        if noise:
            self.to_be_filtered.add(number)
        event: dict[str, object] = {
            "message": f"oracle {number} " + "x" * self._random.randrange(40, 200),
            "level": "DEBUG" if noise else self._random.choice(["INFO", "INFO", "WARN", "ERROR"]),
            "environment": "production",
            "service": self._random.choice(SERVICES),
            "metadata": {"number": number},
        }
        self.kinds[number] = (str(event["service"]), str(event["level"]).lower())
        return event

    def truth(self) -> dict[str, Counter[str]]:
        """What `/rates` must say of the acknowledged events: events and errors by service, before the filter."""
        found: dict[str, Counter[str]] = {}
        for service, level in map(self.kinds.__getitem__, self.acknowledged):
            totals = found.setdefault(service, Counter())
            totals["events"] += 1
            totals["errors"] += level == "error"
        return found

    def verdict(self, elasticsearch_url: str, bootstrap: str) -> Verdict:
        """What became of the events, by what this Elasticsearch has."""
        return self.verdict_of(stored_numbers(elasticsearch_url), bootstrap)

    def verdict_of(self, numbers: Iterable[int], bootstrap: str) -> Verdict:
        """What became of the events, by the numbers of those in a store, each as often as it is there."""
        stored = Counter(numbers)
        dead = {number for number in map(_number_of, dead_letters(bootstrap)) if number is not None}
        expected = self.acknowledged - self.to_be_filtered
        return Verdict(
            acknowledged=len(self.acknowledged),
            filtered=len(self.acknowledged & self.to_be_filtered),
            stored=len(self.acknowledged & stored.keys()),
            dead=len(self.acknowledged & dead - stored.keys()),
            missing=len(expected - stored.keys() - dead),
            twice=sum(1 for times in stored.values() if times > 1),
            spurious=sum(1 for number in stored if not 0 <= number < self.sent or number in self.to_be_filtered),
        )

    def settled(self, elasticsearch_url: str, bootstrap: str, within_seconds: float) -> Verdict:
        """The verdict once nothing is missing any more, or when the time is up: then with what is missing."""
        return self.settled_by(lambda: stored_numbers(elasticsearch_url), bootstrap, within_seconds)

    def settled_by(self, numbers: Callable[[], Iterable[int]], bootstrap: str, within_seconds: float) -> Verdict:
        """The same for any store: numbers gives what it has now."""
        deadline = time.monotonic() + within_seconds
        while True:
            late = time.monotonic() > deadline
            try:
                verdict = self.verdict_of(numbers(), bootstrap)
            except Away:
                if late:
                    raise
            else:
                if verdict.missing == 0 or late:
                    return verdict
            time.sleep(1)


class Away(AssertionError):
    """Elasticsearch cannot say now: it has just come back, and a shard has not."""


def stored_numbers(elasticsearch_url: str) -> Iterable[int]:
    """The number of every stored event, as often as it is stored, in whatever index of ours. Raises Away."""
    request("POST", f"{elasticsearch_url}/logsync-*/_refresh")
    body = {"size": 5000, "_source": ["labels.number"], "query": {"match_all": {}}, "sort": ["_doc"]}
    whole = "scroll=1m&allow_partial_search_results=false"  # a shard that is left out could hold the second of two
    status, page = request("POST", f"{elasticsearch_url}/logsync-*/_search?{whole}", body)
    if status == 404:
        return  # no index of ours yet
    while status == 200:
        hits = page["hits"]["hits"]
        if not hits:
            return
        for hit in hits:
            number = hit["_source"].get("labels", {}).get("number")
            if number is not None:
                yield int(number)
        scroll = {"scroll": "1m", "scroll_id": page["_scroll_id"]}
        status, page = request("POST", f"{elasticsearch_url}/_search/scroll", scroll)
    if status in (429, 503):
        raise Away(f"Elasticsearch answered {status}: {page}")
    raise AssertionError(f"Elasticsearch answered {status}: {page}")


def _number_of(letter: tuple[str, bytes, dict[str, str]]) -> int | None:
    _, value, _ = letter
    try:
        content = json.loads(value)
    except ValueError:
        return None
    number = content.get("metadata", content.get("labels", {})).get("number")
    return int(number) if number is not None else None


class Load:
    """Posts NDJSON batches to the collector at a steady pace from a thread; only what got a 2xx is acknowledged."""

    def __init__(self, oracle: Oracle, url: str, *, events_per_second: int, batch: int = 100) -> None:
        self._oracle, self._url = oracle, url
        self._pause, self._batch = batch / events_per_second, batch
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self.refused: Counter[int] = Counter()  # by status; 0: no answer
        self.without_retry_after = 0  # refusals with 503 that do not say when to come again
        self.slowest_refusal_seconds = 0.0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            due = time.monotonic()
            while not self._stopped.is_set():
                numbers, events = self._oracle.events(self._batch)
                body = "\n".join(json.dumps(event) for event in events)
                asked = time.monotonic()
                try:
                    answer = client.post(
                        f"{self._url}/api/logs", content=body, headers={"content-type": "application/x-ndjson"}
                    )
                except httpx.TransportError:
                    self.refused[0] += 1
                else:
                    if answer.status_code == 202:
                        self._oracle.acknowledged.update(numbers)
                    else:
                        self.refused[answer.status_code] += 1
                        self.without_retry_after += "retry-after" not in answer.headers
                        self.slowest_refusal_seconds = max(self.slowest_refusal_seconds, time.monotonic() - asked)
                due = max(due + self._pause, time.monotonic() - 1)
                self._stopped.wait(max(0.0, due - time.monotonic()))


class ForeignLoad:
    """Sends one event a Kafka record, as other producers do; only what Kafka acknowledged is acknowledged."""

    def __init__(self, oracle: Oracle, bootstrap: str, *, events_per_second: int, batch: int = 50) -> None:
        self._oracle, self._bootstrap = oracle, bootstrap
        self._pause, self._batch = batch / events_per_second, batch
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="foreign load")
        self.acknowledged = 0

    def __enter__(self) -> ForeignLoad:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    async def _run(self) -> None:
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, linger_ms=5
        )
        async with producer:
            while not self._stopped.is_set():
                numbers, events = self._oracle.events(self._batch)
                sent = [await producer.send("logs", json.dumps(event).encode()) for event in events]
                await asyncio.gather(*sent)
                self._oracle.acknowledged.update(numbers)
                self.acknowledged += len(numbers)
                await asyncio.sleep(self._pause)


def eventually(condition: Callable[[], bool], within_seconds: float, what: str) -> None:
    """Wait for a condition; fail saying what was waited for."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_seconds} s: {what}")
        time.sleep(0.1)
