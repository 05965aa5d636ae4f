"""One syslog message -> the fields of an event: well-formed RFC 5424 and RFC 3164.

Everything else, any bytes at all, becomes `{"message": text, "tags": ["unparsed"]}` without `log.syslog`: it is
stored and can be searched. Bytes and NULs: see `text.decode_text`.
"""

from __future__ import annotations

import re
from typing import Any

from logsync_streams.events import Fields, canonical_level
from logsync_streams.parsing.labels import Labels
from logsync_streams.parsing.text import decode_text
from logsync_streams.parsing.times import bsd_time_ms, epoch_ms

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_LEVELS = tuple(canonical_level(name) for name in SEVERITIES)

_MAX_PRIORITY = 191
_BOM = "\ufeff"

# RFC 5424 section 6: PRI VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP, then structured data.
_RFC5424 = re.compile(
    r"<(\d{1,3})>([1-9]\d?) "
    r"(-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) "
    r"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) (?=[-\[])",
    re.ASCII,
)
_NAME = r"[!#-<>-\\^-~]{1,32}"  # printable ASCII without = ] "
_SD_ELEMENT = re.compile(rf'\[({_NAME})((?: {_NAME}="(?:[^"\\\]]|\\.)*")*)\]', re.ASCII | re.DOTALL)
_SD_PARAM = re.compile(rf' ({_NAME})="((?:[^"\\\]]|\\.)*)"', re.ASCII | re.DOTALL)
_SD_ESCAPE = re.compile(r'\\(["\\\]])')

# RFC 3164 section 4.1: PRI TIMESTAMP SP HOSTNAME SP TAG CONTENT. The host is left out by what logs on the same
# machine; a newer rsyslog writes an RFC 3339 time in its place.
_RFC3164 = re.compile(
    r"<(\d{1,3})>"
    r"(?:([A-Z][a-z]{2}) ([ 0-3]?\d) ([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)"
    r"|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))) ",
    re.ASCII,
)
_TAG = re.compile(r"([^\s:\[\]]{1,64})(?:\[([^\s\[\]]{1,128})\])?:(?: |$)")
_HOST = re.compile(r"([^\s:\[\]]{1,255}|[0-9A-Fa-f:.]{2,45}) ")


def parse(data: bytes, received_at: int) -> Fields:
    """The fields of one message as it came from the wire; raises nothing.

    received_at (epoch ms) gives an RFC 3164 time its year.
    """
    text = decode_text(data)
    fields = _rfc5424(text) or _rfc3164(text, received_at)
    return fields if fields is not None else {"message": text, "tags": ["unparsed"]}


def _rfc5424(text: str) -> Fields | None:
    head = _RFC5424.match(text)
    if head is None:
        return None
    priority, version, timestamp, hostname, appname, procid, msgid = head.groups()
    syslog = _priority(int(priority))
    structured = _structured_data(text, head.end())
    if syslog is None or structured is None:
        return None
    elements, end = structured
    if text[end : end + 1] not in ("", " "):
        return None
    time = None if timestamp == "-" else epoch_ms(timestamp)
    if time is None and timestamp != "-":
        return None
    syslog["version"] = version
    fields = _fields(syslog, time, hostname, appname, procid, text[end + 1 :].removeprefix(_BOM))
    if msgid != "-":
        syslog["msgid"] = msgid
    if elements:
        syslog["structured_data"] = elements
        labels = Labels()  # structured data is kept but not indexed: as labels it can be searched
        labels.add_all(elements)
        fields["labels"] = labels.result()
    return fields


def _rfc3164(text: str, received_at: int) -> Fields | None:
    head = _RFC3164.match(text)
    if head is None:
        return None
    priority, month, day, hour, minute, second, rfc3339 = head.groups()
    syslog = _priority(int(priority))
    time = epoch_ms(rfc3339) if rfc3339 else bsd_time_ms(month, day, hour, minute, second, received_at)
    if syslog is None or time is None:
        return None
    position = head.end()
    hostname = "-"
    tag = _TAG.match(text, position)
    if tag is None:
        host = _HOST.match(text, position)
        if host is not None:
            hostname, position = host[1], host.end()
            tag = _TAG.match(text, position)
    if tag is None:
        return _fields(syslog, time, hostname, "-", "-", text[position:])
    return _fields(syslog, time, hostname, tag[1], tag[2] or "-", text[tag.end() :])


def _priority(number: int) -> dict[str, Any] | None:
    if number > _MAX_PRIORITY:
        return None
    facility, severity = divmod(number, 8)
    return {
        "priority": number,
        "facility": {"code": facility, "name": FACILITIES[facility]},
        "severity": {"code": severity, "name": SEVERITIES[severity]},
    }


def _fields(syslog: dict[str, Any], time: int | None, hostname: str, appname: str, procid: str, message: str) -> Fields:
    """What both forms have in common; "-" is syslog's word for absent."""
    fields: Fields = {"log": {"level": _LEVELS[syslog["severity"]["code"]], "syslog": syslog}, "message": message}
    if time is not None:
        fields["@timestamp"] = time
    if hostname != "-":
        syslog["hostname"] = hostname
        fields["host"] = {"name": hostname}
    if appname != "-":
        syslog["appname"] = appname
        fields["service"] = {"name": appname}
    if procid != "-":
        syslog["procid"] = procid
    return fields


def _structured_data(text: str, start: int) -> tuple[dict[str, dict[str, Any]], int] | None:
    """(elements by their id, where they end), None when they are not well-formed. A name that comes again: a list."""
    if text[start] == "-":
        return {}, start + 1
    elements: dict[str, dict[str, Any]] = {}
    while text[start : start + 1] == "[":
        element = _SD_ELEMENT.match(text, start)
        if element is None or element[1] in elements:
            return None
        params: dict[str, Any] = {}
        for name, escaped in _SD_PARAM.findall(element[2]):
            value = _SD_ESCAPE.sub(r"\1", escaped)
            if name not in params:
                params[name] = value
            elif isinstance(params[name], list):
                params[name].append(value)
            else:
                params[name] = [params[name], value]
        elements[element[1]] = params
        start = element.end()
    return elements, start
