"""What a search finds: the same in every store as `storage/evaluate.py` says."""

from __future__ import annotations

import random
from typing import Any

import orjson

from logsync_streams.errors import InvalidQuery
from logsync_streams.storage.api import (
    All,
    And,
    Equals,
    Exists,
    Not,
    Or,
    Prefix,
    Query,
    Range,
    SearchRequest,
    Text,
)
from logsync_streams.storage.evaluate import matches
from tests.contract.documents import SEED, make_document, random_corpus
from tests.contract.queries import random_query
from tests.contract.steps import all_hits, found, put
from tests.contract.stores import Opened

LINES: dict[str, dict[str, Any]] = {
    "npe": {"message": "java.lang.NullPointerException: timeout_ms", "log": {"level": "error"}},
    "user": {"message": "user-id 42 of 'O''Neil' said \"it's OK\"", "service": {"name": "auth-service"}},
    "chinese": {"message": "数据库连接失败 db_pool exhausted", "labels": {"日付": "2026-11-24", "count": 5}},
    "emoji": {"message": "deploy 🔥 done", "tags": ["a", "Blue"], "http": {"response": {"status_code": 503}}},
    "typed": {
        "message": "",
        "error": {"type": "java.io.IOException", "message": "disk full"},
        "source": {"ip": "10.1.2.3"},
    },
    "labels": {"labels": {"n": 5, "b": True, "f": 1.5, "s": "5", "e": "", "k=v": "a=b", "list": ["x", 2]}},
    "long": {"service": {"name": "s" * 1025}, "labels": {"blob": "b" * 5000}, "message": "w" * 300},
    "edge": {"service": {"name": "s" * 1024}, "labels": {"blob": "b" * 1024}},
    "v6": {"host": {"ip": ["2001:db8::1", "192.168.0.9"]}, "source": {"ip": "::ffff:10.9.9.9", "port": 514}},
    "empty": {"tags": [], "labels": {}, "host": {"name": None}},
}

FINDS: list[tuple[Query, set[str]]] = [
    (All(), set(LINES)),
    (Text("nullpointerexception"), {"npe"}),
    (Text("java.lang.NullPointerException"), {"npe"}),
    (Text("lang.NullPointerException: timeout"), {"npe"}),
    (Text("TIMEOUT_MS"), {"npe"}),
    (Text("timeout"), {"npe"}),
    (Text("ms timeout"), set()),
    (Text("java nullpointerexception"), set()),
    (Text("user-id"), {"user"}),
    (Text("user 42"), set()),
    (Text("it's ok"), {"user"}),
    (Text("O''Neil"), {"user"}),
    (Text("连接"), {"chinese"}),
    (Text("库连接失"), {"chinese"}),
    (Text("接连"), set()),
    (Text("db"), {"chinese"}),
    (Text("deploy done"), {"emoji"}),
    (Text("🔥"), set()),
    (Text("... - !"), set()),
    (Text(""), set()),
    (Text("ioexception"), {"typed"}),
    (Text("java"), {"npe", "typed"}),
    (Text("java", "message"), {"npe"}),
    (Text("disk full"), {"typed"}),
    (Text("full", "error.message"), {"typed"}),
    (Text("disk", "error.stack_trace"), set()),
    (Text("w" * 300), {"long"}),
    (Text("w" * 255), {"long"}),
    (Text("w" * 45), {"long"}),
    (Text("w" * 46), set()),
    (Prefix("Null"), {"npe"}),
    (Prefix("time"), {"npe"}),
    (Prefix("连"), {"chinese"}),
    (Prefix("io"), {"typed"}),
    (Prefix("io", "message"), set()),
    (Prefix("auth-", "service.name"), {"user"}),
    (Prefix("Auth", "service.name"), set()),
    (Prefix("s", "service.name"), {"edge"}),
    (Prefix("2026-", "labels.日付"), {"chinese"}),
    (Prefix("ERR", "log.level"), {"npe"}),
    (Equals("log.level", "ERROR"), {"npe"}),
    (Equals("service.name", "auth-service"), {"user"}),
    (Equals("service.name", "auth"), set()),
    (Equals("service.name", "AUTH-SERVICE"), set()),
    (Equals("service.name", "s" * 1024), {"edge"}),
    (Equals("service.name", "s" * 1025), set()),
    (Equals("tags", "Blue"), {"emoji"}),
    (Equals("http.response.status_code", "503"), {"emoji"}),
    (Equals("http.response.status_code", "+503"), {"emoji"}),
    (Equals("source.ip", "10.1.2.3"), {"typed"}),
    (Equals("source.ip", "10.0.0.0/8"), {"typed", "v6"}),
    (Equals("host.ip", "2001:db8::/32"), {"v6"}),
    (Equals("host.ip", "192.168.0.0/16"), {"v6"}),
    (Equals("host.ip", "2001:DB8:0::1"), {"v6"}),
    (Equals("labels.日付", "2026-11-24"), {"chinese"}),
    (Equals("labels.count", "5"), {"chinese"}),
    (Equals("labels.n", "5"), {"labels"}),
    (Equals("labels.s", "5"), {"labels"}),
    (Equals("labels.f", "1.5"), {"labels"}),
    (Equals("labels.b", "true"), {"labels"}),
    (Equals("labels.e", ""), {"labels"}),
    (Equals("labels.k=v", "a=b"), {"labels"}),
    (Equals("labels.k", "v=a=b"), set()),
    (Equals("labels.list", "2"), {"labels"}),
    (Equals("labels.blob", "b" * 1024), {"edge"}),
    (Equals("labels.blob", "b" * 5000), set()),
    (Equals("labels.nowhere", "x"), set()),
    (Range("http.response.status_code", "500", None), {"emoji"}),
    (Range("http.response.status_code", "503", None, include_lower=False), set()),
    (Range("http.response.status_code", None, "503", include_upper=True), {"emoji"}),
    (Range("source.port", "1", "1023"), {"v6"}),
    (Range("source.ip", "10.1.0.0", "10.1.255.255"), {"typed"}),
    (Range("source.ip", "10.1.2.3", None, include_lower=False), {"v6"}),
    (Range("service.name", "auth", "authz"), {"user"}),
    (Range("service.name", "s", None), {"edge"}),
    (Range("@timestamp", "2026-11-24T12:00:00Z", "2026-11-24T13:00:00+01:00"), set(LINES)),
    (Range("@timestamp", "2026-11-25", None), set()),
    (Range("@timestamp", "1795521600000", "1795521600000", include_upper=False), set()),
    (Exists("service.name"), {"user", "long", "edge"}),
    (Exists("labels.blob"), {"long", "edge"}),
    (Exists("labels.e"), {"labels"}),
    (Exists("labels.nowhere"), set()),
    (Exists("tags"), {"emoji"}),
    (Exists("host.name"), set()),
    (Exists("message"), {"npe", "user", "chinese", "emoji", "typed", "long"}),
    (Exists("@timestamp"), set(LINES)),
    (Exists("source.ip"), {"typed", "v6"}),
    (Not(Exists("message")), {"labels", "edge", "v6", "empty"}),
    (Not(All()), set()),
    (Not(Text("...")), set(LINES)),
    (And((Text("java"), Not(Equals("log.level", "error")))), {"typed"}),
    (And((Not(Exists("message")), Not(Exists("labels.blob")))), {"labels", "v6", "empty"}),
    (Or((Text("deploy"), Equals("source.port", "514"), Not(All()))), {"emoji", "v6"}),
    (Not(Not(Text("deploy"))), {"emoji"}),
]

