"""A stand-in for Elasticsearch that answers `_bulk` as told, item by item or not at all.

It keeps each document's number by its id, and how often each was sent, so that a test can say what was sent again and
whether it had to be. Its administrative side is the benchmark's.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.cluster import Cluster

# What a bulk request meets. The last three store everything before they fail: the sender cannot know.
OK, BUSY, SLOW, CUT, GARBAGE = "ok", "busy", "slow", "cut", "garbage"
_BUSY_ITEM = {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue is full"}}
_CONFLICT_ITEM = {
    "status": 409,
    "error": {"type": "version_conflict_engine_exception", "reason": "[id]: version conflict, document already exists"},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How to answer. fault: of a request, by its number; busy: whether an item is refused (429), by its id;
    slow_seconds: how late a SLOW answer is; max_bytes: a longer request is a 413; latency_seconds: of every bulk.
    """

    fault: Callable[[int], str] = lambda _: OK
    busy: Callable[[str], bool] = lambda _: False
    slow_seconds: float = 0.0
    max_bytes: int = 1 << 30
    latency_seconds: float = 0.0


@dataclass
class StandinStore:
    """Use as a context; `plan` may be changed at any time. stored: number of the event by document id."""

    plan: Plan = field(default_factory=Plan)
    stored: dict[str, int] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)  # times that each id was sent
    refused: Counter[str] = field(default_factory=Counter)  # times that each id was sent and not stored
    faults: Counter[str] = field(default_factory=Counter)  # requests by what they met
    conflicts: int = 0  # items answered with 409
    bulks_in_hand: int = 0

    def __enter__(self) -> StandinStore:
        self._lock, self._cluster = threading.Lock(), Cluster()
        store = self

        class Handler(_Handler):
            answer = staticmethod(store._answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="standin", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def numbers(self) -> list[int]:
        """The number of every stored event, as often as it is stored under different ids."""
        with self._lock:
            return list(self.stored.values())

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any, str]:
        if not path.endswith("/_bulk"):
            with self._lock:
                return *self._cluster(method, path, body), OK
        plan = self.plan
        with self._lock:
            self.bulks_in_hand += 1
        try:
            time.sleep(plan.latency_seconds)
            with self._lock:
                status, answer, fault = self._bulk(plan, body)
            if fault == SLOW:
                time.sleep(plan.slow_seconds)
            return status, answer, fault
        finally:
            with self._lock:
                self.bulks_in_hand -= 1

    def _bulk(self, plan: Plan, body: bytes) -> tuple[int, Any, str]:
        documents = list(_documents(body))
        self.sent.update(id_ for id_, _, _ in documents)
        if len(body) > plan.max_bytes:
            self.refused.update(id_ for id_, _, _ in documents)
            self.faults["too_large"] += 1
            return 413, {"error": {"type": "too_large", "reason": "the body is too large"}, "status": 413}, OK
        fault = plan.fault(self.faults.total())
        self.faults[fault] += 1
        if fault == BUSY:
            self.refused.update(id_ for id_, _, _ in documents)
            return 503, {"error": {"type": "unavailable_shards_exception", "reason": "no primary"}, "status": 503}, OK
        items = [self._item(plan, id_, target, number) for id_, target, number in documents]
        return 200, {"items": [{"create": item} for item in items]}, fault

    def _item(self, plan: Plan, id_: str, target: str, number: int) -> dict[str, Any]:
        index = self._cluster.aliases.get(target, target)
        if id_ in self.stored:
            self.conflicts += 1
            return {"_index": index, **_CONFLICT_ITEM}
        if plan.busy(id_):
            self.refused[id_] += 1
            return {"_index": index, **_BUSY_ITEM}
        self.stored[id_] = number
        return {"_index": index, "status": 201}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Callable[[str, str, bytes], tuple[int, Any, str]]

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        status, answer, fault = self.answer(self.command, self.path.partition("?")[0].rstrip("/"), body)
        content = json.dumps(answer).encode()
        shown = content[: len(content) // 2] if fault in (CUT, GARBAGE) else content
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content if fault == CUT else shown)))
        self.end_headers()
        try:
            if self.command != "HEAD":
                self.wfile.write(shown)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # who asked has gone: too slow an answer
        if fault == CUT:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _any  # the base class's own names

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test prints what it counted."""


def _documents(body: bytes) -> Iterator[tuple[str, str, int]]:
    """(id, target, the event's number or -1) of each document."""
    lines = body.split(b"\n")
    for action, document in zip(lines[0::2], lines[1::2], strict=False):
        told = json.loads(action)["create"]
        yield told["_id"], told["_index"], int(json.loads(document).get("labels", {}).get("number", -1))
