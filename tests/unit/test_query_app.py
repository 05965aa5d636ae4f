import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from starlette.routing import Route

from logsync_streams.errors import Unavailable
from logsync_streams.events import event_id
from logsync_streams.query.app import create_app
from logsync_streams.query.openapi import DOCUMENT
from logsync_streams.query.parameters import SEARCH_PARAMETERS, decode_cursor, encode_cursor
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.api import Cursor, Hit, Page, SearchRequest
from logsync_streams.storage.memory import MemoryStore
from tests.query import NOW, TARGET, client_of, log, store_with

SETTINGS = Settings(query=QueryHttpSettings(max_hits=100, max_clauses=8, timeout_seconds=0.2))


class Asked(MemoryStore):
    """Remembers what it was asked; answers with nothing, late, or not at all."""

    def __init__(self, seconds: float = 0, error: Exception | None = None) -> None:
        super().__init__()
        self.requests: list[SearchRequest] = []
        self._seconds, self._error = seconds, error

    async def search(self, request: SearchRequest) -> Page:
        self.requests.append(request)
        await self._behave()
        return await super().search(request)

    async def get(self, id: str) -> Hit | None:
        await self._behave()
        return await super().get(id)

    async def ready(self) -> None:
        await self._behave()

    async def _behave(self) -> None:
        if self._error is not None:
            raise self._error
        await asyncio.sleep(self._seconds)


def client_over(store: MemoryStore, rates: Callable[[], dict[str, object]] | None = None) -> httpx.AsyncClient:
    return client_of(create_app(store, SETTINGS, rates=rates, now=lambda: NOW))


@pytest.fixture
async def asked() -> Asked:
    return Asked()


@pytest.fixture
async def client(asked: Asked) -> AsyncIterator[httpx.AsyncClient]:
    async with client_over(asked) as client:
        yield client


async def test_a_search_answers_the_stored_documents_with_id_and_index():
    document = log(1, service={"name": "auth"}, log={"level": "error"})
    async with client_over(await store_with(document, log(2))) as client:
        response = await client.get("/api/logs/search", params={"q": "service:auth level:ERROR"})
    body = response.json()
    body["took_ms"] = 0

    assert {
        "total": {"value": 1, "relation": "eq"},
        "took_ms": 0,
        "hits": [{**json.loads(document.body), "id": document.id, "index": f"{TARGET}-000001"}],
        "cursor": None,
        "highlights": {document.id: {"log.level": [[0, 5]], "service.name": [[0, 4]]}},
    } == body
    assert "application/json" == response.headers["content-type"]


@pytest.mark.parametrize("sort", ["desc", "asc"])
async def test_the_cursor_leads_through_every_log_once(sort):
    documents = [log(number) for number in range(10)]
    found: list[str] = []
    async with client_over(await store_with(*documents)) as client:
        parameters = {"sort": sort, "limit": "3"}
        while True:
            body = (await client.get("/api/logs/search", params=parameters)).json()
            found += [hit["id"] for hit in body["hits"]]
            if body["cursor"] is None:
                break
            parameters["cursor"] = body["cursor"]

    ids = [document.id for document in documents]
    assert (ids if sort == "desc" else ids[::-1]) == found


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("now-15m", "", (NOW - 900_000, None)),
        ("now-2d", "now", (NOW - 2 * 86_400_000, NOW)),
        ("now", "now+1h", (NOW, NOW + 3_600_000)),
        ("", "", (None, None)),
        ("2026-11-24T10:00:00Z", "2026-11-24T12:00:00.250+01:00", (NOW - 50_400_000, NOW - 46_799_750)),
        ("2026-11-24", "2026-11-24T10:00:00", (NOW - 86_400_000, NOW - 50_400_000)),
        ("0", str(NOW), (0, NOW)),
        ("-5", "5", (-5, 5)),
    ],
)
async def test_times_are_absolute_or_relative_to_now(asked, client, start, end, expected):
    response = await client.get("/api/logs/search", params={"from": start, "to": end})

    assert 200 == response.status_code
    assert expected == (asked.requests[0].start, asked.requests[0].end)


