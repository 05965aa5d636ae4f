from __future__ import annotations

import orjson
import pytest

from agents.aside import move_aside
from logsync_streams.enriched import document_id

ID = "0" * 32 + "-00000"
EVENT = {"id": ID, "ingested": "2026-11-24T22:00:00.000Z", "dataset": "default"}


def moved(field: str, **fields: object) -> dict[str, object] | None:
    body = move_aside(orjson.dumps({"event": EVENT, "@timestamp": "2026-11-24T21:00:00.000Z", **fields}), field)
    return None if body is None else orjson.loads(body)


def test_the_refused_field_becomes_a_label_and_the_log_says_so():
    found = moved("service", service="auth", message="boom", labels={"a": "b"}, tags=["x"], logsync={"source": "http"})

    assert {
        "event": EVENT,
        "@timestamp": "2026-11-24T21:00:00.000Z",
        "message": "boom",
        "labels": {"a": "b", "service": "auth"},
        "tags": ["x", "field_moved"],
        "logsync": {"source": "http", "moved_fields": ["service"]},
    } == found


@pytest.mark.parametrize(
    ("field", "fields", "name", "text"),
    [
        ("message", {"message": {"text": "boom"}}, "message", '{"text":"boom"}'),
        ("http.response.status_code", {"http": {"response": {"status_code": [1]}}}, "http.response.status_code", "[1]"),
        ("service.name", {"service": "auth"}, "service", "auth"),
        ("a.b.c", {"a.b": {"c": 1}}, "a.b.c", "1"),
        ("error.type.text", {"error": {"type": "X"}}, "error.type", "X"),
        ("labels", {"labels": "no object"}, "labels", "no object"),
    ],
)
def test_the_field_is_found_however_it_is_written(field, fields, name, text):
    found = moved(field, **fields)

    assert found is not None
    assert ({name: text}, {"moved_fields": [name]}) == (found["labels"], found["logsync"])


def test_an_object_that_has_nothing_left_is_gone():
    found = moved("user.name", user={"name": []})

    assert found is not None
    assert "user" not in found


def test_a_log_without_a_time_that_can_be_read_stands_at_the_time_it_was_received():
    body = orjson.dumps({"event": EVENT, "@timestamp": "yesterday"})
    found = orjson.loads(move_aside(body, "@timestamp") or b"null")

    assert (EVENT["ingested"], {"@timestamp": "yesterday"}) == (found["@timestamp"], found["labels"])


@pytest.mark.parametrize("field", ["", "event", "event.id", "logsync", "nowhere", "message.nowhere.at.all"])
def test_what_is_not_there_or_must_be_there_is_not_moved(field):
    assert None is moved(field, text="boom")


def test_a_field_that_was_moved_already_is_not_moved_once_more():
    body = orjson.dumps({"event": EVENT, "@timestamp": "2026-11-24T21:00:00.000Z", "labels": {"a": "b"}})
    once = move_aside(body, "labels")

    assert once is not None
    assert None is move_aside(once, "labels")


def test_the_id_stays_first_so_that_it_is_found_without_parsing():
    body = move_aside(orjson.dumps({"event": EVENT, "@timestamp": "x", "message": {}}), "message")

    assert body is not None
    assert ID == document_id(body)
    assert body.startswith(b'{"event":{"id":"' + ID.encode())


@pytest.mark.parametrize("body", [b'{"message":"bo', b"[1]", b"\xff"])
def test_what_is_no_document_is_not_moved(body):
    assert None is move_aside(body, "message")
