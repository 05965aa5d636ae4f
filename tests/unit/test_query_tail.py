"""Live tail: what passes reaches whoever asked for it, once, and nobody waits for a slow client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from logsync_streams.query.app import create_app
from logsync_streams.query.language import parse
from logsync_streams.query.tail import Hub, Listener, Passing, Skipped, events
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.memory import MemoryStore
from tests.browser import serving
from tests.query import client_over, listened_to, log

BODIES = [
    log(n, log={"level": "error" if n % 2 else "info"}, logsync={"words": {"message": "x"}}).body for n in range(10)
]


async def waiting(listener: Listener) -> list[str | Skipped]:
    async with asyncio.timeout(5):
        return [str(one.document["message"]) if isinstance(one, Passing) else one for one in await listener.take()]


async def test_each_client_gets_what_its_own_query_finds_in_order():
    hub = Hub(100)
    errors, everything = hub.listen(parse("level:error")), hub.listen(parse(""))
    hub.publish(BODIES[:4])

    assert ["log 1", "log 3"] == await waiting(errors)
    assert ["log 0", "log 1", "log 2", "log 3"] == await waiting(everything)


async def test_an_id_that_passed_in_the_last_minutes_is_not_shown_again_and_later_it_is():
    now = [0.0]
    hub = Hub(100, clock=lambda: now[0])
    listener = hub.listen(parse(""))
    hub.publish([BODIES[0], BODIES[0]])
    now[0] = 200
    hub.publish([BODIES[0], BODIES[1]])

    assert ["log 0", "log 1"] == await waiting(listener)

    now[0] = 1000
    hub.publish(BODIES[2:3])
    now[0] = 2000
    hub.publish(BODIES[:1])

    assert ["log 2", "log 0"] == await waiting(listener)


async def test_a_slow_client_loses_its_oldest_and_is_told_how_many_and_the_others_lose_nothing():
    hub = Hub(4)
    slow, quick = hub.listen(parse("*")), hub.listen(parse("log*"))
    seen: list[str | Skipped] = []
    for body in BODIES:
        hub.publish([body])
        seen += await waiting(quick)

    assert [f"log {n}" for n in range(10)] == seen
    assert [Skipped(6, "slow"), "log 6", "log 7", "log 8", "log 9"] == await waiting(slow)


async def test_what_waits_for_a_client_is_bounded_in_bytes_too():
    hub = Hub(1000)
    listener = hub.listen(parse(""))
    hub.publish([log(n, labels={"x": "y" * 1_000_000}).body for n in range(10)])

    assert [Skipped(8, "slow"), "log 8", "log 9"] == await waiting(listener)


async def test_who_comes_back_gets_what_passed_since_the_last_log_it_saw():
    hub = Hub(100)
    hub.listen(parse(""))
    hub.publish(BODIES[:5])
    back = hub.listen(parse("level:error"), after=log(1).id)
    lost = hub.listen(parse("level:error"), after=log(9).id)

    assert ["log 3"] == await waiting(back)
    assert [Skipped(0, "unknown", at_least=True)] == await waiting(lost)


async def test_the_hub_is_wanted_only_while_somebody_listens():
    hub = Hub(100)

    assert not hub.wanted.is_set()

    one, other = hub.listen(parse("a")), hub.listen(parse("a"))
    hub.leave(one)

    assert (True, 1) == (hub.wanted.is_set(), hub.listeners)

    hub.leave(other)

    assert (False, 0) == (hub.wanted.is_set(), hub.listeners)


async def test_what_is_no_document_is_left_out():
    hub = Hub(100)
    listener = hub.listen(parse(""))
    hub.publish([b"{", b"[]", b"{}", b'{"event":{"id":5}}', b'{"event":{"id":"a\\nb"}}', BODIES[0]])

    assert ["log 0"] == await waiting(listener)


async def test_an_event_is_one_whatever_the_log_says_and_pings_fill_the_silence():
    hub = Hub(100)
    listener = hub.listen(parse(""))
    stream = events(hub, listener, lambda one: {**one.document, "id": one.id}, ping_seconds=0.01)
    hostile = log(1, labels={"x": "a\n\ndata: b\r\nevent: c"})

    assert b"retry: 2000\n\n" == await anext(stream)
    assert b":\n\n" == await anext(stream)

    hub.publish([hostile.body])
    hub.behind(7)
    event = b""
    while b"event: log" not in event:
        event = await anext(stream)
    skipped, first, rest = event.decode().split("\n\n", 2)

    assert {"logs": 7, "at_least": True, "reason": "behind"} == json.loads(skipped.split("data: ")[1])
    assert ["event: log", f"id: {hostile.id}"] == first.split("\n")[:2]
    assert "a\n\ndata: b\r\nevent: c" == json.loads(first.split("\n")[2].removeprefix("data: "))["labels"]["x"]
    assert "" == rest

    hub.close()

    assert [] == [one async for one in stream if one not in (b":\n\n", b"")]


# ------------------------------------------------------------------------------------------------------------ over HTTP


@pytest.fixture
def hub() -> Hub:
    return Hub(50)


async def read_event(lines: AsyncIterator[str]) -> dict[str, str]:
    event: dict[str, str] = {}
    async with asyncio.timeout(10):
        async for line in lines:
            if line == "" and "data" in event:
                return event
            name, _, value = line.partition(": ")
            event[name] = value
    raise AssertionError("the stream ended")


async def test_a_tail_shows_what_passes_with_its_fields_and_highlights_and_goes_on_after_the_last_id(hub):
    app = create_app(MemoryStore(), Settings(), hub=hub)
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("GET", "/api/logs/tail", params={"q": "log", "level": "ERROR"}) as response:
            lines = response.aiter_lines()
            await listened_to(hub, 1)
            hub.publish(BODIES[:4])
            first, second = await read_event(lines), await read_event(lines)

        assert "text/event-stream; charset=utf-8" == response.headers["content-type"]
        assert (log(1).id, log(3).id) == (first["id"], second["id"])
        assert {"message": [[0, 3]], "log.level": [[0, 5]]} == json.loads(first["data"])["highlights"]
        assert "logsync" not in json.loads(first["data"])

        await listened_to(hub, 0)
        hub.publish(BODIES[4:6])
        parameters = {"q": "log", "fields": "message"}
        async with client.stream(
            "GET", "/api/logs/tail", params=parameters, headers={"Last-Event-ID": log(3).id}
        ) as response:
            lines = response.aiter_lines()
            again = [await read_event(lines), await read_event(lines)]

        assert [log(4).id, log(5).id] == [event["id"] for event in again]
        assert {"@timestamp", "message", "id", "highlights"} == json.loads(again[0]["data"]).keys()


async def test_tails_are_bounded_for_a_client_and_given_back_when_it_goes(hub):
    app = create_app(MemoryStore(), Settings(query=QueryHttpSettings(max_tails_per_client=1)), hub=hub)
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("GET", "/api/logs/tail") as first:
            refused = await client.get("/api/logs/tail")
            head = await client.head("/api/logs/tail")
        await listened_to(hub, 0)
        async with client.stream("GET", "/api/logs/tail") as second:
            pass

    assert (200, 429, 200, 200) == (first.status_code, refused.status_code, head.status_code, second.status_code)
    assert "1" == refused.headers["retry-after"]


async def test_two_hundred_idle_clients_and_one_that_does_not_read_cost_the_one_that_does_nothing(hub):
    app = create_app(MemoryStore(), Settings(query=QueryHttpSettings(max_tails_per_client=300)), hub=hub)
    async with serving(app) as url:
        host, port = url.removeprefix("http://").split(":")
        idle = []
        for number in range(201):
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            query = "nothing" if number < 200 else ""  # the last gets everything, and never reads
            writer.write(f"GET /api/logs/tail?q={query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            idle.append((reader, writer))
        seen = []
        async with httpx.AsyncClient(base_url=url) as client, client.stream("GET", "/api/logs/tail") as response:
            lines = response.aiter_lines()
            await listened_to(hub, 202)
            for number in range(400):
                hub.publish([log(number, labels={"filling": "x" * 20_000}).body])
                seen.append((await read_event(lines))["id"])
        both = [one for _, group in hub._groups.values() for one in group if one.query == parse("")]
        unread = max(both, key=lambda one: one.skipped)

        assert [log(number).id for number in range(400)] == seen
        assert unread.skipped > 0
        assert len(unread.waiting) <= 50
        for _, writer in idle:
            writer.close()


async def test_a_process_that_sees_no_logs_pass_says_so():
    async with client_over(MemoryStore()) as client:
        response = await client.get("/api/logs/tail")

    assert 503 == response.status_code


async def test_a_hub_that_closes_ends_its_tails_so_that_the_server_can_stop(hub):
    app = create_app(MemoryStore(), Settings(), hub=hub)
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", "/api/logs/tail") as response,
    ):
        await listened_to(hub, 1)
        hub.close()
        async with asyncio.timeout(10):
            assert "retry: 2000" in "".join([line async for line in response.aiter_lines()])
