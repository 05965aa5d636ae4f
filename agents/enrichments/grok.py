"""Grok: `%{NUMBER:http.response.status_code} %{GREEDYDATA:message}` -> an RE2 expression and the fields it fills.

`%{NAME}` is one of the common patterns below or of one's own, `%{NAME:field}` keeps what it matched. RE2 has neither
lookahead nor backreferences, and so needs linear time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import re2

from agents.filter_match import pattern

_MAX_DEPTH = 20
_MAX_LENGTH = 20_000  # characters of the expanded expression
_REFERENCE = re.compile(r"%\{([A-Za-z0-9_]+)(?::([A-Za-z0-9_@.\-]+))?(?::(?:int|float|long|string))?\}")

PATTERNS: dict[str, str] = {
    "USERNAME": r"[a-zA-Z0-9._-]+",
    "USER": r"%{USERNAME}",
    "EMAILADDRESS": r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+@%{HOSTNAME}",
    "INT": r"[+-]?[0-9]+",
    "POSINT": r"[1-9][0-9]*",
    "NONNEGINT": r"[0-9]+",
    "BASE10NUM": r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)",
    "BASE16NUM": r"[+-]?(?:0x)?[0-9A-Fa-f]+",
    "NUMBER": r"%{BASE10NUM}",
    "BOOL": r"(?i:true|false)",
    "WORD": r"\b\w+\b",
    "NOTSPACE": r"\S+",
    "SPACE": r"\s*",
    "DATA": r".*?",
    "GREEDYDATA": r".*",
    "MULTILINEDATA": r"(?s:.*)",
    "QUOTEDSTRING": r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""",
    "QS": r"%{QUOTEDSTRING}",
    "UUID": r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
    "MAC": r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}",
    "IPV4": r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})",
    "IPV6": r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:%{IPV4}|[0-9A-Fa-f]{0,4})",
    "IP": r"(?:%{IPV6}|%{IPV4})",
    "HOSTNAME": r"[0-9A-Za-z](?:[0-9A-Za-z_-]{0,62})(?:\.[0-9A-Za-z](?:[0-9A-Za-z_-]{0,62}))*\.?",
    "IPORHOST": r"(?:%{IP}|%{HOSTNAME})",
    "HOSTPORT": r"%{IPORHOST}:%{POSINT}",
    "UNIXPATH": r"(?:/[^\s/]*)+",
    "WINPATH": r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*]*)+",
    "PATH": r"(?:%{UNIXPATH}|%{WINPATH})",
    "URIPROTO": r"[A-Za-z][A-Za-z0-9+.-]+",
    "URIHOST": r"%{IPORHOST}(?::%{POSINT})?",
    "URIPATH": r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_-]*)+",
    "URIPARAM": r"\?[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\[\]<>-]*",
    "URIPATHPARAM": r"%{URIPATH}(?:%{URIPARAM})?",
    "URI": r"%{URIPROTO}://(?:%{USER}(?::[^@\s]*)?@)?%{URIHOST}(?:%{URIPATHPARAM})?",
    "MONTH": r"(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)",
    "MONTHNUM": r"(?:0?[1-9]|1[0-2])",
    "MONTHDAY": r"(?:0[1-9]|[12][0-9]|3[01]|[1-9])",
    "DAY": r"(?i:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)",
    "YEAR": r"[0-9]{4}|[0-9]{2}",
    "HOUR": r"(?:2[0-3]|[01]?[0-9])",
    "MINUTE": r"[0-5][0-9]",
    "SECOND": r"(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?",
    "TIME": r"%{HOUR}:%{MINUTE}(?::%{SECOND})?",
    "ISO8601_TIMEZONE": r"(?:Z|[+-]%{HOUR}:?%{MINUTE})",
    "TIMESTAMP_ISO8601": r"[0-9]{4}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?",
    "SYSLOGTIMESTAMP": r"%{MONTH} +%{MONTHDAY} %{TIME}",
    "HTTPDATE": r"%{MONTHDAY}/%{MONTH}/[0-9]{4}:%{TIME} %{INT}",
    "PROG": r"[\x21-\x5a\x5c\x5e-\x7e]+",
    "SYSLOGPROG": r"%{PROG:log.syslog.appname}(?:\[%{POSINT:log.syslog.procid}\])?",
    "LOGLEVEL": r"(?i:trace|debug|verbose|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe"
    r"|alert|emerg(?:ency)?|panic)",
    "JAVACLASS": r"(?:[a-zA-Z$_][a-zA-Z$_0-9]*\.)*[a-zA-Z$_][a-zA-Z$_0-9]*",
    "COMMONAPACHELOG": r"%{IPORHOST:source.ip} \S+ %{NOTSPACE:user.name} \[%{HTTPDATE:http_date}\] "
    r'"(?:%{WORD:http.request.method} %{NOTSPACE:url.path}(?: HTTP/[0-9.]+)?|[^"]*)" '
    r"%{INT:http.response.status_code} (?:%{INT:http.response.bytes}|-)",
    "COMBINEDAPACHELOG": r'%{COMMONAPACHELOG} "(?:-|[^"]*)" "(?:-|%{NOQUOTE:user_agent.original})"',
    "NOQUOTE": r'[^"]*',
}


class WrongGrok(Exception):
    """A grok expression cannot be used; the text says why."""


class Grok:
    """One expression, found anywhere in a text unless it says ^ and $. Raises WrongGrok. own: further patterns."""

    def __init__(self, expression: str, own: Mapping[str, str] | None = None) -> None:
        self._fields: list[str] = []
        self._patterns = {**PATTERNS, **(own or {})}
        expanded = self._expand(expression, 0)
        try:
            self._pattern = pattern(expanded)
        except re2.error as error:
            raise WrongGrok(f"RE2 refuses it: {error}") from error
        if not self._fields:
            raise WrongGrok("it names no field: %{NAME:field} is expected")

    def match(self, text: str) -> dict[str, str] | None:
        """Field -> text of those that took part, None when the expression is not found."""
        found = self._pattern.search(text)
        if found is None:
            return None
        # The same field in two branches of an expression: the one that took part.
        values: dict[str, str] = {}
        for number, name in enumerate(self._fields):
            value = found.group(f"g{number}")
            if value is not None:
                values.setdefault(name, value)
        return values

    def _expand(self, expression: str, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise WrongGrok("its patterns refer to each other in a circle")

        def instead(reference: re.Match[str]) -> str:
            name, field = reference[1], reference[2]
            if name not in self._patterns:
                raise WrongGrok(f"%{{{name}}}: no such pattern")
            group = ""
            if field:
                group = f"?P<g{len(self._fields)}>"
                self._fields.append(field)
            inner = self._expand(self._patterns[name], depth + 1)
            return f"({group or '?:'}{inner})"

        expanded = _REFERENCE.sub(instead, expression)
        if len(expanded) > _MAX_LENGTH:
            raise WrongGrok(f"it is longer than {_MAX_LENGTH} characters when its patterns are put in")
        return expanded
