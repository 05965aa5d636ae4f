import pytest

from logsync_streams.settings import StoreSettings
from logsync_streams.storage.api import (
    All,
    And,
    Cursor,
    Document,
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
from logsync_streams.storage.elasticsearch_client import MODERN, Abilities
from logsync_streams.storage.elasticsearch_query import search_body, to_elasticsearch
from logsync_streams.storage.elasticsearch_templates import component_templates, custom_template, index_template
from logsync_streams.storage.elasticsearch_writer import bulk_body
from tests.golden.compare import assert_golden, assert_golden_json

OLD = Abilities(flattened=False, lists_ignored=False)
QUERIES: dict[str, Query] = {
    "everything": All(),
    "a bare word is looked for in the message and the errors": Text("Timeout"),
    "a dotted name is a phrase of its words": Text("java.lang.NullPointerException"),
    "a word that is not ASCII is looked for in the words only": Text("größe", "message"),
    "marks alone find nothing": Text("…!"),
    "a word that starts so": Prefix("time"),
    "a keyword that starts so": Prefix("web-", "host.name"),
    "a service is exactly this": Equals("service.name", "auth-service"),
    "a level is compared in lower case": Equals("log.level", "ERROR"),
    "a label is exactly this": Equals("labels.order.id", "a=b"),
    "a label is there": Exists("labels.order*"),
    "a label starts so": Prefix("eu-", "labels.region"),
    "a field is there even if its value is too long": Exists("user.name"),
    "a message is there": Exists("message"),
    "a status is in the five hundreds": Range("http.response.status_code", "500", "600", include_upper=False),
    "an address is in a network": Equals("source.ip", "10.0.0.0/8"),
    "ingested since a moment": Range("event.ingested", "2026-11-24T21:56:37.123Z", include_lower=False),
    "in the last second before 1970": Range("@timestamp", "1969-12-31T23:59:59Z", "1970-01-01", include_upper=False),
    "both": And((Equals("service.name", "a"), Text("boom"))),
    "either and not the third": And((Or((Exists("tags"), Exists("user.id"))), Not(Equals("tags", "noise")))),
}


@pytest.mark.parametrize("sentence", QUERIES)
def test_a_query_becomes_the_clauses_in_its_file(sentence):
    assert_golden_json(f"elasticsearch/query/{sentence.replace(' ', '_')}.json", to_elasticsearch(QUERIES[sentence]))


def test_the_first_page_of_an_hour_asks_for_one_hit_more():
    request = SearchRequest(Equals("log.level", "error"), start=1_790_000_000_000, end=1_790_003_600_000)
    assert_golden_json("elasticsearch/search/first_page_of_an_hour.json", search_body(request, 10))


def test_the_next_page_upwards_starts_after_the_cursor():
    request = SearchRequest(All(), order="asc", limit=2, after=Cursor(1_790_000_000_000, "0" * 32 + "-00001"))
    assert_golden_json("elasticsearch/search/next_page_upwards.json", search_body(request, 0.5))


def test_a_bulk_request_carries_the_documents_bytes_as_they_are():
    documents = [
        Document(
            "logsync-default-2026.11.24", "0" * 32 + "-00000", b'{"@timestamp":"2026-11-24T21:56:37.123Z","n":1e3}'
        ),
        Document("logsync-default-2026.11.24", 'quote"d', '{"@timestamp":"…","labels":{"a":"b"}}'.encode()),
        Document("logsync-audit-2026.11.24", "0" * 32 + "-00002", b'{"@timestamp":\n"2026-11-24T21:56:37.123Z"}'),
    ]
    assert_golden("elasticsearch/bulk/three_documents.ndjson", bulk_body(documents, MODERN))


def test_an_old_server_is_given_the_labels_as_pairs():
    body = b'{"@timestamp":"2026-11-24T21:56:37.123Z","labels":{"a":"b","n":5,"x=y":["1",true],"none":null}}'
    documents = [Document("logsync-default-2026.11.24", "0" * 32 + "-00000", body)]
    assert_golden("elasticsearch/bulk/labels_for_an_old_server.ndjson", bulk_body(documents, OLD))


def test_the_templates_are_those_in_their_files():
    for name, body in component_templates(StoreSettings(), MODERN).items():
        assert_golden_json(f"elasticsearch/templates/{name}.json", body)
    assert_golden_json("elasticsearch/templates/logsync-custom.json", custom_template())
    assert_golden_json("elasticsearch/templates/logsync-events.json", index_template())


def test_the_mapping_for_an_old_server_has_label_pairs():
    templates = component_templates(StoreSettings(shards=3, replicas=2, refresh_interval_seconds=5), OLD)
    assert_golden_json("elasticsearch/templates/old_server/logsync-mappings.json", templates["logsync-mappings"])
    assert_golden_json("elasticsearch/templates/old_server/logsync-settings.json", templates["logsync-settings"])
