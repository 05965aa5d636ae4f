"""An event of Fluentd or Fluent Bit -> its fields: a JSON array `[tag, time, record]` (collector/records.py).

The record is read as any JSON log is (parsing/json.py). Its own time wins over the event's, which is often the time of
reading; `date`, Fluent Bit's name for it, counts as one. The tag is kept as the label `fluentd.tag`, and is the
service's name where the record gives none.
"""

from __future__ import annotations

from typing import Any

import orjson

from logsync_streams.errors import DeadLetter
from logsync_streams.events import Fields
from logsync_streams.parsing.json import from_document
from logsync_streams.parsing.times import epoch_ms

TAG_LABEL = "fluentd.tag"


def parse(data: bytes, received_at: int) -> Fields:
    """The fields of one event. Raises DeadLetter("undecodable") for what is no such array."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DeadLetter("undecodable", f"not JSON: {error}") from error
    if type(event) is not list or len(event) != 3 or type(event[2]) not in (dict, str):
        raise DeadLetter("undecodable", "a JSON array of tag, time and record is expected")
    tag, time_ns, record = event
    if type(record) is str:  # what came in place of a record
        return _tagged({"message": record, "tags": ["unparsed"]}, tag)
    date = epoch_ms(record["date"]) if "date" in record else None
    if date is not None:
        del record["date"]
    if tag is None and type(record.get("tag")) is str:
        tag = record.pop("tag")
    fields = from_document(record)
    if "@timestamp" not in fields:
        at = date if date is not None else _milliseconds(time_ns)
        if at is not None:
            fields["@timestamp"] = at
    message = fields.get("message")
    if message is not None:
        fields["message"] = message.rstrip("\r\n")  # a container's `log` ends with the line's end
    return _tagged(fields, tag)


def _tagged(fields: Fields, tag: Any) -> Fields:
    if type(tag) is str and tag:
        labels = fields.setdefault("labels", {})
        labels.setdefault(TAG_LABEL, tag)
        service = fields.setdefault("service", {})
        service.setdefault("name", tag)
    return fields


def _milliseconds(time_ns: Any) -> int | None:
    # Through seconds, so that a time near 1970 is not taken for another unit.
    return epoch_ms(time_ns // 1000 / 1e6) if type(time_ns) is int else None
