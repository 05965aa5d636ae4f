"""The fields that can be searched, and how: one table for every store's schema and for the checks of a query.

Names are ECS (wire-formats: 4.1). What is not listed is kept in the stored document but not indexed; a sender's own
keys are under `labels.*`.
"""

from __future__ import annotations

from enum import Enum

from logsync_streams.errors import InvalidQuery


class FieldType(Enum):
    """How a field is searched. TEXT by words; the others by value."""

    TEXT = "text"
    KEYWORD = "keyword"
    LONG = "long"
    DATE = "date"
    IP = "ip"
    STORED = "stored"  # kept, not searchable


# Longer values are stored but only their presence is searchable (DESIGN: every keyword has a bound).
IGNORE_ABOVE = 1024

FIELDS: dict[str, FieldType] = {
    "@timestamp": FieldType.DATE,
    "message": FieldType.TEXT,
    "log.level": FieldType.KEYWORD,
    "log.logger": FieldType.KEYWORD,
    "log.syslog.priority": FieldType.LONG,
    "log.syslog.facility.code": FieldType.LONG,
    "log.syslog.facility.name": FieldType.KEYWORD,
    "log.syslog.severity.code": FieldType.LONG,
    "log.syslog.severity.name": FieldType.KEYWORD,
    "log.syslog.appname": FieldType.KEYWORD,
    "log.syslog.procid": FieldType.KEYWORD,
    "log.syslog.msgid": FieldType.KEYWORD,
    "log.syslog.hostname": FieldType.KEYWORD,
    "log.syslog.version": FieldType.KEYWORD,
    "log.syslog.structured_data": FieldType.STORED,
    "service.name": FieldType.KEYWORD,
    "service.version": FieldType.KEYWORD,
    "service.environment": FieldType.KEYWORD,
    "service.owner": FieldType.KEYWORD,
    "service.tier": FieldType.KEYWORD,
    "service.team": FieldType.KEYWORD,
    "service.repository": FieldType.KEYWORD,
    "service.runbook": FieldType.KEYWORD,
    "host.name": FieldType.KEYWORD,
    "host.ip": FieldType.IP,
    "host.type": FieldType.KEYWORD,
    "host.architecture": FieldType.KEYWORD,
    "host.os.name": FieldType.KEYWORD,
    "host.os.version": FieldType.KEYWORD,
    "cloud.provider": FieldType.KEYWORD,
    "cloud.region": FieldType.KEYWORD,
    "cloud.availability_zone": FieldType.KEYWORD,
    "source.ip": FieldType.IP,
    "source.port": FieldType.LONG,
    "source.geo.name": FieldType.KEYWORD,
    "source.geo.country_iso_code": FieldType.KEYWORD,
    "source.geo.region_name": FieldType.KEYWORD,
    "source.geo.city_name": FieldType.KEYWORD,
    "source.geo.location": FieldType.STORED,
    "source.as.number": FieldType.LONG,
    "source.as.organization.name": FieldType.KEYWORD,
    "user_agent.original": FieldType.KEYWORD,
    "user_agent.name": FieldType.KEYWORD,
    "user_agent.version": FieldType.KEYWORD,
    "user_agent.os.name": FieldType.KEYWORD,
    "user_agent.os.version": FieldType.KEYWORD,
    "user_agent.device.name": FieldType.KEYWORD,
    "user.id": FieldType.KEYWORD,
    "user.name": FieldType.KEYWORD,
    "url.path": FieldType.KEYWORD,
    "http.request.method": FieldType.KEYWORD,
    "http.response.status_code": FieldType.LONG,
    "trace.id": FieldType.KEYWORD,
    "span.id": FieldType.KEYWORD,
    "transaction.id": FieldType.KEYWORD,
    "error.type": FieldType.KEYWORD,
    "error.message": FieldType.TEXT,
    "error.stack_trace": FieldType.TEXT,
    "event.id": FieldType.KEYWORD,
    "event.ingested": FieldType.DATE,
    "event.severity": FieldType.LONG,
    "event.dataset": FieldType.KEYWORD,
    "event.original": FieldType.STORED,
    "tags": FieldType.KEYWORD,
    "logsync.source": FieldType.KEYWORD,
    "logsync.correlation_id": FieldType.KEYWORD,
    "logsync.sample_rate": FieldType.LONG,
    "logsync.moved_fields": FieldType.KEYWORD,
}

# Fields whose words a bare word looks into, and where the second copy of their words is (words.py). error.type is a
# keyword for `error.type:` but its words are looked into as well.
WORD_FIELDS: dict[str, str] = {
    "message": "logsync.words.message",
    "error.type": "logsync.words.error_type",
    "error.message": "logsync.words.error_message",
    "error.stack_trace": "logsync.words.error_stack_trace",
}
LABELS = "labels."

# Short names in queries -> the stored field.
ALIASES: dict[str, str] = {
    "level": "log.level",
    "service": "service.name",
    "host": "host.name",
    "env": "service.environment",
    "environment": "service.environment",
    "timestamp": "@timestamp",
    "id": "event.id",
    "trace": "trace.id",
    "tag": "tags",
}


def resolve(field: str) -> str:
    """The stored name of a field as written in a query: aliases, and `metadata.x` for `labels.x`."""
    if field.startswith("metadata."):
        return LABELS + field.removeprefix("metadata.")
    return ALIASES.get(field, field)


def searchable(field: str) -> FieldType:
    """The type of a stored field that a query may name. Raises InvalidQuery for one that is not indexed."""
    if field.startswith(LABELS) and len(field) > len(LABELS):
        return FieldType.KEYWORD
    found = FIELDS.get(field)
    if found is None:
        raise InvalidQuery(
            f"the field {field!r} is not indexed", hint=f"your own keys are under labels.*, e.g. labels.{field}"
        )
    if found is FieldType.STORED:
        raise InvalidQuery(f"the field {field!r} is stored but not indexed", hint="search for words of the message")
    return found
