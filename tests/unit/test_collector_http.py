import asyncio
import gzip

import httpx
import orjson
import pytest

from logsync_streams.cli.explain_door import explainer
from logsync_streams.collector.http import create_app
from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.events import receive_day
from logsync_streams.settings import CollectorSettings, Settings

NOW = 1_714_566_900_000
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
def publisher():
    return MemoryPublisher(lambda: NOW)


@pytest.fixture
def client(publisher):
    return client_of(publisher)


def client_of(publisher, **options):
    settings = CollectorSettings(max_body_bytes=4096, max_event_bytes=2048, receive_timeout_seconds=0.2)
    transport = httpx.ASGITransport(create_app(publisher, settings, **options), client=("192.0.2.7", 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://collector")


async def test_an_accepted_log_is_in_an_envelope_as_it_was_sent(client, publisher):
    body = b'{"service": "auth-service", "message": "boom"}'
    answer = await client.post("/api/logs", content=body)

    assert 202 == answer.status_code
    (envelope,) = publisher.envelopes
    assert {"accepted": 1, "envelope_ids": [envelope.id]} == answer.json()
    assert ("http", "json", "192.0.2.7", (body,), NOW, "") == (
        envelope.source,
        envelope.format,
        envelope.peer,
        envelope.events,
        envelope.received_at,
        envelope.key,
    )


async def test_the_same_key_gives_the_same_event_ids_and_another_body_others(client, publisher):
    for body in (b'{"a":1}\n{"a":2}', b'{"a":1}\n{"a":2}', b'{"a":1}\n{"a":3}'):
        await client.post("/api/logs", content=body, headers=NDJSON | {"idempotency-key": "k1"})
    await client.post("/api/logs", content=b'{"a":1}\n{"a":2}', headers=NDJSON | {"idempotency-key": "k2"})

    first, again, changed, other_key = (envelope.event_ids() for envelope in publisher.envelopes)
    assert first == again
    assert (first[0], True) == (changed[0], first[1] != changed[1])
    assert set(first).isdisjoint(other_key)


@pytest.mark.parametrize("key", ["", " ", "x" * 256])
async def test_a_key_that_is_empty_or_too_long_is_refused(client, publisher, key):
    answer = await client.post("/api/logs", content=b"{}", headers={"idempotency-key": key})

    assert (400, []) == (answer.status_code, publisher.envelopes)


async def test_more_events_than_an_envelope_holds_are_in_several(client, publisher):
    answer = await client.post("/api/logs", content=b"{}\n" * 1001, headers=NDJSON)

    assert [500, 500, 1] == [len(envelope.events) for envelope in publisher.envelopes]
    assert {"accepted": 1001, "envelope_ids": [envelope.id for envelope in publisher.envelopes]} == answer.json()


async def test_malformed_json_is_a_problem_document_with_line_and_byte(client):
    answer = await client.post("/api/logs", content=b'{"a": 1,\n "b" 2}')

    assert (400, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    problem = answer.json()
    assert {"type": "about:blank", "title": "Malformed JSON", "status": 400, "line": 2, "byte": 6} == {
        name: problem[name] for name in problem if name != "detail"
    }


async def test_bad_lines_are_listed_beside_what_was_accepted(client, publisher):
    answer = await client.post("/api/logs", content=b'{"a":1}\nnope\n{"b":2}', headers=NDJSON)

    assert (207, 2, 1) == (answer.status_code, answer.json()["accepted"], answer.json()["rejected"])
    assert [2] == [refused["line"] for refused in answer.json()["refused"]]
    assert (b'{"a":1}', b'{"b":2}') == publisher.envelopes[0].events


async def test_a_compressed_body_is_unpacked(client, publisher):
    answer = await client.post("/api/logs", content=gzip.compress(b'{"a":1}'), headers={"content-encoding": "GZIP"})

    assert (202, (b'{"a":1}',)) == (answer.status_code, publisher.envelopes[0].events)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"x" * 4097, {}),
        (gzip.compress(b"x" * 100_000), {"content-encoding": "gzip"}),
        (b'{"a":"' + b"x" * 2048 + b'"}', {}),
    ],
)
async def test_what_is_too_large_is_refused_with_the_limit(client, publisher, body, headers):
    answer = await client.post("/api/logs", content=body, headers=headers)

    assert (413, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    assert answer.json()["limit_bytes"] in (2048, 4096)
    assert [] == publisher.envelopes


async def test_a_body_without_a_length_is_cut_off_at_the_limit(client):
    async def endless():
        while True:
            yield b"x" * 1000

    assert 413 == (await client.post("/api/logs", content=endless())).status_code


async def test_a_body_that_trickles_is_given_up(publisher):
    async def trickling():
        yield b"{"
        await asyncio.Event().wait()

    assert 408 == (await client_of(publisher).post("/api/logs", content=trickling())).status_code


async def test_while_kafka_is_away_senders_are_told_to_come_again(client, publisher):
    publisher.refuse_with = "Kafka cannot be reached"
    answer = await client.post("/api/logs", content=b"{}")

    assert (503, "1", "application/problem+json") == (
        answer.status_code,
        answer.headers["retry-after"],
        answer.headers["content-type"],
    )
    assert "Kafka cannot be reached" == answer.json()["detail"]
    assert (503, 200) == ((await client.get("/readyz")).status_code, (await client.get("/healthz")).status_code)


async def test_a_collector_that_stops_is_not_ready(publisher):
    assert 200 == (await client_of(publisher).get("/readyz")).status_code
    assert 503 == (await client_of(publisher, stopping=lambda: True).get("/readyz")).status_code


async def test_status_says_what_was_acknowledged(client):
    await client.post("/api/logs", content=b"{}\n{}", headers=NDJSON)

    assert {
        "accepted_events": 2,
        "acknowledged": {"logs": {"0": 0}},
        "waiting_events": 0,
        "dropped_events": 0,
    } == (await client.get("/status")).json()


async def test_metrics_are_served_as_prometheus_reads_them(client):
    await client.post("/api/logs", content=b"{")
    answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert 'logsync_collector_rejected_requests_total{source="http",status="400"}' in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/logs", 405), ("POST", "/nowhere", 404)])
async def test_other_paths_and_methods_are_problem_documents(client, method, path, status):
    answer = await client.request(method, path)

    assert (status, "application/problem+json", status) == (
        answer.status_code,
        answer.headers["content-type"],
        orjson.loads(answer.content)["status"],
    )


async def test_explain_answers_what_would_become_of_each_event_and_stores_nothing(publisher):
    publisher.refuse_with = "Kafka is not asked"
    async with client_of(publisher, explain=explainer(Settings())) as client:
        answer = await client.post(
            "/api/logs?explain=1",
            content=b'{"level":"debug","environment":"production","message":"m"}\n{"level":"error","message":"n"}\nno',
            headers=NDJSON,
        )

    first, second = answer.json()["explained"]
    assert (200, [3], []) == (
        answer.status_code,
        [refused["line"] for refused in answer.json()["refused"]],
        publisher.envelopes,
    )
    assert ("dropped", "stored") == (first["outcome"], second["outcome"])
    assert ("n", "error") == (second["document"]["message"], second["document"]["log"]["level"])


async def test_a_key_over_midnight_gives_the_same_ids_on_the_other_day():
    midnight = 1_714_608_000_000
    now = [midnight - 1]
    publisher = MemoryPublisher(lambda: now[0])
    async with client_of(publisher) as client:
        await client.post("/api/logs", content=b"{}", headers={"idempotency-key": "k"})
        now[0] = midnight + 1
        await client.post("/api/logs", content=b"{}", headers={"idempotency-key": "k"})

    before, after = publisher.envelopes
    assert before.event_ids() == after.event_ids()
    assert receive_day(before.received_at) != receive_day(after.received_at)
    assert "" not in (before.key, after.key), "it is the key that has `index` look at the day before"
