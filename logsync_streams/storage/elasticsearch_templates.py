"""What our indices are made from: component templates and the index template, pure data out of `mapping` and settings.

An operator changes an index's making in `logsync-custom`, which we make once, empty, and never touch again.
"""

from __future__ import annotations

from typing import Any

from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch_client import Abilities
from logsync_streams.storage.mapping import FIELDS, IGNORE_ABOVE, WORD_FIELDS, FieldType
from logsync_streams.storage.naming import ALL_INDICES

SETTINGS = "logsync-settings"
MAPPINGS = "logsync-mappings"
CUSTOM = "logsync-custom"
INDEX_TEMPLATE = "logsync-events"
PRIORITY = 200  # above Elasticsearch's own (100 and less)

# Added to a document by the writer, left out of answers. LABEL_PAIRS: "key=value" where labels cannot be `flattened`;
# PRESENT: names of labels (and fields, where the server keeps no such list) with values too long to be indexed.
LABEL_PAIRS = "logsync.label_pairs"
PRESENT = "logsync.present"
NOT_SHOWN = ("logsync.words", LABEL_PAIRS, PRESENT)

MAX_HITS = 10_001  # one more than a page may have tells whether there is a next one
_TOTAL_FIELDS = 500  # the mapping is closed: this is for what an operator adds


def component_templates(store: StoreSettings, abilities: Abilities) -> dict[str, dict[str, Any]]:
    """Name -> body of those that are put at every start."""
    return {
        SETTINGS: {"template": {"settings": index_settings(store)}, "_meta": _meta()},
        MAPPINGS: {"template": {"mappings": mappings(abilities)}, "_meta": _meta()},
    }


def custom_template() -> dict[str, Any]:
    """What `logsync-custom` holds until an operator puts something there."""
    return {"template": {"settings": {}}, "_meta": {"description": "yours: what is here wins over LogSync's own"}}


def index_template() -> dict[str, Any]:
    """The template that composes them for event indices, and for nothing else."""
    return {
        "index_patterns": [ALL_INDICES],
        "priority": PRIORITY,
        "composed_of": [SETTINGS, MAPPINGS, CUSTOM],
        "_meta": _meta(),
    }


def index_settings(store: StoreSettings) -> dict[str, Any]:
    """An event index's settings."""
    return {
        "index": {
            "number_of_shards": str(store.shards),
            "number_of_replicas": str(store.replicas),
            "refresh_interval": f"{store.refresh_interval_seconds}s",
            "max_result_window": str(MAX_HITS),
            "mapping": {"total_fields": {"limit": str(_TOTAL_FIELDS)}},
            # An answer means: on disk.
            "translog": {"durability": "request"},
            # What a bare word in Kibana looks into.
            "query": {"default_field": [name for name in WORD_FIELDS if FIELDS[name] is FieldType.TEXT]},
        }
    }


def mappings(abilities: Abilities) -> dict[str, Any]:
    """An event index's mapping: closed, so that no sender can make it grow or turn a field's type."""
    properties: dict[str, Any] = {}
    for name, kind in FIELDS.items():
        if kind is not FieldType.STORED:  # not mapped = kept in _source only
            _nest(properties, name, _field(name, kind))
    for name in WORD_FIELDS.values():
        _nest(properties, name, {"type": "text", "analyzer": "whitespace"})
    _nest(properties, PRESENT, {"type": "keyword", "doc_values": False})
    if abilities.flattened:
        properties["labels"] = {"type": "flattened", "ignore_above": IGNORE_ABOVE}
    else:
        properties["labels"] = {"type": "object", "enabled": False}
        _nest(properties, LABEL_PAIRS, {"type": "keyword"})
    return {"dynamic": False, "date_detection": False, "properties": properties}


def _field(name: str, kind: FieldType) -> dict[str, Any]:
    match kind:
        case FieldType.TEXT:
            return {"type": "text"}
        case FieldType.KEYWORD:
            field: dict[str, Any] = {"type": "keyword", "ignore_above": IGNORE_ABOVE}
            if name in WORD_FIELDS:  # compared as a whole, but a bare word looks into it as well
                field["fields"] = {"text": {"type": "text"}}
            return field
        case _:
            # A value of another type stays in the document, and only its presence can be found. Not so the time: a
            # log without one has no place in the order of a search.
            return {"type": kind.value} if name == "@timestamp" else {"type": kind.value, "ignore_malformed": True}


def _nest(properties: dict[str, Any], name: str, field: dict[str, Any]) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        properties = properties.setdefault(parent, {"properties": {}})["properties"]
    properties[last] = field


def _meta() -> dict[str, Any]:
    return {"description": "LogSync Streams puts this at every start; your own settings go to logsync-custom"}
