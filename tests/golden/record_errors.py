"""Records what real servers answer to bad documents: `python -m tests.golden.record_errors VERSION…`.

Each answer becomes tests/golden/errors/<version>.json: name -> {"item" or "request": …, "reaction": …}. The reaction
of a new entry is left empty: a person decides it.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from deploy.servers import ElasticsearchServer, server_folder
from logsync_streams.storage.elasticsearch_client import MODERN, Abilities
from logsync_streams.storage.elasticsearch_templates import mappings
from tests.servers.wiping import request

FOLDER = Path(__file__).parent / "errors"
_INDEX, _ALIAS = "logsync-default-2026.11.24-000001", "logsync-default-2026.11.24"
_GOOD = {"event": {"id": "1"}, "@timestamp": "2026-11-24T21:56:37.123Z", "message": "boom"}


def record(server: ElasticsearchServer) -> dict[str, dict[str, Any]]:
    """Name of a case -> the item of the bulk answer, or status and body of a request that was refused as a whole."""
    url = server.url
    abilities = Abilities(flattened=False, lists_ignored=False) if server.version.startswith("7.10") else MODERN
    aliases = {_ALIAS: {"is_write_index": True}}
    _must(request("PUT", f"{url}/{_INDEX}", {"mappings": mappings(abilities), "aliases": aliases}))
    settings = {"mappings": {"dynamic": "strict", "properties": {"raw": {"type": "keyword"}}}}
    _must(request("PUT", f"{url}/strict-1", {**settings, "aliases": {"strict": {}}}))

    found: dict[str, dict[str, Any]] = {}

    def item(name: str, body: bytes, target: str = _ALIAS, **action: object) -> None:
        described: dict[str, object] = {"_index": target, "_id": name, "require_alias": True, **action}
        create = {"create": described}
        data = json.dumps(create).encode() + b"\n" + body + b"\n"
        status, answer = _raw("POST", f"{url}/_bulk", data)
        if status < 300:
            one = answer["items"][0]["create"]
            found[name] = {"item": {key: one[key] for key in ("status", "error") if key in one}}
        else:
            found[name] = {"request": {"status": status, "body": answer}}

    item("a new document", _json(_GOOD))
    item("an id that is stored already", _json(_GOOD), _id="a new document")
    item("an alias that does not exist", _json(_GOOD), "logsync-default-2026.11.23")
    item("an index where an alias is required", _json(_GOOD), _INDEX)
    item("a time that is none", _json({**_GOOD, "@timestamp": "yesterday"}))
    item("an object where a text belongs", _json({**_GOOD, "message": {"text": "boom"}}))
    item("a text where an object belongs", _json({**_GOOD, "service": "auth"}))
    item("JSON that breaks off", b'{"message": "bo')
    item("a body that is no JSON", b"boom")
    item("an array", b"[1]")
    item("bytes that are not UTF-8", b'{"@timestamp": "2026-11-24T21:56:37.123Z", "message": "\xff\xfe"}')
    item("objects a thousand deep", b'{"labels":' + b'{"a":' * 1100 + b"1" + b"}" * 1101)
    item("a field that a strict mapping does not know", _json({"other": 1}), "strict")
    item("a keyword of more bytes than a term may have", _json({"raw": "x" * 40_000}), "strict")
    item("a label name with a NUL", _json({**_GOOD, "labels": {"a\0b": "1"}}))
    item("a label name of more bytes than a term may have", _json({**_GOOD, "labels": {"k" * 40_000: "1"}}))
    item("labels that are no object", _json({**_GOOD, "labels": "x"}))
    item("an empty field name", _json({**_GOOD, "": "x"}))
    item("a field name of dots", _json({**_GOOD, "a..b": "x"}))
    item("an id that is too long", _json(_GOOD), _id="x" * 600)
    item("an index name with capital letters", _json(_GOOD), "LogSync")
    found["a bulk request that is no NDJSON"] = _refused(_raw("POST", f"{url}/_bulk", b"boom\n"))
    found["an empty bulk request"] = _refused(_raw("POST", f"{url}/_bulk", b"\n"))
    found["a path that does not exist"] = _refused(_raw("POST", f"{url}/_bulk/a/b/c", b"{}\n"))

    _must(request("PUT", f"{url}/{_INDEX}/_block/write"))
    item("our own write block", _json(_GOOD))
    _must(request("PUT", f"{url}/{_INDEX}/_settings", {"index.blocks.write": None}))
    _must(request("PUT", f"{url}/{_INDEX}/_settings", {"index.blocks.read_only_allow_delete": True}))
    item("the flood stage", _json(_GOOD))
    _must(request("PUT", f"{url}/{_INDEX}/_settings", {"index.blocks.read_only_allow_delete": None}))
    _must(request("PUT", f"{url}/{_INDEX}/_settings", {"index.blocks.read_only": True}))
    item("an index made read-only by hand", _json(_GOOD))
    _must(request("PUT", f"{url}/{_INDEX}/_settings", {"index.blocks.read_only": None}))
    limit = {"transient": {"cluster.max_shards_per_node": 1}}
    _must(request("PUT", f"{url}/_cluster/settings", limit))
    item_body = b'{"create":{"_index":"not-ours","_id":"1"}}\n{}\n'
    found["the limit of shards, where an index would be made"] = {
        "item": _raw("POST", f"{url}/_bulk", item_body)[1]["items"][0]["create"]
    }
    _must(request("PUT", f"{url}/_cluster/settings", {"transient": {"cluster.max_shards_per_node": None}}))
    # No node may hold this index's shards: what a node that is down looks like.
    nowhere = {"settings": {"index.routing.allocation.require._name": "nobody", "index.number_of_replicas": 0}}
    _must(request("PUT", f"{url}/nowhere-1?wait_for_active_shards=0", {**nowhere, "aliases": {"nowhere": {}}}))
    data = b'{"create":{"_index":"nowhere","_id":"1","require_alias":true}}\n{}\n'
    answer = _raw("POST", f"{url}/_bulk?timeout=1s", data)[1]
    found["shards that are nowhere"] = {"item": answer["items"][0]["create"]}
    return found


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _raw(method: str, url: str, data: bytes) -> tuple[int, Any]:
    asked = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/x-ndjson"})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def _refused(answer: tuple[int, Any]) -> dict[str, Any]:
    return {"request": {"status": answer[0], "body": answer[1]}}


def _must(answer: tuple[int, Any]) -> None:
    if answer[0] >= 300:
        raise AssertionError(answer)


def _shortened(value: Any) -> Any:
    """Without what a test does not need: long texts (the hostile input comes back in the error) and repetitions."""
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items() if key not in ("root_cause", "index_uuid")}
    if isinstance(value, list):
        return [_shortened(inner) for inner in value]
    return value[:300] + "…" if isinstance(value, str) and len(value) > 300 else value


def main(versions: list[str]) -> None:
    for version in versions:
        server = ElasticsearchServer(server_folder("record"), version=version)
        path = FOLDER / f"{version}.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        try:
            server.start()
            cases = {
                name: {"reaction": before.get(name, {}).get("reaction", ""), **_shortened(case)}
                for name, case in record(server).items()
            }
        finally:
            server.remove()
        path.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")
        print(f"{path.name}: {len(cases)} cases")


if __name__ == "__main__":
    main(sys.argv[1:])
