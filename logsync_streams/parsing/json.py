"""One JSON object -> the fields of an event: the seven fields of a LogSync log, ECS fields, and labels for the rest.

The seven: timestamp, level, service, host, message, environment, metadata (DESIGN §4). ECS documents, nested or with
dotted names, are taken as they are. What loggers write is known as well (parsing/shapes.py). Whatever has no place or
does not fit its place becomes a label under its own name; where two keys mean one field, the LogSync name wins over the
ECS name, that one over the loggers' names, and the other becomes a label.
"""

from __future__ import annotations

from typing import Any

import orjson

from logsync_streams.errors import DeadLetter
from logsync_streams.events import LEVEL_ALIASES, Fields
from logsync_streams.parsing import ecs, shapes
from logsync_streams.parsing.labels import Labels, leaves, plain
from logsync_streams.parsing.times import epoch_ms

# The spellings that nearly all senders use, found without cutting and lowering the word.
_LEVELS = {
    spelling: level for word, level in LEVEL_ALIASES.items() for spelling in (word, word.upper(), word.capitalize())
}
# An object here is a sender's own keys, whose names are not looked up among the ECS fields.
_OWN_KEYS = ("metadata", "labels")
_loads = orjson.loads


def parse(data: bytes, received_at: int) -> Fields:
    """The fields of one JSON object. Raises DeadLetter("undecodable") for what is no JSON object.

    `@timestamp` is there only when the sender gave a time that can be read; `received_at` is not used. A field that
    is null counts as absent.
    """
    try:
        document = _loads(data)
    except orjson.JSONDecodeError as error:
        raise DeadLetter("undecodable", f"not JSON: {error}") from error
    if type(document) is not dict:
        raise DeadLetter("undecodable", f"a JSON object is expected, not {type(document).__name__}")
    return from_document(document)


def from_document(document: dict[str, Any]) -> Fields:
    """`parse` of an object that was read already; it is used up."""
    # This runs for every event: the seven fields are taken out one by one, and only what is left is walked through.
    take = document.pop
    fields: Fields = {}
    misfits: dict[str, Any] = {}  # what must become labels, in the order of the walk below

    value = take("timestamp", None)
    if value is not None:
        time = epoch_ms(value)
        if time is not None:
            fields["@timestamp"] = time
        else:
            misfits["timestamp"] = value

    value = take("message", None)
    if type(value) is str:
        fields["message"] = value
    elif value is not None and not ecs.put(fields, "message", value):
        misfits["message"] = value

    value = take("level", None)
    if type(value) is int and shapes.is_bunyan(document):
        value = shapes.bunyan_level(value)
    if value is not None:
        level = (_LEVELS.get(value) if type(value) is str else None) or ecs.level(value)
        if level is not None:
            fields["log"] = {"level": level}
        elif value != "":
            misfits["level"] = value

    value = take("service", None)
    if type(value) is str:
        fields["service"] = {"name": value}
    elif value is not None:
        _put_or_walk(fields, document, "service", "name", value)

    value = take("host", None)
    if type(value) is str:
        fields["host"] = {"name": value}
    elif value is not None:
        _put_or_walk(fields, document, "host", "name", value)

    value = take("environment", None)
    if type(value) is str:
        service = fields.get("service")
        if service is None:
            fields["service"] = {"environment": value}
        else:
            service["environment"] = value
    elif value is not None:
        misfits["environment"] = value

    metadata = take("metadata", None)
    if type(metadata) is dict and not document and not misfits and plain(metadata):
        if metadata:
            fields["labels"] = metadata
    elif metadata is not None or document or misfits:
        labels = Labels()
        add = labels.add
        if type(metadata) is dict:
            for key, value in metadata.items():
                if type(value) is dict and value:
                    labels.add_all(value, key)
                else:
                    add(key, value)
        elif metadata is not None:
            add("metadata", metadata)
        if misfits:
            labels.add_all(misfits)
        if document:
            _walk(document, fields, labels)
        found = labels.result()
        if found:
            fields["labels"] = found
    return fields


def _put_or_walk(fields: Fields, document: dict[str, Any], key: str, leaf: str, value: Any) -> None:
    """A field that is not the plain text it mostly is: a number fits, an object is ECS and is walked with the rest."""
    if type(value) is dict or not ecs.put(fields, f"{key}.{leaf}", value):
        document[key] = value


def _walk(document: dict[str, Any], fields: Fields, labels: Labels) -> None:
    put = ecs.put
    aliases = shapes.ALIASES
    others: list[tuple[str, Any]] = []  # under loggers' names; looked at last, so that ours and ECS's come first
    bunyan = shapes.is_bunyan(document)
    for key, value in document.items():
        if type(value) is dict and value:
            if key in _OWN_KEYS:
                labels.add_all(value)
                continue
            for path, leaf in leaves(value, key):
                if path in aliases:
                    others.append((path, leaf))
                elif not put(fields, path, leaf):
                    labels.add(path, leaf)
        elif key in aliases or (bunyan and key == shapes.BUNYAN_NAME):
            others.append((key, value))
        elif not put(fields, key, value):
            labels.add(key.removeprefix("labels.") if key.startswith("labels.") else key, value)
    if others:
        for key, value in shapes.in_order(others):
            if bunyan and key == "severity" and type(value) is int:
                value = shapes.bunyan_level(value)
            if not put(fields, aliases.get(key, shapes.BUNYAN_FIELD), value):
                labels.add(key, value)
        shapes.fill_in(fields, document)
