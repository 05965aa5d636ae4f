"""Bytes of one wire format -> the fields of an event: one module a format, pure, registered here.

A parser is `parse(data, received_at) -> Fields`: the bytes as received and the receive time (epoch ms, UTC) in, the
event's fields with ECS names nested as stored out. It sets what the bytes say and nothing else: `event.*`, ids and
`logsync.*` are `process`'s. It gives `@timestamp` as epoch milliseconds (int) only when the bytes have one. It raises
DeadLetter("undecodable") only where nobody would find the bytes as text; a form that it does not know becomes
`{"message": text, "tags": ["unparsed"]}`.
"""

from __future__ import annotations

from collections.abc import Callable

from logsync_streams.events import Fields
from logsync_streams.parsing.fluentd import parse as parse_fluentd
from logsync_streams.parsing.form import parse as parse_form
from logsync_streams.parsing.json import parse as parse_json
from logsync_streams.parsing.syslog import parse as parse_syslog
from logsync_streams.parsing.text import parse as parse_text

Parser = Callable[[bytes, int], Fields]

PARSERS: dict[str, Parser] = {
    "json": parse_json,
    "fluentd": parse_fluentd,
    "form": parse_form,
    "syslog": parse_syslog,
    "text": parse_text,
}
