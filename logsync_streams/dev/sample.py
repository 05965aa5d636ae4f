"""Sample traffic: a seeded sequence of logs as five small services of a shop would write them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

# RFC 5424, section 6.2.1: facility local0, and the severities that our levels stand for.
_FACILITY = 16
_SYSLOG_SEVERITIES = {"debug": 7, "info": 6, "notice": 5, "warn": 4, "error": 3, "critical": 2}

_STACK_TRACE = """java.lang.IllegalStateException: payment provider answered 502
\tat shop.payment.Gateway.charge(Gateway.java:118)
\tat shop.payment.Checkout.pay(Checkout.java:64)
\tat shop.payment.Worker.run(Worker.java:31)
Caused by: java.net.SocketTimeoutException: Read timed out
\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)
\t... 3 more"""

# service -> (weight, hosts, [(weight, level, message)]). The words in braces are drawn for each log.
_SERVICES: dict[str, tuple[int, tuple[str, ...], list[tuple[int, str, str]]]] = {
    "web-frontend": (
        8,
        ("web-1", "web-2", "web-3"),
        [
            (30, "info", "GET /products/{number} 200 in {ms} ms"),
            (12, "info", "GET /cart 200 in {ms} ms"),
            (3, "notice", "session {hex} expired"),
            (2, "warn", "GET /products/{number} took {slow} ms"),
            (1, "error", "GET /checkout 502: upstream payment-service"),
        ],
    ),
    "auth-service": (
        4,
        ("auth-1", "auth-2"),
        [
            (20, "info", "user {user} signed in from {address}"),
            (4, "warn", "sign-in of {user} refused: wrong password, attempt {small}"),
            (5, "debug", "token_cache hit for {user}, {number} entries"),
            (1, "error", "cannot reach ldap-{small}.internal: connection timed out after {slow} ms"),
        ],
    ),
    "payment-service": (
        3,
        ("pay-1", "pay-2"),
        [
            (20, "info", "order {number} paid, {ms} ms"),
            (2, "warn", "order {number}: provider slow, {slow} ms"),
            (1, "error", "order {number} not paid\n" + _STACK_TRACE),
        ],
    ),
    "inventory": (
        3,
        ("stock-1",),
        [
            (15, "info", "reserved {small} of article {number}"),
            (4, "debug", "stock.recount finished: {number} articles in {slow} ms"),
            (2, "warn", "article {number} is low: {small} left"),
        ],
    ),
    "mailer": (
        2,
        ("mail-1",),
        [
            (12, "info", "queued order_confirmation for {user}@example.org, message {hex}"),
            (1, "error", "550 mailbox of {user}@example.org unavailable"),
            (1, "critical", "queue full: {number} messages wait"),
        ],
    ),
}
_USERS = ("ada", "björn", "chen", "dragan", "eleni", "fatima", "георгий", "haruki")


@dataclass(frozen=True, slots=True)
class SampleLog:
    """One log before it is given a wire format."""

    service: str
    host: str
    level: str
    message: str
    environment: str
    metadata: dict[str, Any]

    def as_json(self, now: datetime) -> bytes:
        """The log as our HTTP door takes it, one line."""
        return orjson.dumps(
            {
                "timestamp": _iso(now),
                "level": self.level.upper(),
                "service": self.service,
                "host": self.host,
                "message": self.message,
                "environment": self.environment,
                "metadata": self.metadata,
            }
        )

    def as_syslog(self, now: datetime) -> bytes:
        """The log as an RFC 5424 message."""
        priority = _FACILITY * 8 + _SYSLOG_SEVERITIES[self.level]
        return f"<{priority}>1 {_iso(now)} {self.host} {self.service} 4242 - - {self.message}".encode()


def sample_logs(seed: int) -> Iterator[SampleLog]:
    """An endless sequence, the same for the same seed."""
    draw = random.Random(seed)
    names = list(_SERVICES)
    weights = [_SERVICES[name][0] for name in names]
    while True:
        service = draw.choices(names, weights)[0]
        _, hosts, messages = _SERVICES[service]
        _, level, template = draw.choices(messages, [weight for weight, _, _ in messages])[0]
        message = template.format(
            number=draw.randint(1000, 99_999),
            small=draw.randint(1, 9),
            ms=max(1, round(draw.lognormvariate(3.2, 0.8))),
            slow=draw.randint(900, 9000),
            hex=f"{draw.getrandbits(48):012x}",
            user=draw.choice(_USERS),
            address=f"203.0.113.{draw.randint(1, 254)}",
        )
        environment = "production" if draw.random() < 0.8 else "staging"
        metadata = {"trace_id": f"{draw.getrandbits(64):016x}", "region": draw.choice(["eu-1", "us-1"])}
        yield SampleLog(service, draw.choice(hosts), level, message, environment, metadata)


def _iso(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
