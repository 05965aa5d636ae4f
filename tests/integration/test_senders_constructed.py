"""What Fluentd and Fluent Bit send over HTTP, which cannot be installed here.

Constructed from the specification, not recorded: Fluentd 1.13 and newer, `out_http` with `json_array` false and true
(plugin/out_http.rb); Fluent Bit 1.8 to 3, `out_http` with `format` json, json_stream, json_lines, msgpack and gelf,
`header_tag`, gzip (plugins/out_http/http.c).
"""

from __future__ import annotations

import gzip

import httpx
import msgpack
import orjson
import pytest

from tests.integration.running_collector import RunningCollector

AT = 1_714_566_900
MS = AT * 1000 + 250
RECORDS = [{"log": "one", "level": "warn"}, {"log": "two", "level": "warn"}]
DATED = [{"date": AT + 0.25, **record} for record in RECORDS]
EVENT_TIME = msgpack.ExtType(0, AT.to_bytes(4, "big") + (250_000_000).to_bytes(4, "big"))
GELF = [
    {"version": "1.1", "host": "h", "short_message": record["log"], "level": 4, "timestamp": AT + 0.25}
    for record in RECORDS
]


def lines(records, between=b"\n"):
    return between.join(map(orjson.dumps, records))


CASES = {
    "Fluentd, json_array false": ("application/x-ndjson", lines(RECORDS) + b"\n", False),
    "Fluentd, json_array true": ("application/json", orjson.dumps(RECORDS), False),
    "Fluent Bit, json": ("application/json", orjson.dumps(DATED), True),
    "Fluent Bit, json_stream": ("application/json", lines(DATED, b""), True),
    "Fluent Bit, json_lines": ("application/x-ndjson", lines(DATED) + b"\n", True),
    "Fluent Bit before 1.9, json_lines": ("application/json", lines(DATED) + b"\n", True),
    "Fluent Bit, iso8601 dates": (
        "application/json",
        orjson.dumps([{"date": "2024-05-01T12:35:00.250000Z", **record} for record in RECORDS]),
        True,
    ),
    "Fluent Bit, msgpack": (
        "application/msgpack",
        b"".join(msgpack.packb([EVENT_TIME, record]) for record in RECORDS),
        True,
    ),
    "Fluent Bit 2.1, msgpack with metadata": (
        "application/msgpack",
        b"".join(msgpack.packb([[EVENT_TIME, {}], record]) for record in RECORDS),
        True,
    ),
    "Fluent Bit, gelf": ("application/json", lines(GELF), True),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("tag", ["path", "header", "key", "none"])
def test_constructed_from_the_specification(tag, packed):
    with RunningCollector(doors=[]) as collector:
        for name, case in CASES.items():
            if tag == "key" and "msgpack" in case[0]:
                continue
            check(collector, name, *case, tag=tag, packed=packed)


def check(collector, name, content_type, body, dated, *, tag, packed):
    headers = {"content-type": content_type}
    path = "/api/fluentd/logs"
    if tag == "path":
        path += "/app.web"
    elif tag == "header":
        headers["x-fluent-tag"] = "app.web"
    elif tag == "key":
        body = body.replace(b'"level"', b'"tag":"app.web","level"')
    if packed:
        headers["content-encoding"] = "gzip"
        body = gzip.compress(body)
    collector.publisher.envelopes.clear()
    answer = httpx.post(collector.url + path, content=body, headers=headers)
    fields = collector.fields("fluentd")

    assert (202, 2) == (answer.status_code, answer.json()["accepted"]), name
    assert ["one", "two"] == [one["message"] for one in fields], name
    assert {"warn"} == {one["log"]["level"] for one in fields}, name
    assert {None if tag == "none" else "app.web"} == {one.get("service", {}).get("name") for one in fields}, name
    assert {MS if dated else None} == {one.get("@timestamp") for one in fields}, name


def test_bad_records_are_listed_and_the_good_ones_taken():
    with RunningCollector(doors=[]) as collector:
        url = collector.url + "/api/fluentd/logs/t"
        some = httpx.post(
            url, content=b'{"log":"a"}\nno\n{"log":"b"}', headers={"content-type": "application/x-ndjson"}
        )
        packed = msgpack.packb([EVENT_TIME, 5]) + msgpack.packb([EVENT_TIME, {"log": "c"}])
        some_packed = httpx.post(url, content=packed, headers={"content-type": "application/msgpack"})
        none = httpx.post(url, content=b"\xc1", headers={"content-type": "application/msgpack"})

    assert [(207, 2, [2]), (207, 1, [1])] == [
        (answer.status_code, answer.json()["accepted"], [one["line"] for one in answer.json()["refused"]])
        for answer in (some, some_packed)
    ]
    assert 400 == none.status_code


def test_while_kafka_is_away_fluentd_is_told_to_come_again():
    with RunningCollector(doors=[]) as collector:
        collector.publisher.refuse_with = "away"
        answer = httpx.post(collector.url + "/api/fluentd/logs", content=b"{}")

    # 503 is what Fluentd's retryable_response_codes has by default.
    assert (503, "1") == (answer.status_code, answer.headers["retry-after"])
