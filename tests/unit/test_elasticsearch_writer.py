import asyncio
from collections.abc import AsyncIterator, Callable

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import StoreSettings
from logsync_streams.storage.api import DUPLICATE, STORED, Document, Reaction
from logsync_streams.storage.elasticsearch_client import MODERN, Abilities, BulkJson, connect
from logsync_streams.storage.elasticsearch_writer import ElasticsearchWriter, bulk_body, unfit, with_search_fields

TARGET = "logsync-default-2026.11.24"
GEN_1, GEN_2 = f"{TARGET}-000001", f"{TARGET}-000002"
OLD = Abilities(flattened=False, lists_ignored=False)


def document(id: str = "1", body: bytes = b'{"@timestamp":"2026-11-24T21:56:37.123Z"}') -> Document:
    return Document(TARGET, id, body)


def answer(body: object, status: int = 200) -> web.Response:
    headers = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}
    return web.Response(body=orjson.dumps(body), status=status, headers=headers)


def created(status: int = 201, index: str = GEN_1, error: dict[str, str] | None = None) -> dict[str, object]:
    return {"create": {"_index": index, "status": status, **({"error": error} if error else {})}}


class Server:
    """Answers like Elasticsearch: `bulk` is what the next bulk request gets, `behind` the indices of the alias."""

    def __init__(self) -> None:
        self.behind = [GEN_1]
        self.held: set[tuple[str, str]] = set()
        self.deleted: list[str] = []
        self.bulks: list[bytes] = []
        self.refusal = 0
        self.bulk: Callable[[], web.Response] = lambda: answer({"items": [created()]})

    async def handle(self, request: web.Request) -> web.Response:
        if self.refusal and not request.path.startswith("/_nodes"):
            return answer({"error": {"type": "security_exception", "reason": "no"}}, self.refusal)
        if request.path == "/_bulk":
            self.bulks.append(await request.read())
            return self.bulk()
        if request.path == "/_mget":
            asked = orjson.loads(await request.read())["docs"]
            return answer({"docs": [{**one, "found": (one["_index"], one["_id"]) in self.held} for one in asked]})
        if request.path.endswith("/_alias"):
            return answer({index: {"aliases": {TARGET: {}}} for index in self.behind})
        if request.method == "DELETE":
            self.deleted.append(request.path)
            return answer({"result": "deleted"})
        return answer({"nodes": {"x": {"version": "8.19.8", "build_flavor": "default"}}})


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, ElasticsearchWriter]]:
    stub = Server()
    app = web.Application(client_max_size=10**8)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    running = TestServer(app)
    await running.start_server()
    url = f"http://127.0.0.1:{running.port}"
    writer = ElasticsearchWriter(connect(StoreSettings(elasticsearch_urls=[url], request_timeout_seconds=5)))
    yield stub, writer
    await writer.close()
    await running.close()


async def test_each_document_gets_its_own_answer_in_order(server):
    stub, writer = server
    error = {"type": "es_rejected_execution_exception", "reason": "full"}
    stub.bulk = lambda: answer({"items": [created(), created(409), created(429, error=error)]})

    outcomes = await writer.write([document("1"), document("2"), document("3")])

    assert ["stored", "duplicate", "retry"] == [outcome.reaction.value for outcome in outcomes]


async def test_what_would_spoil_the_whole_request_is_left_out_of_it(server):
    stub, writer = server

    outcomes = await writer.write([document("1", b""), document("2"), document("x" * 600), document("", b"{}")])

    assert ["dead_letter", "stored", "dead_letter", "dead_letter"] == [one.reaction.value for one in outcomes]
    assert 1 == stub.bulks[0].count(b'"create"')


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: answer({"error": "big"}, 413), ("split", "too_large")),
        (
            lambda: web.Response(text="<html>too large</html>", content_type="text/html", status=413),
            ("split", "too_large"),
        ),
        (
            lambda: answer({"error": {"type": "es_rejected_execution_exception"}}, 429),
            ("retry", "es_rejected_execution_exception"),
        ),
        (lambda: answer({"error": {"type": "security_exception"}}, 401), ("hold", "security_exception")),
        (lambda: web.Response(text="bad gateway", status=502), ("retry", "status_502")),
        (lambda: answer({"items": []}), ("retry", "bad_answer")),
        (
            lambda: web.Response(body=b'{"items":[{"cre', headers={"Content-Type": "application/json"}),
            ("retry", "connection"),
        ),
        (lambda: web.Response(text="hello from a proxy", content_type="text/html"), ("retry", "connection")),
    ],
)
async def test_what_befalls_the_request_befalls_each_document(server, made, expected):
    stub, writer = server
    stub.bulk = made

    outcomes = await writer.write([document("1"), document("2")])

    assert [expected] * 2 == [(outcome.reaction.value, outcome.reason) for outcome in outcomes]


async def test_a_server_that_is_away_is_tried_again():
    writer = ElasticsearchWriter(connect(StoreSettings(elasticsearch_urls=["http://127.0.0.1:1"])))

    outcomes = await writer.write([document()])
    await writer.close()

    assert [(Reaction.RETRY, "connection")] == [(outcome.reaction, outcome.reason) for outcome in outcomes]