INVALID: list[Query] = [
    Equals("nowhere", "x"),
    Equals("labels.", "x"),
    Equals("event.original", "x"),
    Equals("message", "x"),
    Text("x", "service.name"),
    Text("x", "labels.a"),
    Prefix("", "service.name"),
    Prefix("", None),
    Prefix("a b"),
    Prefix("user-"),
    Prefix("5", "source.port"),
    Prefix("10.", "source.ip"),
    Exists("event.original"),
    Exists("nowhere"),
    Range("labels.n", "1", "9"),
    Range("message", "a", "b"),
    Range("source.port"),
    Range("source.port", "low", None),
    Range("source.port", "1.5", None),
    Range("source.ip", "10.0.0.0/8", None),
    Range("@timestamp", "yesterday", None),
    Equals("source.port", "99999999999999999999"),
    Equals("source.ip", "10.0.0"),
    Equals("source.ip", "fe80::1%eth0"),
    Equals("source.ip", "10.0.0.0/33"),
    Equals("@timestamp", "2026-13-01"),
    Equals("service.name", "\ud800"),
    Equals("labels.a\0b", "x"),
    And((All(), Or((All(), Not(Exists("nowhere")))))),
]


async def test_each_query_finds_exactly_what_it_means(ready: Opened):
    documents = {name: make_document(fields) for name, fields in LINES.items()}
    await put(ready.store, list(documents.values()))
    names = {document.id: name for name, document in documents.items()}

    wrong = {}
    for query, expected in FINDS:
        given = {names[id] for id in await found(ready.store.reader, query)}
        if given != expected:
            wrong[query] = f"expected {sorted(expected)}, found {sorted(given)}"

    assert {} == wrong


async def test_random_queries_find_what_the_definition_finds_in_both_directions(ready: Opened):
    print(f"LOGSYNC_TEST_SEED={SEED:x}")
    rng = random.Random(SEED)
    documents = random_corpus(rng, 400)
    await put(ready.store, documents)
    parsed = [orjson.loads(document.body) for document in documents]
    order = sorted(range(len(documents)), key=lambda i: (parsed[i]["@timestamp"], documents[i].id))
    # Years before 1970 sort as text as they do as numbers: four digits, from 0001 to 9999.

    wrong, with_hits = [], 0
    for _ in range(150):
        query = random_query(rng, parsed)
        expected = [documents[i].id for i in order if matches(query, parsed[i])]
        upwards = await all_hits(ready.store.reader, SearchRequest(query, order="asc", limit=170))
        downwards = await all_hits(ready.store.reader, SearchRequest(query, order="desc", limit=170))
        with_hits += bool(expected)
        if [hit.id for hit in upwards] != expected or [hit.id for hit in downwards] != expected[::-1]:
            missing = set(expected) - {hit.id for hit in upwards}
            extra = {hit.id for hit in upwards} - set(expected)
            wrong.append((query, [doc for doc in parsed if doc["event"]["id"] in missing | extra][:2], missing, extra))

    assert [] == wrong
    assert with_hits > 75


async def test_each_query_that_cannot_be_answered_is_refused_with_a_reason(opened: Opened):
    await opened.store.admin.prepare()

    answered: list[tuple[Query, object]] = []
    for query in INVALID:
        try:
            answered.append((query, await opened.store.reader.search(SearchRequest(query))))
        except InvalidQuery as refused:
            if not refused.detail:
                answered.append((query, "refused without a word"))

    assert [] == answered
