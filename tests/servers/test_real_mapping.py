"""What senders cannot do to the mapping of a real Elasticsearch, the oldest supported and the current one."""

from __future__ import annotations

from typing import Any

import pytest

from logsync_streams.storage.api import Document
from tests.contract.documents import NOON, TARGET, make_document
from tests.contract.elasticsearch_stores import VERSIONS
from tests.index_path import Path, record
from tests.servers.test_real_elasticsearch import opened, settings
from tests.servers.wiping import request

pytestmark = [pytest.mark.real, pytest.mark.parametrize("version", [version for version in VERSIONS if version])]


def fields(mapping: dict[str, Any]) -> int:
    return sum(1 + fields(inner) for inner in mapping.get("properties", {}).values())


async def indexed(server: Any, *documents: Document) -> Path:
    store = opened(settings(server))
    try:
        path = Path(store, NOON)
        await path.index([record(TARGET, *(document.body for document in documents))])
        await store.admin.refresh()
    finally:
        await store.close()
    return path


async def test_five_thousand_label_names_add_no_field_to_the_mapping(elasticsearch_version, version):
    server = elasticsearch_version(version)
    await indexed(server, make_document({"message": "before"}))
    _, before = request("GET", f"{server.url}/{TARGET}/_mapping")
    many = [make_document({"labels": {f"key{i * 50 + j}": "x" for j in range(50)}}) for i in range(100)]
    strange = [make_document({f"field{i}": {"of": "a sender"}}) for i in range(100)]
    path = await indexed(server, *many, *strange)
    _, after = request("GET", f"{server.url}/{TARGET}/_mapping")
    _, counted = request("GET", f"{server.url}/{TARGET}/_count")

    assert before == after
    assert fields(after[f"{TARGET}-000001"]["mappings"]) < 100
    assert (201, []) == (counted["count"], path.dead.letters)


async def test_a_type_that_an_operator_gave_a_label_costs_fields_and_no_logs(elasticsearch_version, version):
    server = elasticsearch_version(version)
    number = {"properties": {"http": {"properties": {"version": {"type": "long"}}}}}
    request("PUT", f"{server.url}/_component_template/logsync-custom", {"template": {"mappings": number}})
    odd = make_document({"http": {"version": "HTTP/2"}, "message": "odd"})
    even = make_document({"http": {"version": 2}, "message": "even"})
    path = await indexed(server, odd, even)
    _, found = request("GET", f"{server.url}/{TARGET}/_search?q=logsync.moved_fields:http.version")
    [hit] = found["hits"]["hits"]

    assert [] == path.dead.letters
    assert (odd.id, "HTTP/2", ["field_moved"]) == (
        hit["_id"],
        hit["_source"]["labels"]["http.version"],
        hit["_source"]["tags"],
    )
    _, counted = request("GET", f"{server.url}/{TARGET}/_count")
    assert 2 == counted["count"]
