"""A stand-in Elasticsearch that costs almost nothing, so that what writes to it is what is measured.

`python -m bench.standin --port N` answers what our writer and admin ask at start, and `_bulk` with one item a
document: a first `create` of an id 201, a second 409. It checks no mapping and no alias, keeps ids and no documents,
and is told how to misbehave through `POST /_standin/reset`; `GET /_standin/stats` tells what it took in.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

import orjson
import uvloop

from bench.cluster import Cluster
from bench.generator import checksum
from bench.http_server import Protocol, Request, Response

_HEADERS = (("X-Elastic-Product", "Elasticsearch"),)
_JSON = (("Content-Type", "application/json"), *_HEADERS)
_ID = re.compile(rb'"_id"\s*:\s*"([^"]*)"')
_TARGET = re.compile(rb'"_index"\s*:\s*"([^"]*)"')
_SHARE_UNITS = 100_000
_BULK_LINES = 2  # an action and a document

_CREATED = b'"status":201'
_CONFLICT = b'"status":409,"error":{"type":"version_conflict_engine_exception","reason":"document exists"}'
_BUSY = b'"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue is full"}'
_POISON = b'"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse field"}'
# What Elasticsearch adds to a stored document's item for those who do not choose by `filter_path`.
_MORE = (
    b'"_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":1,"_primary_term":1,'
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """latency_ms: before each bulk's answer. busy_share: of tries answered 429; poison_share: of ids refused (400)."""

    latency_ms: int = 0
    busy_share: float = 0.0
    poison_share: float = 0.0


_WELL_BEHAVED = Behaviour()


@dataclass(slots=True)
class Stats:
    """What came in since the last reset. last: time.monotonic() of the last bulk that stored something."""

    bulks: int = 0
    bytes: int = 0
    items: int = 0
    stored: int = 0
    duplicates: int = 0
    busy: int = 0
    poison: int = 0
    last: float = 0.0


@dataclass(slots=True)
class Standin:
    """The whole state: the ids stored since the last reset, and the cluster's objects."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    stats: Stats = field(default_factory=Stats)
    ids: set[bytes] = field(default_factory=set)
    cluster: Cluster = field(default_factory=Cluster)
    _tries: int = 0

    async def __call__(self, request: Request) -> Response:
        """The answer to one request."""
        url = urlsplit(request.target)
        path = url.path.rstrip("/")
        body = gzip.decompress(request.body) if request.headers.get(b"content-encoding") == b"gzip" else request.body
        if path.endswith("/_bulk"):
            if self.behaviour.latency_ms:
                await asyncio.sleep(self.behaviour.latency_ms / 1000)
            return self._bulk(body, parse_qs(url.query).get("filter_path", [""])[0])
        if path.startswith("/_standin/"):
            return self._control(path, parse_qs(url.query), body)
        status, told = self.cluster(request.method, path, body)
        return _answer(told, status)

    def _bulk(self, body: bytes, filter_path: str) -> Response:
        lines = body.split(b"\n")
        number = len(lines) // _BULK_LINES
        actions = b"\n".join(lines[0 : number * _BULK_LINES : _BULK_LINES])
        found, targets = _ID.findall(actions), _TARGET.findall(actions)
        if not len(found) == len(targets) == number:
            return _answer({"error": {"type": "illegal_argument_exception", "reason": "an action without _id"}}, 400)
        stats, before = self.stats, len(self.ids)
        stats.bulks += 1
        stats.bytes += len(body)
        stats.items += number
        plain = self.behaviour == _WELL_BEHAVED and self.ids.isdisjoint(found)
        if plain:
            self.ids.update(found)
            if len(self.ids) - before != number:  # an id twice in one request
                self.ids.difference_update(found)
                plain = False
        results = [_CREATED] * number if plain else [self._item(stored_id) for stored_id in found]
        stats.stored += len(self.ids) - before
        if len(self.ids) > before:
            stats.last = time.monotonic()
        errors = b"false" if plain or all(result is _CREATED for result in results) else b"true"
        items = self._items(results, found, targets, filter_path)
        head = b"" if filter_path.startswith("items.") else b'"took":1,"errors":%b,' % errors
        return Response(200, _JSON, b'{%b"items":[%b]}' % (head, b",".join(items)))

    def _items(
        self, results: list[bytes], found: list[bytes], targets: list[bytes], filter_path: str
    ) -> Iterable[bytes]:
        if filter_path and "_index" not in filter_path:
            return [b'{"create":{%b}}' % result for result in results]
        indices = {
            target: self.cluster.aliases.get(target.decode(), target.decode()).encode() for target in set(targets)
        }
        if filter_path:
            heads = {target: b'{"create":{"_index":"%b",' % index for target, index in indices.items()}
            return [b"%b%b}}" % (heads[target], result) for target, result in zip(targets, results, strict=True)]
        return [
            b'{"create":{"_index":"%b","_id":"%b",%b%b}}'
            % (indices[target], stored_id, _MORE if result is _CREATED else b"", result)
            for target, stored_id, result in zip(targets, found, results, strict=True)
        ]

    def _item(self, stored_id: bytes) -> bytes:
        stats = self.stats
        if stored_id in self.ids:
            stats.duplicates += 1
            return _CONFLICT
        if crc32(stored_id) % _SHARE_UNITS < self.behaviour.poison_share * _SHARE_UNITS:
            stats.poison += 1
            return _POISON
        self._tries += 1
        # Spread over the tries by a multiplicative hash: the same number of refusals in every run.
        if self._tries * 2_654_435_761 % _SHARE_UNITS < self.behaviour.busy_share * _SHARE_UNITS:
            stats.busy += 1
            return _BUSY
        self.ids.add(stored_id)
        return _CREATED

    def _control(self, path: str, query: dict[str, list[str]], body: bytes) -> Response:
        if path == "/_standin/reset":
            self.behaviour = Behaviour(**orjson.loads(body)) if body else Behaviour()
            self.stats = Stats()
            self.ids = set()
            return _answer(asdict(self.stats))
        if path == "/_standin/stats":
            told: dict[str, Any] = asdict(self.stats)
            if query.get("checksum"):
                told["checksum"] = checksum(stored_id.decode() for stored_id in self.ids)
            return _answer(told)
        return _answer({"error": "unknown"}, 404)


def _answer(body: Any, status: int = 200) -> Response:
    return Response(status, _JSON, orjson.dumps(body))


async def serve(port: int) -> None:
    """Serve on loopback until cancelled; prints `ready` and the port."""
    standin = Standin()
    server = await asyncio.get_running_loop().create_server(lambda: Protocol(standin), "127.0.0.1", port)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 = any free one")
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
