"""The ECS fields that a sender may set itself, and how a value is made to fit or refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from logsync_streams.events import Fields, canonical_level
from logsync_streams.parsing.times import epoch_ms

# `storage/mapping.FIELDS` without what `process` sets (`event.*`, `logsync.*`); a test holds the two together, since
# parsing and storage do not import each other.
_LONG_MAX = 2**63 - 1


def level(value: Any) -> str | None:
    """The canonical level of a word or a number, None for what is neither.

    0 to 7 is a syslog severity (GELF sends it so, too); from 8 on the scale is Python's: 10 debug, 20 info, 30 warn,
    40 error, 50 critical, 60 and above fatal, numbers between belong to the step below.
    """
    if type(value) is int:
        return _level_of_number(value)
    if type(value) is not str:
        return None
    word = canonical_level(value)
    if word.isascii() and word.isdigit():
        return _level_of_number(int(word))
    return word or None


def keyword(value: Any) -> str | None:
    """A text as it is, an integer as its digits."""
    if type(value) is str:
        return value
    return str(value) if type(value) is int else None


def long(value: Any) -> int | None:
    """A 64-bit integer, also as digits."""
    if type(value) is str and len(value) < 20 and value.isascii() and value.removeprefix("-").isdigit():
        value = int(value)
    return value if type(value) is int and -_LONG_MAX <= value <= _LONG_MAX else None


def address(value: Any) -> str | None:
    """An IPv4 or IPv6 address without a zone."""
    if type(value) is not str or "%" in value or "/" in value:
        return None
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return None


def text(value: Any) -> str | None:
    """A text as it is, a number or boolean as its JSON text."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    return repr(value) if type(value) is int or type(value) is float else None


def keywords(value: Any) -> list[str] | None:
    """A list of texts, also of one."""
    if type(value) is str:
        return [value]
    if type(value) is list and all(type(item) is str for item in value):
        return value
    return None


Fit = Callable[[Any], Any]

FITS: dict[str, Fit] = {
    "@timestamp": epoch_ms,
    "message": text,
    "log.level": level,
    "log.logger": keyword,
    "log.syslog.priority": long,
    "log.syslog.facility.code": long,
    "log.syslog.facility.name": keyword,
    "log.syslog.severity.code": long,
    "log.syslog.severity.name": keyword,
    "log.syslog.appname": keyword,
    "log.syslog.procid": keyword,
    "log.syslog.msgid": keyword,
    "log.syslog.hostname": keyword,
    "log.syslog.version": keyword,
    "service.name": keyword,
    "service.version": keyword,
    "service.environment": keyword,
    "service.owner": keyword,
    "service.tier": keyword,
    "service.team": keyword,
    "service.repository": keyword,
    "service.runbook": keyword,
    "host.name": keyword,
    "host.ip": address,
    "host.type": keyword,
    "host.architecture": keyword,
    "host.os.name": keyword,
    "host.os.version": keyword,
    "cloud.provider": keyword,
    "cloud.region": keyword,
    "cloud.availability_zone": keyword,
    "source.ip": address,
    "source.port": long,
    "source.geo.name": keyword,
    "source.geo.country_iso_code": keyword,
    "source.geo.region_name": keyword,
    "source.geo.city_name": keyword,
    "source.as.number": long,
    "source.as.organization.name": keyword,
    "user_agent.original": keyword,
    "user_agent.name": keyword,
    "user_agent.version": keyword,
    "user_agent.os.name": keyword,
    "user_agent.os.version": keyword,
    "user_agent.device.name": keyword,
    "user.id": keyword,
    "user.name": keyword,
    "url.path": keyword,
    "http.request.method": keyword,
    "http.response.status_code": long,
    "trace.id": keyword,
    "span.id": keyword,
    "transaction.id": keyword,
    "error.type": keyword,
    "error.message": text,
    "error.stack_trace": text,
    "tags": keywords,
}


def put(fields: Fields, path: str, value: Any) -> bool:
    """Set a field by its dotted name. False, and nothing done, when it is no field of ours, is set already, or the
    value does not fit: then it belongs to the labels.
    """
    fit = FITS.get(path)
    if fit is None:
        return False
    fitting = fit(value)
    if fitting is None:
        return False
    *parents, leaf = path.split(".")
    place = fields
    for parent in parents:
        place = place.setdefault(parent, {})
    if leaf in place:
        return False
    place[leaf] = fitting
    return True


def _level_of_number(number: int) -> str:
    if number < 0:
        return str(number)[:32]
    if number <= 7:
        return _SYSLOG_LEVELS[number]
    return _PYTHON_LEVELS[min(number // 10, 6)]


_SYSLOG_LEVELS = tuple(
    canonical_level(name) for name in ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
)
_PYTHON_LEVELS = ("trace", "debug", "info", "warn", "error", "critical", "fatal")