async def test_a_user_without_rights_is_held_at_the_first_look_already(server):
    stub, writer = server
    stub.refusal = 403

    outcomes = await writer.write([document()])

    assert [(Reaction.HOLD, "security_exception")] == [(outcome.reaction, outcome.reason) for outcome in outcomes]


async def test_an_id_of_an_earlier_generation_is_not_written_again(server):
    stub, writer = server
    stub.behind, stub.held = [GEN_1, GEN_2], {(GEN_1, "old")}
    stub.bulk = lambda: answer({"items": [created(index=GEN_2)]})

    assert [DUPLICATE, STORED] == await writer.write([document("old"), document("new")])
    assert b'"old"' not in stub.bulks[0]


async def test_a_generation_that_another_process_opened_leaves_no_second_copy(server):
    stub, writer = server
    assert [STORED] == await writer.write([document("first")])
    stub.behind, stub.held = [GEN_1, GEN_2], {(GEN_1, "first")}
    stub.bulk = lambda: answer({"items": [created(index=GEN_2), created(index=GEN_2)]})

    assert [DUPLICATE, STORED] == await writer.write([document("first"), document("second")])
    assert [f"/{GEN_2}/_doc/first"] == stub.deleted


def test_a_password_file_that_cannot_be_read_stops_the_start(tmp_path):
    with pytest.raises(ConfigurationError, match="PASSWORD_FILE"):
        connect(StoreSettings(username="logsync", password_file=tmp_path / "missing"))


def test_a_log_without_a_time_has_no_place_in_the_order():
    outcome = unfit(document(body=b'{"message":"boom"}'))

    assert outcome is not None
    assert "mapping" == outcome.category


def test_a_label_that_is_too_long_is_listed_and_the_document_keeps_its_bytes():
    body = b'{"n":1e3,"labels":{"short":"x","long":"' + b"x" * 2000 + b'"}}'

    assert body[:-1] + b',"logsync.present":["labels.long"]}' == with_search_fields(body, MODERN)


def test_a_keyword_that_is_too_long_is_listed_where_the_server_keeps_no_list():
    body = b'{"user":{"name":"' + b"x" * 2000 + b'"}}'

    assert body == with_search_fields(body, MODERN)
    assert body[:-1] + b',"logsync.present":["user.name"]}' == with_search_fields(body, OLD)


@pytest.mark.parametrize("body", [b'{"labels":{"a":"b"', b"[1]", b'{"labels":5}', b'{"labels":{}}'])
def test_what_has_no_labels_stays_as_it_is(body):
    assert body == with_search_fields(body, OLD)


ITEM = b'{"create":{"_index":"logsync-default-2026.11.24-000001","status":201}}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"items":[' + b",".join([ITEM] * 3) + b"]}",
        b'{"items":[' + ITEM + b"]}",
        b'{"items":[' + b",".join([ITEM, ITEM.replace(b"201", b"409"), ITEM]) + b"]}",
        b'{"items":[' + b",".join([ITEM, ITEM]) + b'],"errors":false}',
        b'{"items":[{"create":{"error":{"reason":"}}"}}},{"create":{"error":{"reason":"}}"}}}]}',
        b'{"items":[]}',
        b'{"items":[{},{}]}',
        b'{"items":["a}}","a}}"]}',
        b'{"took":1}',
        b"[1]",
    ],
)
def test_an_answer_is_read_the_same_whether_its_items_are_alike_or_not(body):
    assert orjson.loads(body) == BulkJson().json_loads(body)


@pytest.mark.parametrize("body", [b'{"items":[' + ITEM, b'{"items":[' + ITEM + b",]}", b'{"items":[{"a":"}}]}', b""])
def test_an_answer_that_breaks_off_is_no_answer(body):
    with pytest.raises(orjson.JSONDecodeError):
        BulkJson().json_loads(body)


def test_labels_are_looked_for_after_the_long_texts_only():
    original = b'{"event":{"original":"\\"labels\\":{' + b"x" * 2000 + b'"},'
    short = original + b'"labels":{"a":"b"}}'
    long = original + b'"labels":{"a":"' + b"x" * 2000 + b'"}}'

    assert [b"logsync.present" in bulk_body([document(body=body)], MODERN) for body in (short, long)] == [False, True]
    assert [b"logsync.present" in bulk_body([document(body=body)], OLD) for body in (short, long)] == [False, True]


async def test_a_write_ends_in_the_time_of_one_request_however_many_it_makes_and_is_tried_again(server, monkeypatch):
    _, writer = server
    writer._connection.store = StoreSettings(request_timeout_seconds=0.05)

    async def ask_and_ask(_):
        await asyncio.Event().wait()

    monkeypatch.setattr(writer._generations, "stored_earlier", ask_and_ask)
    outcomes = await asyncio.wait_for(writer.write([document("1"), document("2")]), 30)

    assert [(Reaction.RETRY, "timeout")] * 2 == [(one.reaction, one.reason) for one in outcomes]
