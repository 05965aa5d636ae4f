"""Histogram, facets, fields and context over HTTP, on the in-memory store."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from logsync_streams.query.histograms import suitable_interval
from logsync_streams.storage.counting import bucket_start
from tests.query import NOW, client_over, log, store_with

MINUTE = 60_000


async def answer(client: httpx.AsyncClient, path: str, **parameters: object) -> dict[str, Any]:
    response = await client.get(f"/api/logs/{path}", params={k: str(v) for k, v in parameters.items()})

    assert 200 == response.status_code, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.fixture
async def client():
    levels = ["error", "info", "info", "warn"]
    documents = [
        log(n, log={"level": levels[n % 4]}, service={"name": f"s{n % 3}"}, labels={"order": {"id": n}})
        for n in range(1, 13)
    ]
    async with client_over(await store_with(*documents)) as client:
        yield client


async def test_the_histogram_covers_the_range_with_a_round_interval_and_splits_by_level(client):
    body = await answer(client, "histogram", **{"from": "now-10m", "to": "now", "buckets": 3, "split": "level"})

    assert (5 * MINUTE, NOW - 10 * MINUTE, NOW) == (body["interval_ms"], body["from"], body["to"])
    assert {"field": "log.level", "values": ["info", "error", "warn"]} == body["split"]
    assert [(NOW - 10 * MINUTE, 5, [3, 1, 1]), (NOW - 5 * MINUTE, 5, [3, 1, 1])] == [
        (bucket["start"], bucket["count"], bucket["split"]) for bucket in body["buckets"]
    ]
    assert 10 == body["total"]


async def test_without_a_range_the_histogram_begins_at_the_oldest_log_and_ends_now(client):
    body = await answer(client, "histogram", q="service:s1", interval="1m")

    assert (NOW - 10 * MINUTE, NOW + 1) == (body["from"], body["to"])
    assert 4 == sum(bucket["count"] for bucket in body["buckets"])


async def test_a_histogram_of_nothing_is_empty_and_no_error(client):
    body = await answer(client, "histogram", q="nothing", split="service")

    assert (0, []) == (body["total"], body["split"]["values"])


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("histogram", "interval=5", "interval"),
        ("histogram", "interval=1ms&from=now-1h", "interval"),
        ("histogram", "buckets=501", "buckets"),
        ("histogram", "split=message", "split"),
        ("histogram", "split=level,service", "split"),
        ("histogram", "limit=5", "limit"),
        ("facets", "fields=message", "fields"),
        ("facets", "fields=id", "fields"),
        ("facets", "fields=" + ",".join(f"labels.l{n}" for n in range(21)), "fields"),
        ("facets", "prefix=a", "prefix"),
        ("facets", "prefix=5&fields=source.port", "prefix"),
        ("facets", "limit=0", "limit"),
        ("fields", "sample=0", "sample"),
        ("tail", "from=now", "from"),
        ("tail", "last_event_id=" + "x" * 200, "last_event_id"),
        ("export", "format=xml", "format"),
        ("export", "cursor=x", "cursor"),
        ("search", "highlight=yes", "highlight"),
        ("x/context", "same=message", "same"),
        ("x/context", "before=201", "before"),
        ("x/context", "q=a", "q"),
    ],
)
async def test_a_wrong_parameter_is_a_400_that_names_it(client, path, query, parameter):
    response = await client.get(f"/api/logs/{path}?{query}")

    assert (400, parameter) == (response.status_code, response.json()["parameter"])


async def test_facets_of_several_fields_come_in_one_answer_commonest_first(client):
    body = await answer(client, "facets", q="-level:warn", fields="level,labels.order.id", limit=2)

    assert ["log.level", "labels.order.id"] == [facet["field"] for facet in body["facets"]]
    assert [{"value": "info", "count": 6}, {"value": "error", "count": 3}] == body["facets"][0]["values"]
    assert (False, True, True) == (body["facets"][0]["more"], body["facets"][1]["more"], body["facets"][0]["exact"])


async def test_the_values_of_one_field_are_completed(client):
    body = await answer(client, "facets", fields="labels.order.id", prefix="1", limit=3)

    assert ["1", "10", "11"] == [one["value"] for one in body["facets"][0]["values"]]


async def test_fields_are_all_that_can_be_named_with_the_senders_own_keys_and_how_common_they_are(client):
    body = await answer(client, "fields", q="level:error")
    by_name = {field["name"]: field for field in body["fields"]}

    assert 3 == body["sampled"]
    assert (3, ["level"], True) == tuple(by_name["log.level"][key] for key in ("present", "aliases", "facet"))
    assert ("keyword", 3) == (by_name["labels.order.id"]["type"], by_name["labels.order.id"]["present"])
    assert ("text", False, 0) == tuple(
        by_name["error.message" if key == "present" else "message"][key] for key in ("type", "facet", "present")
    )
    assert "event.original" not in by_name


async def test_context_is_what_stands_before_and_after_in_time_from_the_same_service(client):
    middle = log(6).id
    body = await answer(client, f"{middle}/context", before=1, after=5)

    assert {"service.name": "s0"} == body["same"]
    assert (["log 9"], "log 6", ["log 3"]) == (
        [one["message"] for one in body["before"]],
        body["log"]["message"],
        [one["message"] for one in body["after"]],
    )


async def test_context_of_whoever_wrote_it_and_of_other_fields(client):
    anyone = await answer(client, f"{log(6).id}/context", before=2, after=0, same="none")
    level = await answer(client, f"{log(6).id}/context", before=1, after=1, same="level,source")

    assert (["log 8", "log 7"], []) == ([one["message"] for one in anyone["before"]], anyone["after"])
    assert ({"log.level": "info"}, ["log 9"], ["log 5"]) == (
        level["same"],
        [one["message"] for one in level["before"]],
        [one["message"] for one in level["after"]],
    )


async def test_the_context_of_a_log_that_is_not_there_is_a_404(client):
    assert 404 == (await client.get("/api/logs/nothing/context")).status_code


@pytest.mark.parametrize(
    ("length", "buckets", "expected"),
    [(1, 60, 1), (3_600_000, 60, 60_000), (86_400_000, 48, 1_800_000), (10**14, 10, None), (10, 1, None)],
)
def test_the_interval_is_the_shortest_round_one_that_needs_no_more_buckets(length, buckets, expected):
    interval = suitable_interval(NOW, NOW + length, buckets)

    assert expected in (None, interval)
    assert -(-(NOW + length - bucket_start(NOW, interval)) // interval) <= buckets
