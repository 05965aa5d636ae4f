"""A hit as it is answered: the stored document with its id and index, or only the fields that were asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from logsync_streams.storage.api import Hit


def shown(hit: Hit, fields: Collection[str] = ()) -> dict[str, Any]:
    """fields: stored names (an object's name means all in it); none = the whole document. The id, the index and the
    time are always there.
    """
    return {**shown_document(hit.document, hit.id, fields), "index": hit.index}


def shown_document(document: dict[str, Any], id: str, fields: Collection[str] = ()) -> dict[str, Any]:
    """The same of a log that is in no index yet."""
    picked = picked_from(document, {*fields, "@timestamp"}) if fields else document
    return {**picked, "id": id}


def picked_from(document: dict[str, Any], fields: Collection[str], path: str = "") -> dict[str, Any]:
    """The parts of a document that have one of these names, nested as stored."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        name = path + key
        if name in fields:
            found[key] = value
        elif isinstance(value, dict) and any(field.startswith(f"{name}.") for field in fields):
            inner = picked_from(value, fields, f"{name}.")
            if inner:
                found[key] = inner
    return found


def cell(document: dict[str, Any], field: str) -> Any:
    """The value of one field: of a dotted name step by step, of a label also under the name as a whole."""
    node: Any = document
    rest = field
    while rest and isinstance(node, dict):
        if rest in node:
            return node[rest]
        step, _, rest = rest.partition(".")
        if step not in node:
            return None
        node = node[step]
    return None if rest else node