async def test_the_parameters_that_name_a_field_narrow_the_search():
    documents = [
        log(1, service={"name": "auth", "environment": "production"}, log={"level": "warn"}, host={"name": "a"}),
        log(2, service={"name": "web", "environment": "production"}, log={"level": "error"}, host={"name": "b"}),
        log(3, service={"name": "db", "environment": "staging"}, log={"level": "error"}, host={"name": "a"}),
    ]
    async with client_over(await store_with(*documents)) as client:

        async def found(*parameters: tuple[str, str]) -> list[int]:
            body = (await client.get("/api/logs/search", params=httpx.QueryParams(parameters))).json()
            return [int(hit["message"].split()[1]) for hit in body["hits"]]

        assert [1] == await found(("level", "WARNING"))
        assert [2] == await found(("service", "web"), ("environment", "production"))
        assert [1, 3] == await found(("service", "auth"), ("service", "db"))
        assert [3] == await found(("host", "a"), ("q", "level:error"), ("service", ""))


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        ("q=servce:auth", "q", "did you mean service?"),
        ("q=a&q=b", "q", "more than once"),
        ("levl=error", "levl", "did you mean level?"),
        ("limit=0", "limit", "from 1 to 100"),
        ("limit=101", "limit", "from 1 to 100"),
        ("limit=ten", "limit", "from 1 to 100"),
        ("limit=1e1", "limit", "from 1 to 100"),
        ("sort=up", "sort", "desc"),
        ("from=yesterday", "from", "no time"),
        ("to=2026-13-01", "to", "no time"),
        ("from=now-99999999999d", "from", "no time"),
        ("from=now-999999999d", "from", "no time"),
        ("to=999999999999999", "to", "no time"),
        ("from=now&to=now-1h", "from", "before to"),
        ("from=5&to=5", "from", "before to"),
        ("cursor=nonsense", "cursor", "damaged"),
        ("cursor=%00", "cursor", "damaged"),
        ("cursor=WzEsMl0", "cursor", "damaged"),  # [1,2]
        ("cursor=" + "A" * 5000, "cursor", "damaged"),
        ("q=" + "a+" * 20, "q", "more than 8"),
        ("q=" + "a" * 3000, "q", "3000 bytes"),
        ("service=" + "a" * 3000, "service", "too long"),
        ("&".join(["level=x"] * 9), "level", "too often"),
    ],
)
async def test_a_wrong_parameter_is_a_400_that_names_it_and_the_store_is_not_asked(
    asked, client, query, parameter, words
):
    response = await client.get(f"/api/logs/search?{query}")

    assert (400, "application/problem+json") == (response.status_code, response.headers["content-type"])
    assert parameter == response.json()["parameter"]
    assert words in response.text
    assert [] == asked.requests


async def test_a_bad_query_says_the_column_and_a_hint(client):
    response = await client.get("/api/logs/search", params={"q": 'ok "never ends'})
    problem = response.json()

    assert (4, 'add " or write \\"') == (problem["column"], problem["hint"])
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= problem.keys()


@pytest.mark.parametrize("path", ["/api/logs/search", "/api/logs/x", "/readyz"])
async def test_a_store_that_is_away_is_a_503_that_says_when_to_come_back(path):
    async with client_over(Asked(error=Unavailable("the store is away", retry_after_seconds=7))) as client:
        response = await client.get(path)

    assert (503, "7") == (response.status_code, response.headers["retry-after"])
    assert "the store is away" == response.json()["detail"]


@pytest.mark.parametrize("path", ["/api/logs/search", "/api/logs/x", "/readyz"])
async def test_a_store_that_does_not_answer_in_time_is_a_503(path):
    async with client_over(Asked(seconds=3600)) as client:
        response = await client.get(path)

    assert 503 == response.status_code
    assert "0.2 s" in response.json()["detail"]


async def test_an_unforeseen_error_tells_the_client_nothing_but_the_request_id():
    async with client_over(Asked(error=ValueError("secret of the store"))) as client:
        response = await client.get("/api/logs/search", headers={"X-Request-Id": "abc-1"})

    assert (500, "application/problem+json") == (response.status_code, response.headers["content-type"])
    assert "abc-1" == response.json()["request_id"]
    assert "secret" not in response.text


async def test_one_log_is_answered_by_its_id_and_404_when_there_is_none():
    document = log(1)
    async with client_over(await store_with(document)) as client:
        found = await client.get(f"/api/logs/{document.id}")
        missing = await client.get("/api/logs/nothing")
        wrong = await client.get(f"/api/logs/{document.id}?q=x")

    assert {**json.loads(document.body), "id": document.id, "index": f"{TARGET}-000001"} == found.json()
    assert (404, 404) == (missing.status_code, missing.json()["status"])
    assert (400, "q") == (wrong.status_code, wrong.json()["parameter"])


