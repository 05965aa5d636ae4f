"""One syslog message -> the fields of an event: RFC 5424, RFC 3164, and what is sent in their name.

Taken as well, and marked with a tag: a priority over 191 or none (`bad_priority`, `no_priority`: user.notice, as RFC
3164 has it), structured data that is none (`malformed`: it stays in the message). Times: with or without a year, a
fraction or a zone, Cisco's clock marks and sequence numbers, RFC 3339 in an RFC 3164 head, seconds since 1970. A
priority alone is enough. A time without a zone is in the zone that the door's setting names, else UTC.

Everything else, any bytes at all, becomes `{"message": text, "tags": ["unparsed"]}` without `log.syslog`: it is
stored and can be searched. Bytes and NULs: see `text.decode_text`.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from typing import Any

from logsync_streams.events import Fields, canonical_level
from logsync_streams.parsing.labels import Labels
from logsync_streams.parsing.text import decode_text
from logsync_streams.parsing.times import bsd_time_ms, epoch_ms, local_epoch_ms

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

# The same with what senders make of it: seconds since 1970 (Meraki), a time without a zone, no structured data.
_LIKE_5424 = re.compile(
    r"<(\d{1,5})>([1-9]\d?) (-|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S{0,16}|\d{9,11}(?:\.\d{1,9})?) ([!-~]{1,255}) ",
    re.ASCII,
)
_LIKE_5424_REST = re.compile(r"([!-~]{1,128}) ([!-~]{1,128}) ([!-~]{1,128}) ", re.ASCII)

_PRIORITY = re.compile(r"<(\d{1,5})> ?", re.ASCII)
# Cisco counts its messages (`29: `), may name itself (`router1: `), and marks a clock that is not set (`*`, `.`).
_CISCO_HEAD = re.compile(r": ?|(?:\d{1,10}: )(?:([A-Za-z0-9._-]{1,255}): )?(?:\d{1,10}: )?")
_TIME = re.compile(
    r"[*.]?(?:"
    r"(?:(\d{4}) )?([A-Za-z]{3}) ([ 0-3]?\d) (?:(\d{4}) )?([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:[.,](\d{1,9}))?"
    r"(?: (?:[A-Z]{2,5}|[+-]\d\d:?\d\d)(?=:))?"
    r"|(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?)"
    r"):? ",
    re.ASCII,
)
_TAG = re.compile(r"([^\s:\[\]]{1,64})(?:\[([^\s\[\]]{1,128})\])?:(?: |$)")
_TAG_WITH_PID = re.compile(r"([^\s:\[\]<>]{1,64})\[([^\s\[\]]{1,128})\]:(?: |$)")
_HOST = re.compile(r"([^\s:\[\]]{1,255}|[0-9A-Fa-f:.]{2,45}) ")
_MNEMONIC = re.compile(
    r"(?:([^\s:%]{1,255}) )?(?:: )?%([A-Za-z0-9_]{1,64})-(?:[A-Za-z0-9_]{1,64}-)?[0-7]-([A-Za-z0-9_]{1,128}): ?"
)

_DEFAULT_PRIORITY = 13  # RFC 3164 section 4.3.3: user.notice


def parse(data: bytes, received_at: int, zone: tzinfo = UTC) -> Fields:
    """The fields of one message as it came from the wire; raises nothing.

    received_at (epoch ms) gives an RFC 3164 time its year; zone: of times that have none.
    """
    text = decode_text(data).removeprefix(_BOM)
    fields = _rfc5424(text) or _like_5424(text, zone) or _rfc3164(text, received_at, zone)
    return fields if fields is not None else {"message": text, "tags": ["unparsed"]}


def _rfc5424(text: str) -> Fields | None:
    head = _RFC5424.match(text)
    if head is None:
        return None
    priority, version, timestamp, hostname, appname, procid, msgid = head.groups()
    structured = _structured_data(text, head.end())
    if structured is None or int(priority) > _MAX_PRIORITY:
        return None
    syslog = _priority(int(priority))
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


def _like_5424(text: str, zone: tzinfo) -> Fields | None:
    head = _LIKE_5424.match(text)
    if head is None:
        return None
    number, version, timestamp, hostname = head.groups()
    time = None if timestamp == "-" else local_epoch_ms(timestamp, zone)
    if time is None and timestamp != "-":
        return None
    syslog, tags = _any_priority(number)
    syslog["version"] = version
    position = head.end()
    appname = procid = msgid = "-"
    elements: dict[str, dict[str, Any]] = {}
    rest = _LIKE_5424_REST.match(text, position)
    # Without the structured data's place there is no telling whether these are fields or words.
    if rest is not None and text[rest.end() : rest.end() + 1] in ("-", "["):
        appname, procid, msgid = rest.groups()
        position = rest.end()
        structured = _structured_data(text, position)
        if structured is not None and text[structured[1] : structured[1] + 1] in ("", " "):
            elements, position = structured[0], structured[1] + 1
        else:
            tags.append("malformed")
    elif not timestamp[-1:].isdigit() or "-" in timestamp:
        tags.append("malformed")
    fields = _fields(syslog, time, hostname, appname, procid, text[position:].removeprefix(_BOM))
    if msgid != "-":
        syslog["msgid"] = msgid
    if elements:
        syslog["structured_data"] = elements
        labels = Labels()
        labels.add_all(elements)
        fields["labels"] = labels.result()
    if tags:
        fields["tags"] = tags
    return fields


def _rfc3164(text: str, received_at: int, zone: tzinfo) -> Fields | None:
    head = _PRIORITY.match(text)
    position = head.end() if head is not None else 0
    time, at, cisco_host = _time(text, position, received_at, zone)
    if head is None and (time is None or cisco_host is not None):
        return None
    syslog, tags = _any_priority(head[1] if head is not None else None)
    if time is None:  # a priority, and words: `app[123]: ` at least is no word
        tag = _TAG_WITH_PID.match(text, position)
        appname, procid, position = (tag[1], tag[2], tag.end()) if tag else ("-", "-", position)
        fields = _fields(syslog, None, "-", appname, procid, text[position:])
    else:
        fields = _after_time(syslog, time, text, at, cisco_host or "-")
    if tags:
        fields["tags"] = tags
    return fields


def _time(text: str, position: int, received_at: int, zone: tzinfo) -> tuple[int | None, int, str | None]:
    """(epoch ms, where it ends, the host that Cisco wrote before it, "" for none and None where it is not Cisco's)."""
    cisco_host: str | None = None
    found = _TIME.match(text, position)
    if found is None:
        cisco = _CISCO_HEAD.match(text, position)
        if cisco is None:
            return None, position, None
        cisco_host = cisco[1] or ""
        found = _TIME.match(text, cisco.end())
        if found is None:
            return None, position, None
    year, month, day, year_after, hour, minute, second, fraction, rfc3339 = found.groups()
    if rfc3339:
        return local_epoch_ms(rfc3339.replace(",", "."), zone), found.end(), cisco_host
    time = bsd_time_ms(month, day, hour, minute, second, received_at, year or year_after, zone)
    if time is not None and fraction:
        time += int(fraction[:3].ljust(3, "0"))
    return time, found.end(), cisco_host


def _after_time(syslog: dict[str, Any], time: int, text: str, position: int, hostname: str) -> Fields:
    mnemonic = _MNEMONIC.match(text, position)
    if mnemonic is not None:  # Cisco: %FACILITY-SEVERITY-MNEMONIC: text
        fields = _fields(syslog, time, mnemonic[1] or hostname, mnemonic[2], "-", text[mnemonic.end() :])
        syslog["msgid"] = mnemonic[3]
        return fields
    tag = _TAG.match(text, position)
    if tag is None:
        host = _HOST.match(text, position)
        if host is not None:
            hostname, position = host[1], host.end()
            tag = _TAG.match(text, position)
    if tag is None:
        return _fields(syslog, time, hostname, "-", "-", text[position:])
    return _fields(syslog, time, hostname, tag[1], tag[2] or "-", text[tag.end() :])


def _any_priority(written: str | None) -> tuple[dict[str, Any], list[str]]:
    """The priority's fields, and the tags that say what was wrong with it."""
    if written is None:
        return _priority(_DEFAULT_PRIORITY), ["no_priority"]
    number = int(written)
    if number > _MAX_PRIORITY:
        return _priority(_DEFAULT_PRIORITY), ["bad_priority"]
    return _priority(number), []


def _priority(number: int) -> dict[str, Any]:
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
