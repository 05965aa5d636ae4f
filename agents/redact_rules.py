"""What is a secret in a text: one rule a kind, found by RE2 in linear time, whatever a sender writes.

A rule has a cheap `sign`, an expression over the bytes as received that every text with such a secret has, and a
function that yields where the secrets stand. The signs of all rules are one expression, run once over a whole batch
(agents/redact.py), so that logs without secrets cost next to nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from agents.filter_match import pattern
from agents.redact_keys import KeyValues, Span, sign

Find = Callable[[str], Iterator[Span]]


@dataclass(frozen=True, slots=True)
class SecretRule:
    """name: the `rule` of logsync_redacted_total. sign: see above, latin-1 bytes. find: the spans in a text."""

    name: str
    sign: str
    find: Find


def _groups(expression: str, good: Callable[[str], bool] = bool, group: int = 1) -> Find:
    """Yields a group of each match whose text is good."""
    found = pattern(expression)

    def find(text: str) -> Iterator[Span]:
        for match in found.finditer(text):
            if good(match.group(group)):
                yield match.span(group)

    return find


def _first_group(expression: str) -> Find:
    """Yields of each match the first group that took part."""
    found = pattern(expression)

    def find(text: str) -> Iterator[Span]:
        for match in found.finditer(text):
            for number in range(1, found.groups + 1):
                if match.group(number):
                    yield match.span(number)
                    break

    return find


# ------------------------------------------------------------------------------------------------------ bearer, basic
_SCHEMES = pattern(r"(?i)\b(bearer|basic|apikey)\s+([A-Za-z0-9._~+/=-]{6,})")


def _bearer(text: str) -> Iterator[Span]:
    for match in _SCHEMES.finditer(text):
        scheme, value = match.group(1).lower(), match.group(2).rstrip(".-=")
        if scheme == "basic":
            secret = _is_user_and_password(match.group(2))
        else:
            # "bearer authentication": a word is no token; tokens have digits, or mixed case and length.
            digits = sum(character.isdigit() for character in value)
            mixed = value != value.lower() and value != value.upper() and value != value.capitalize()
            long = len(value) >= 16 and not value.isalpha() and "." not in value.strip(".")
            secret = digits >= 2 or (mixed and len(value) >= 12) or long
        if secret:
            yield match.span(2)


def _is_user_and_password(value: str) -> bool:
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in decoded and decoded.isascii() and decoded.decode().isprintable()


# ------------------------------------------------------------------------------------------------------------- cards
_DIGITS = pattern(r"(?:^|[^0-9A-Za-z.])([2-6](?:[ -]?[0-9]){12,40})")
_CARD_LENGTHS = range(19, 12, -1)


def _cards(text: str) -> Iterator[Span]:
    for match in _DIGITS.finditer(text):
        start, end = match.span(1)
        places = [place for place in range(start, end) if text[place].isdigit()]
        for length in _CARD_LENGTHS:
            if length > len(places):
                continue
            last = places[length - 1] + 1
            # The number must end here: "4111 1111 1111 1111 12" is a card and a month.
            if not text[last : last + 1].isalnum() and is_card("".join(text[place] for place in places[:length])):
                yield start, last
                break


def is_card(digits: str) -> bool:
    """True for 13 to 19 digits of a known network's range and length whose check digit (Luhn) is right."""
    length = len(digits)
    first2, first4 = int(digits[:2]), int(digits[:4])
    known = (
        (digits[0] == "4" and length in (13, 16, 19))
        or (length == 16 and (51 <= first2 <= 55 or 2221 <= first4 <= 2720 or 3528 <= first4 <= 3589))
        or (length == 15 and first2 in (34, 37))
        or (length == 14 and (first2 in (36, 38, 39) or 300 <= int(digits[:3]) <= 305))
        or (16 <= length <= 19 and (first4 == 6011 or first2 in (62, 65) or 644 <= int(digits[:3]) <= 649))
    )
    if not known:
        return False
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


# -------------------------------------------------------------------------------------------------------------- rules
_URL_PASSWORD = r"""(?:[A-Za-z][A-Za-z0-9+.-]*:(?:\\*/){2}[^\s/:@"'<>\\]*:([^\s/"'<>\\]+)@)"""
_DSN_PASSWORD = r"""(?:(?:^|[\s"'=])[\w.-]+:([^\s@"']+)@(?:tcp|unix|udp)[\d]?\()"""

# Prefixes that providers give their tokens, so that they can be found.
_PROVIDER_TOKENS = (
    r"\b(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|[srp]k_(?:live|test)_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hv[sb]\.[A-Za-z0-9_-]{20,}|dop_v1_[a-f0-9]{64}|ya29\.[A-Za-z0-9_-]{20,})"
)
_PROVIDER_SIGN = (
    r"gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|[srp]k_(?:live|test)_|AIza[A-Za-z0-9_-]{5}|npm_[A-Za-z0-9]{5}"
    r"|pypi-[A-Za-z0-9_-]{40}|SG\.[A-Za-z0-9_-]{16}|hv[sb]\.[A-Za-z0-9_-]{5}|dop_v1_|ya29\."
)

RULES: dict[str, SecretRule] = {
    rule.name: rule
    for rule in (
        SecretRule(
            "private_key",
            "PRIVATE KEY",
            _groups(
                r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY|$)",
                lambda body: bool(body.strip()),
            ),
        ),
        SecretRule(
            "jwt",
            r"eyJ[A-Za-z0-9_-]{6}",
            _groups(r"\b(eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]{4,}){1,2}(?:\.[A-Za-z0-9_-]*){0,2})"),
        ),
        SecretRule(
            "aws_key",
            r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}",
            _groups(r"\b(A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16})\b"),
        ),
        SecretRule("provider_token", _PROVIDER_SIGN, _groups(_PROVIDER_TOKENS)),
        SecretRule("bearer", r"(?i:bearer|basic|apikey)(?:\s|\\[tn])+[A-Za-z0-9._~+/=-]{6}", _bearer),
        SecretRule(
            "url_password",
            r""":(?:\\*/){2}[^\s/"'<>@:]*:[^\s/"'<>@]*@|@(?:tcp|unix|udp)\d?\(""",
            _first_group(f"{_URL_PASSWORD}|{_DSN_PASSWORD}"),
        ),
        SecretRule("keys", sign(()), KeyValues()),
        SecretRule("card", r"(?:\b|_)[2-6](?:[ -]?[0-9]){12,18}(?:\b|_)", _cards),
        SecretRule(
            "email",
            r"[A-Za-z0-9._%+-]@[A-Za-z0-9-]+\.",
            _groups(r"\b([A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24})\b"),
        ),
    )
}
CREDENTIALS = tuple(name for name in RULES if name != "email")
# JSON may write any character as \u00xx: such an event is looked at, whatever it says.
ESCAPE_SIGN = r"\\u00[2-7]"


def rules_for(names: Collection[str], more_keys: Sequence[str] = ()) -> list[SecretRule]:
    """The rules of these names, in the order in which they must run. more_keys: further names of secrets."""
    keys = SecretRule("keys", sign(more_keys), KeyValues(more_keys)) if more_keys else RULES["keys"]
    return [keys if name == "keys" else rule for name, rule in RULES.items() if name in names]


def sign_of(rules: Sequence[SecretRule]) -> Any:
    """The one expression over bytes that finds the events to look at."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    options.log_errors = False
    parts = [*(rule.sign for rule in rules), ESCAPE_SIGN]
    return re2.compile("|".join(f"(?:{part})" for part in parts).encode(), options)