async def test_error_rates_are_what_is_handed_in_and_503_without():
    async with client_over(MemoryStore(), lambda: {"services": []}) as client:
        assert {"services": []} == (await client.get("/api/error-rates")).json()
    async with client_over(MemoryStore()) as client:
        assert 503 == (await client.get("/api/error-rates")).status_code


async def test_health_readiness_and_metrics(client):
    assert {"status": "ok"} == (await client.get("/healthz")).json()
    assert {"status": "ready"} == (await client.get("/readyz")).json()
    assert "logsync_query_duration_seconds" in (await client.get("/metrics")).text


async def test_unknown_paths_and_methods_are_problems_too(client):
    missing = await client.get("/api/nothing")
    refused = await client.post("/api/logs/search")

    assert (404, "application/problem+json") == (missing.status_code, missing.headers["content-type"])
    assert (405, "GET, HEAD") == (refused.status_code, ", ".join(sorted(refused.headers["allow"].split(", "))))


async def test_the_openapi_document_names_every_route_and_every_parameter(client):
    app = create_app(MemoryStore(), SETTINGS)
    routes = {route.path_format for route in app.routes if isinstance(route, Route)} - {"/"}
    described = {parameter["name"] for parameter in DOCUMENT["paths"]["/api/logs/search"]["get"]["parameters"]}

    assert routes == DOCUMENT["paths"].keys()
    assert set(SEARCH_PARAMETERS) == described
    assert DOCUMENT == (await client.get("/openapi.json")).json()


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/static/style.css", "/api/logs/search", "/nothing"])
async def test_every_answer_forbids_a_browser_to_run_what_a_log_says(client, path):
    headers = (await client.get(path)).headers

    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert "nosniff" == headers["x-content-type-options"]


@pytest.mark.parametrize("host", ["localhost:8082", "LOCALHOST", "127.0.0.1", "[::1]:8082", "[::1]"])
async def test_our_own_host_names_are_answered(client, host):
    assert 200 == (await client.get("/healthz", headers={"Host": host})).status_code


@pytest.mark.parametrize(
    "host", ["evil.example:8082", "localhost.evil.example", "[::2]:8082", "127.0.0.1.evil.example"]
)
async def test_a_page_of_another_site_whose_name_leads_to_us_reads_nothing(asked, client, host):
    response = await client.get("/api/logs/search", headers={"Host": host})

    assert (421, "application/problem+json") == (response.status_code, response.headers["content-type"])
    assert [] == asked.requests


async def test_a_proxys_name_is_answered_once_it_is_allowed():
    settings = Settings(query=QueryHttpSettings(allowed_hosts=["logs.example"]))
    async with client_of(create_app(MemoryStore(), settings)) as client:
        answers = [(await client.get("/healthz", headers={"Host": host})).status_code for host in ("logs.example", "b")]

    assert [200, 421] == answers


async def test_a_request_id_is_taken_over_when_it_is_tame_and_made_otherwise(client):
    kept = await client.get("/healthz", headers={"X-Request-Id": "trace-1"})
    made = await client.get("/healthz", headers={"X-Request-Id": 'x" onload="'})

    assert "trace-1" == kept.headers["x-request-id"]
    assert 32 == len(made.headers["x-request-id"])


async def test_long_answers_are_compressed_for_who_takes_it():
    documents = [log(number, labels={"filling": "x" * 100}) for number in range(50)]
    async with (
        client_over(await store_with(*documents)) as client,
        client.stream("GET", "/api/logs/search", headers={"Accept-Encoding": "gzip"}) as response,
    ):
        raw = b"".join([chunk async for chunk in response.aiter_raw()])

    assert "gzip" == response.headers["content-encoding"]
    assert 50 == len(json.loads(gzip.decompress(raw))["hits"])


@pytest.mark.parametrize("cursor", [Cursor(0, "x"), Cursor(-1, event_id("f" * 32, 7)), Cursor(NOW, "é/+")])
def test_a_cursor_reads_back_and_needs_no_quoting_in_a_url(cursor):
    text = encode_cursor(cursor)

    assert cursor == decode_cursor(text)
    assert str(httpx.QueryParams({"cursor": text})) == f"cursor={text}"
