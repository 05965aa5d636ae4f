"""Bytes of one wire format -> the fields of an event: one module a format, pure, registered here.

A parser is `parse(data, received_at) -> Fields`: the bytes as received and the receive time (epoch ms, UTC) in, the
event's fields with ECS names nested as stored out. It sets what the bytes say and nothing else: `event.*`, ids and
`logsync.*` are `process`'s. It gives `@timestamp` as epoch milliseconds (int) only when the bytes have one. It raises
DeadLetter("undecodable") only where nobody would find the bytes as text; a form that it does not know becomes
`{"message": text, "tags": ["unparsed"]}`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from logsync_streams.events import Fields
from logsync_streams.parsing.fluentd import parse as parse_fluentd
from logsync_streams.parsing.form import parse as parse_form
from logsync_streams.parsing.json import parse as parse_json
from logsync_streams.parsing.syslog import parse as parse_syslog
from logsync_streams.parsing.text import parse as parse_text

Parser = Callable[[bytes, int], Fields]


def in_zone(format: str, zone: str) -> str:
    """The format of events whose times without a zone are in this one (an IANA name); "UTC" is what needs no saying."""
    return format if zone == "UTC" else f"{format}@{zone}"


class _Parsers(dict[str, Parser]):
    """By format; `syslog@<zone>` is syslog in a zone. What the door said stands: redelivery reads the same times."""

    def __missing__(self, format: str) -> Parser:
        name, _, zone = format.partition("@")
        if name != "syslog" or not zone:
            raise KeyError(format)
        return _syslog_in(zone)

    def get(self, format: str, default: Any = None) -> Any:
        try:
            return self[format]
        except KeyError:
            return default


@lru_cache(maxsize=700)  # there are six hundred
def _syslog_in(zone: str) -> Parser:
    try:
        known = ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return _unknown_zone
    return lambda data, received_at: parse_syslog(data, received_at, known)


def _unknown_zone(data: bytes, received_at: int) -> Fields:
    # The door's machine knew it and this one does not: the log is kept, and shows what is wrong with its time.
    fields = parse_syslog(data, received_at)
    fields["tags"] = [*fields.get("tags", ()), "unknown_time_zone"]
    return fields


PARSERS: dict[str, Parser] = _Parsers(
    {
        "json": parse_json,
        "fluentd": parse_fluentd,
        "form": parse_form,
        "syslog": parse_syslog,
        "text": parse_text,
    }
)
