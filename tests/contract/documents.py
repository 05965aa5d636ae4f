"""Documents as `process` writes them, and lines, labels and queries that are not tame. Everything from a seed."""

from __future__ import annotations

import os
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from logsync_streams.events import event_id, uuid7_hex
from logsync_streams.storage.api import Document
from logsync_streams.storage.naming import alias_name
from logsync_streams.words import words, words_field

DAY = date(2026, 11, 24)
TARGET = alias_name("default", DAY)
OTHER_TARGET = alias_name("audit", DAY)
NOON = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
# In hexadecimal, as the fault tests read and print it.
SEED = int(os.environ.get("LOGSYNC_TEST_SEED", f"{20261124:x}"), 16)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(timestamp: int) -> str:
    """Epoch milliseconds as they are stored."""
    return (_EPOCH + timedelta(milliseconds=timestamp)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_ids(count: int, now_ms: int = NOON) -> list[str]:
    """Ids of one envelope after the other, 500 events each at most."""
    found: list[str] = []
    while len(found) < count:
        envelope = uuid7_hex(now_ms)
        found += [event_id(envelope, i) for i in range(min(500, count - len(found)))]
    return found


def make_document(
    fields: dict[str, Any] | None = None, *, id: str | None = None, timestamp: int = NOON, target: str = TARGET
) -> Document:
    """A document with these ECS fields, shaped as `process` writes it: event.id first, the words beside the texts."""
    fields = {**(fields or {})}
    id = id or new_ids(1)[0]
    event = {"id": id, "ingested": iso(NOON), "dataset": "default", **fields.pop("event", {})}
    error = fields.get("error", {})
    beside = {
        "message": words_field(fields.get("message", "")) if fields.get("message") else None,
        # error.type is a keyword: its words are nowhere else.
        "error_type": " ".join(words(error["type"])) if error.get("type") else None,
        "error_message": words_field(error["message"]) if error.get("message") else None,
        "error_stack_trace": words_field(error["stack_trace"]) if error.get("stack_trace") else None,
    }
    searched = {name: text for name, text in beside.items() if text is not None}
    if searched:
        fields["logsync"] = {**fields.get("logsync", {}), "words": searched}
    body = orjson.dumps({"event": event, "@timestamp": iso(timestamp), **fields})
    return Document(target, id, body)


def stored(document: Document) -> dict[str, Any]:
    """The document as a reader answers it: without the fields that only serve the search."""
    parsed: dict[str, Any] = orjson.loads(document.body)
    if "words" in parsed.get("logsync", {}):
        del parsed["logsync"]["words"]
        if not parsed["logsync"]:
            del parsed["logsync"]
    return parsed


# --------------------------------------------------------------------------------------------------------- not tame

_PIECES = [
    *("error", "timeout", "user", "id", "Timeout", "ERROR", "a", "b", "42", "7", "x1", "ok", "failed", "connection"),
    *(
        "java.lang.NullPointerException",
        "timeout_ms",
        "user-id",
        "user_id=42",
        "_private",
        "__init__",
        "foo.bar",
        "a_b",
    ),
    *("it's", "O'Neil", '"quoted text"', "key=value", "k:v", "10.0.0.1:8080", "/var/log/app.log", "C:\\temp\\x.txt"),
    *("日志", "错误日志", "日本語テキスト", "エラー", "ひらがな", "오류", "Ошибка", "größe", "naïve café", "ΣΊΣΥΦΟΣ"),
    *(
        "🔥",
        "boom💥boom",
        "👩‍💻",
        "1.5",
        "1,000",
        "3;4",
        "99%",
        "user@example.com",
        "a--b",
        "...",
        "—",
        "()",
        "\t",
        "\n",
    ),
    *("550e8400-e29b-41d4-a716-446655440000", "2026-11-24T21:56:37.123Z", "<script>alert(1)</script>", "%s", "\\", "'"),
]
_LABEL_KEYS = ["order", "order.id", "date", "count", "flag", "with space", "key=sign", "日付", "UPPER", "dash-ed", "_u"]
_LABEL_VALUES: list[Any] = [
    *(
        "2026-11-24",
        "2026-11-24T21:56:37Z",
        "5",
        5,
        "5.0",
        1.5,
        True,
        "true",
        False,
        "",
        " ",
        "a=b",
        "null",
        "10.0.0.1",
    ),
    *(
        "O'Neil",
        "日本",
        "🔥",
        "x" * 1024,
        "x" * 1025,
        "é" * 3000,
        "ABC",
        "abc",
        "a.b_c",
        -1,
        2**40,
        ["one", "two"],
        [1],
    ),
]
_SERVICES = ["auth-service", "auth", "Auth", "checkout", "pay_ments", "сервис", "a" * 1100]
_LEVELS = ["error", "info", "debug", "warn", "fatal"]


def random_line(rng: random.Random) -> str:
    """A line of a log: up to 12 pieces, joined by blanks or by nothing."""
    return rng.choice((" ", " ", " ", "", ", ")).join(rng.choices(_PIECES, k=rng.randint(0, 12)))


def random_fields(rng: random.Random) -> dict[str, Any]:
    """The ECS fields of one log; each is left out at times."""
    fields: dict[str, Any] = {}

    def perhaps(share: float, add: dict[str, Any]) -> None:
        if rng.random() < share:
            for key, value in add.items():
                fields[key] = {**fields.get(key, {}), **value} if isinstance(value, dict) else value

    perhaps(0.95, {"message": random_line(rng)})
    perhaps(0.02, {"message": "x" * rng.randint(250, 600) + " end"})
    perhaps(0.8, {"log": {"level": rng.choice(_LEVELS)}})
    perhaps(0.9, {"service": {"name": rng.choice(_SERVICES)}})
    perhaps(0.5, {"service": {"environment": rng.choice(["production", "staging"])}})
    perhaps(0.5, {"host": {"name": f"web-{rng.randint(1, 12)}.example.com"}})
    perhaps(0.3, {"host": {"ip": rng.choice([random_address(rng), [random_address(rng), random_address(rng)]])}})
    perhaps(0.5, {"source": {"ip": random_address(rng), "port": rng.randint(1, 65535)}})
    perhaps(0.4, {"http": {"response": {"status_code": rng.choice([200, 201, 404, 500, 503])}}})
    perhaps(0.2, {"error": {"type": rng.choice(["java.io.IOException", "KeyError", "timeout_error"])}})
    perhaps(0.2, {"error": {"message": random_line(rng)}})
    perhaps(0.2, {"error": {"stack_trace": "\n".join(random_line(rng) for _ in range(4))}})
    perhaps(0.3, {"tags": rng.sample(["unparsed", "a", "b", "日", "Tag"], rng.randint(0, 3))})
    perhaps(0.3, {"event": {"severity": rng.choice([5, 9, 17])}})
    perhaps(0.6, {"labels": {rng.choice(_LABEL_KEYS): rng.choice(_LABEL_VALUES) for _ in range(rng.randint(0, 4))}})
    return fields


def random_address(rng: random.Random) -> str:
    """An address that shares a network with others."""
    return rng.choice(("10.0.{}.{}", "192.168.{}.{}", "2001:db8::{:x}:{:x}")).format(
        rng.randint(0, 3), rng.randint(0, 9)
    )


def random_corpus(rng: random.Random, count: int) -> list[Document]:
    """Documents over two targets and few instants, so that many times are equal, some long ago and some far away."""
    instants = [NOON + rng.randint(-5000, 5000) for _ in range(count // 6 + 1)]
    instants += [-1, 0, -11_644_473_600_000, 253_402_300_799_999]
    return [
        make_document(
            random_fields(rng),
            id=f"{rng.getrandbits(128):032x}-{rng.randint(0, 99_999):05d}",
            timestamp=rng.choice(instants),
            target=rng.choice((TARGET, TARGET, OTHER_TARGET)),
        )
        for _ in range(count)
    ]
