"""Seeded traffic: what a few services' logs look like, as envelopes and as records of one event.

The same seed gives the same events, byte for byte but for their times, which must be of today: an index takes only
receive days around now.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

import orjson

from logsync_streams.envelope import MAX_EVENTS, Envelope

SERVICES = ("auth-service", "payment-service", "order-service", "search-api", "mail-worker")
_SERVICE_WEIGHTS = (35, 25, 20, 15, 5)
_HOSTS = 40
_DEBUG_SHARE = 0.10
_ERROR_SHARE = 0.04
_WARN_SHARE = 0.06
_ENVIRONMENTS = ("production", "staging", "development")
_ENVIRONMENT_WEIGHTS = (80, 15, 5)
_BURST_CHANCE = 0.002  # that an event begins a run of 10 to 200 of one service, host and message
_MULTI_BYTE_SHARE = 0.05

_WORDS = """
request user session token payment order cart checkout invoice upstream timeout retry connection pool cache hit
miss query rows fetched index shard commit rollback lock wait queue depth worker started finished accepted
rejected limit exceeded from to in for with after before status code latency_ms=12 attempt=3 user_id=4711
java.lang.NullPointerException com.example.shop.Checkout GET /api/v1/orders POST /login 10.0.3.17 200 404 503
TLS handshake certificate expired disk usage gc pause heap thread blocked released scheduled skipped
""".split()  # noqa: SIM905  seventy quoted words would be harder to read
_MULTI_BYTE = (
    "Größe überschritten",
    "支払いが完了しました",
    "сессия закрыта",
    "café façade",
    "🚀 déployé",
    "用户登录失败",
)
_MEAN_LENGTH_LOG, _LENGTH_SPREAD = 4.0, 0.55  # of the message, log-normal: median 55 characters, 1 % above 200
_MAX_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class Expected:
    """What must arrive: events sent, those that the default filter rule drops, those that cannot be read, and the sum
    over the others' ids.
    """

    sent: int
    filtered: int
    checksum: int
    dead: int = 0

    @property
    def kept(self) -> int:
        return self.sent - self.filtered - self.dead


@dataclass(frozen=True, slots=True)
class Generated:
    """One event: its JSON as sent, its own id (`metadata.request_id`), whether the filter drops it, whether it is
    broken and cannot be read.
    """

    data: bytes
    request_id: str
    filtered: bool
    broken: bool = False


def events(number: int, *, seed: int, now_ms: int) -> Iterator[Generated]:
    """`number` events, a millisecond or so apart, the last of them about `now_ms` (epoch ms)."""
    chance = random.Random(seed)
    hosts = [f"node-{i:02d}.eu-central.example.net" for i in range(_HOSTS)]
    zipf = list(accumulate(1 / (rank + 1) for rank in range(_HOSTS)))
    burst_left = 0
    service = host = message = environment = ""
    for position in range(number):
        level = _level(chance.random())
        if burst_left > 0:
            burst_left -= 1
        else:
            service = chance.choices(SERVICES, _SERVICE_WEIGHTS)[0]
            host = chance.choices(hosts, cum_weights=zipf)[0]
            environment = chance.choices(_ENVIRONMENTS, _ENVIRONMENT_WEIGHTS)[0]
            message = _message(chance)
            if chance.random() < _BURST_CHANCE:
                burst_left = chance.randint(10, 200)
        request_id = f"{chance.getrandbits(128):032x}"
        time = datetime.fromtimestamp((now_ms - (number - position)) / 1000, UTC)
        body = {
            "timestamp": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "service": service,
            "host": host,
            "message": message,
            "environment": environment,
            "metadata": {"request_id": request_id, "region": "eu-central-1"},
        }
        yield Generated(orjson.dumps(body), request_id, level == "DEBUG" and environment == "production")


def with_broken(generated: Iterable[Generated], *, one_in: int) -> Iterator[Generated]:
    """The same events, one in so many of them cut in the middle of its JSON."""
    for position, event in enumerate(generated):
        if position % one_in == one_in // 2:
            yield Generated(event.data[: len(event.data) // 2], event.request_id, filtered=False, broken=True)
        else:
            yield event


def envelopes(generated: Sequence[Generated], *, seed: int, now_ms: int, size: int = MAX_EVENTS) -> Iterator[Envelope]:
    """The events in envelopes of `size`, as the HTTP door makes them of NDJSON requests; ids follow the seed."""
    chance = random.Random(seed ^ 0x656E76)
    for first in range(0, len(generated), size):
        yield Envelope(
            id=_uuid7(now_ms, chance),
            received_at=now_ms,
            source="http",
            format="json",
            peer=f"192.0.2.{chance.randint(1, 20)}:{chance.randint(20000, 60000)}",
            events=tuple(event.data for event in generated[first : first + size]),
        )


def expected(generated: Iterable[Generated], ids: Iterable[str]) -> Expected:
    """What must arrive of these events, when `ids` are the ids under which they are stored, in the same order."""
    sent = filtered = dead = 0
    kept = []
    for event, stored_id in zip(generated, ids, strict=True):
        sent += 1
        if event.broken:
            dead += 1
        elif event.filtered:
            filtered += 1
        else:
            kept.append(stored_id)
    return Expected(sent, filtered, checksum(kept), dead)


def checksum(ids: Iterable[str]) -> int:
    """A sum over ids modulo 2**64 that does not depend on their order."""
    total = 0
    for stored_id in ids:
        total += int.from_bytes(hashlib.blake2b(stored_id.encode(), digest_size=8).digest(), "big")
    return total & 0xFFFF_FFFF_FFFF_FFFF


def _level(draw: float) -> str:
    if draw < _DEBUG_SHARE:
        return "DEBUG"
    if draw < _DEBUG_SHARE + _ERROR_SHARE:
        return "ERROR"
    if draw < _DEBUG_SHARE + _ERROR_SHARE + _WARN_SHARE:
        return "WARN"
    return "INFO"


def _message(chance: random.Random) -> str:
    length = min(int(chance.lognormvariate(_MEAN_LENGTH_LOG, _LENGTH_SPREAD)), _MAX_MESSAGE)
    words = [chance.choice(_MULTI_BYTE)] if chance.random() < _MULTI_BYTE_SHARE else []
    have = sum(map(len, words))
    while have < length:
        word = chance.choice(_WORDS)
        words.append(word)
        have += len(word) + 1
    return " ".join(words)


def _uuid7(now_ms: int, chance: random.Random) -> str:
    value = (now_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | chance.getrandbits(12) << 64
    return f"{value | 0b10 << 62 | chance.getrandbits(62):032x}"
