"""Exports: complete, in order, streamed, and safe to open as a spreadsheet."""

from __future__ import annotations

import csv
import gzip
import io
import json

import httpx
import pytest

from logsync_streams.errors import Unavailable
from logsync_streams.query.export import _safe
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage.memory import MemoryStore
from tests.query import client_over, log, store_with

SMALL_PAGES = QueryHttpSettings(max_hits=10)


async def exported(client: httpx.AsyncClient, **parameters: str) -> httpx.Response:
    response = await client.get("/api/logs/export", params=parameters)

    assert 200 == response.status_code, response.text
    return response


async def test_every_log_is_exported_once_in_order_past_any_page():
    documents = [log(n, labels={"x": n}) for n in range(95)]
    async with client_over(await store_with(*documents), SMALL_PAGES) as client:
        down = (await exported(client)).text.splitlines()
        up = (await exported(client, sort="asc", limit="42")).text.splitlines()

    assert [document.id for document in documents] == [json.loads(line)["id"] for line in down]
    assert [document.id for document in documents[::-1]][:42] == [json.loads(line)["id"] for line in up]


async def test_ndjson_has_the_whole_document_or_the_fields_asked_for():
    document = log(1, service={"name": "a", "version": "1"}, labels={"x": {"y": 1}, "z": 2})
    async with client_over(await store_with(document)) as client:
        whole = json.loads((await exported(client)).text)
        part = json.loads((await exported(client, fields="service,labels.x.y")).text)

    assert {**json.loads(document.body), "id": document.id, "index": "logsync-default-2026.11.24-000001"} == whole
    assert {"service": {"name": "a"}, "labels": {"x": {"y": 1}}} == {k: part[k] for k in ("service", "labels")}
    assert "message" not in part


async def test_csv_has_a_head_and_one_row_a_log_whatever_is_in_it():
    hostile = '=HYPERLINK("http://x","y"),\n"quoted"'
    document = log(1, message=hostile, service={"name": "+1+cmd|' /C calc'!A0"}, labels={"n": [1, {"a": None}]})
    async with client_over(await store_with(document)) as client:
        response = await exported(client, format="csv", fields="timestamp,service,message,labels.n,host,id")
    rows = list(csv.reader(io.StringIO(response.text, newline="")))

    assert ["timestamp", "service.name", "message", "labels.n", "host.name", "event.id"] == rows[0]
    assert ["'+1+cmd|' /C calc'!A0", f"'{hostile}", '[1,{"a":null}]', "", document.id] == rows[1][1:]
    assert "attachment" in response.headers["content-disposition"]


@pytest.mark.parametrize("text", ["=1", "@x", "-1+1", "+a", "\t=1", "\r=1", "  =1", "=", "-", "＝1", "\n=1"])
def test_no_cell_is_a_formula(text):
    assert _safe(text).startswith("'")


@pytest.mark.parametrize("text", ["-5", "+5.25", "a=b", "", "2026-11-24", "{}"])
def test_what_is_no_formula_stays_as_it_is(text):
    assert text == _safe(text)


async def test_an_export_is_compressed_for_who_takes_it():
    async with (
        client_over(await store_with(*[log(n) for n in range(50)]), SMALL_PAGES) as client,
        client.stream("GET", "/api/logs/export", headers={"Accept-Encoding": "gzip"}) as response,
    ):
        raw = b"".join([piece async for piece in response.aiter_raw()])

    assert "gzip" == response.headers["content-encoding"]
    assert 50 == len(gzip.decompress(raw).splitlines())


class GoesAway(MemoryStore):
    answers = 1

    async def search(self, request):
        self.answers -= 1
        if self.answers < 0:
            raise Unavailable("gone")
        return await super().search(request)


@pytest.mark.parametrize(("answers", "expected"), [(0, 503), (1, None)])
async def test_a_store_that_goes_away_is_a_503_before_the_first_byte_and_a_broken_answer_after_it(answers, expected):
    store = GoesAway()
    await store.create("logsync-default-2026.11.24")
    await store.write([log(n) for n in range(30)])
    store.answers = answers
    async with client_over(store, SMALL_PAGES) as client:
        response = await client.get("/api/logs/export")

    if expected:
        assert expected == response.status_code
    else:
        assert len(response.text.splitlines()) < 30


async def test_an_export_of_nothing_is_empty_and_csv_has_its_head():
    async with client_over(await store_with()) as client:
        assert "" == (await exported(client)).text
        assert "timestamp,log.level,service.name,host.name,message\r\n" == (await exported(client, format="csv")).text
