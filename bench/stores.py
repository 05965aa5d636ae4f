"""Where a run's documents go: the stand-in, or a real Elasticsearch; each tells what it has stored since its reset."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from bench.generator import Expected
from deploy.servers import ElasticsearchServer

_ALIAS = "logsync-default-{:%Y.%m.%d}"


class RunFailed(Exception):
    """The contender did not store what it was sent, or ended; the message says which and where its log is."""


class Store(Protocol):
    """port: on loopback. pids: processes whose CPU belongs to the run."""

    poll_seconds: float

    @property
    def port(self) -> int: ...

    @property
    def pids(self) -> tuple[int, ...]: ...

    def prepare(self, latency_ms: int) -> None:
        """Forget what is stored, before a contender starts. latency_ms: of each bulk's answer, where it can be set."""

    def reset(self) -> None:
        """Count from here on."""

    def stored(self) -> int:
        """Documents since the reset."""

    def verify(self, name: str, expected: Expected) -> tuple[float, int, int]:
        """When the last was stored (time.monotonic()), bulk requests, and writes of ids that were there already.
        Raises RunFailed when it is not exactly what was expected.
        """


class StandIn:
    """bench/standin.py, told and asked over HTTP."""

    poll_seconds = 0.02
    pids: tuple[int, ...] = ()

    def __init__(self, port: int) -> None:
        self.port = port
        self._latency_ms = 0

    def prepare(self, latency_ms: int) -> None:
        self._latency_ms = latency_ms
        self.reset()

    def reset(self) -> None:
        self._ask("reset", orjson.dumps({"latency_ms": self._latency_ms}))

    def stored(self) -> int:
        return int(self._ask("stats")["stored"])

    def verify(self, name: str, expected: Expected) -> tuple[float, int, int]:
        stats = self._ask("stats?checksum=1")
        told = {"stored": stats["stored"], "checksum": stats["checksum"]}
        wanted = {"stored": expected.kept, "checksum": expected.checksum}
        if told != wanted:
            sent = f"sent {expected.sent}, filtered {expected.filtered}, broken {expected.dead}"
            raise RunFailed(f"{name}: {sent}; {wanted} != {told}")
        return stats["last"], stats["bulks"], stats["duplicates"]

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/_standin/{path}"
        told: dict[str, Any] = _request(url, "POST" if body else "GET", body)
        return told


class RealStore:
    """Elasticsearch. What is stored is known by its counters while it runs, and counted in the end."""

    poll_seconds = 0.1  # asking costs it something, too

    def __init__(self, server: ElasticsearchServer) -> None:
        self._server = server
        self._written = self._counted = 0
        self._last = 0.0

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def pids(self) -> tuple[int, ...]:
        return (self._server.pid,) if self._server.pid else ()

    def prepare(self, latency_ms: int) -> None:
        for row in self._ask("GET", "_cat/indices/logsync-*?format=json"):
            self._ask("DELETE", row["index"])
        alias = _ALIAS.format(datetime.now(UTC))
        body = {"settings": {"number_of_replicas": 0}, "aliases": {alias: {"is_write_index": True}}}
        self._ask("PUT", f"{alias}-000001", orjson.dumps(body))
        self.reset()  # its counters went with its indices

    def reset(self) -> None:
        self._written, self._counted = self._total(), self._count()

    def stored(self) -> int:
        self._last = time.monotonic()
        return self._total() - self._written

    def verify(self, name: str, expected: Expected) -> tuple[float, int, int]:
        found = self._count() - self._counted
        if found != expected.kept:
            raise RunFailed(f"{name}: {expected.kept} documents are expected, {found} are in the store")
        return self._last, 0, 0

    def _total(self) -> int:
        told = self._ask("GET", "logsync-*/_stats/indexing?filter_path=_all.primaries.indexing.index_total")
        return int(told["_all"]["primaries"]["indexing"]["index_total"])

    def _count(self) -> int:
        self._ask("POST", "logsync-*/_refresh")
        return int(self._ask("GET", "logsync-*/_count")["count"])

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        return _request(f"{self._server.url}/{path}", method, body)


def _request(url: str, method: str, body: bytes | None) -> Any:
    headers = {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data=body, method=method, headers=headers), timeout=60
        ) as answer:
            return orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise RunFailed(f"{method} {url}: {error.status} {error.read()[:500]!r}") from error
