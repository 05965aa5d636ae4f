"""A field that the store refuses is put aside, so that the rest of the log is stored and nothing of it is lost.

What was in the field stands as text in `labels.<field>`; `logsync.moved_fields` names the field, and the tag
`field_moved` finds all such logs.
"""

from __future__ import annotations

from typing import Any

import orjson

MOVED_FIELDS = "moved_fields"  # within `logsync`
MOVED_TAG = "field_moved"
# Without these the document is none of ours: its id, its place in the order, and its flag.
_NOT_MOVED = frozenset({"event", "event.id", "event.ingested", "event.dataset", "logsync", "logsync.moved_fields"})
_TIME = "@timestamp"


def move_aside(body: bytes, field: str) -> bytes | None:
    """The document without that field, a pure function, so that redelivery makes the same; None when it cannot be
    done: no JSON object, no such field, or one that a log must have.

    field: as the store names it, dots between the levels; a sub-field (`error.type.text`) stands for its field.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    ours = document.get("logsync")
    moved = ours.get(MOVED_FIELDS, []) if isinstance(ours, dict) else []
    found = _take(document, field)
    if found is None or found[0] in moved:
        return None
    name, value = found
    if name == _TIME:
        ingested = (document.get("event") or {}).get("ingested")
        if not ingested or ingested == value:
            return None
        document[_TIME] = ingested  # a log without a time has no place in the order of a search
    labels = document.get("labels")
    if not isinstance(labels, dict):
        labels = document["labels"] = {}
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    labels.setdefault(name, text)
    if not isinstance(document.get("logsync"), dict):
        document["logsync"] = {}
    document["logsync"][MOVED_FIELDS] = [*moved, name]
    if name != "tags":
        tags = document.get("tags")
        known = tags if isinstance(tags, list) else [] if tags is None else [tags]
        document["tags"] = known if MOVED_TAG in known else [*known, MOVED_TAG]
    return orjson.dumps(document)


def _take(document: dict[str, Any], field: str) -> tuple[str, Any] | None:
    """Remove the field, or the nearest one above it that is there; its name and value."""
    while field and field not in _NOT_MOVED:
        found = _remove(document, field)
        if found is not None:
            return field, found[0]
        field = field.rpartition(".")[0]
    return None


def _remove(node: dict[str, Any], path: str) -> tuple[Any] | None:
    if path in node:
        return (node.pop(path),)
    # A name may itself hold dots: {"a.b": {"c": 1}} has the field a.b.c.
    for end in (i for i, character in enumerate(path) if character == "."):
        inner = node.get(path[:end])
        if isinstance(inner, dict):
            found = _remove(inner, path[end + 1 :])
            if found is not None:
                if not inner:
                    del node[path[:end]]
                return found
    return None
