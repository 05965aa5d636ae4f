"""Takes out of an Elasticsearch what an earlier test left there."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


def wipe(url: str) -> None:
    """Remove every index of ours, and with them their aliases; and the templates, so that each test puts its own."""
    for name in _names(f"{url}/_cat/indices/logsync-*?h=index&expand_wildcards=all"):
        _delete(f"{url}/{name}")
    for name in ("logsync-events",):
        _delete(f"{url}/_index_template/{name}")
    for name in ("logsync-settings", "logsync-mappings", "logsync-custom"):
        _delete(f"{url}/_component_template/{name}")


def request(method: str, url: str, body: object = None) -> tuple[int, dict[str, Any]]:
    """Status and parsed body of one JSON request, whatever the status."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"{}")


def _names(url: str) -> list[str]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return [line.strip() for line in answer.read().decode().splitlines() if line.strip()]


def _delete(url: str) -> None:
    status, body = request("DELETE", url)
    if status not in (200, 404):
        raise AssertionError(f"DELETE {url} answered {status}: {body}")
