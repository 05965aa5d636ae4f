"""The rule of names: a value that stands behind `password`, `token`, … is a secret, whatever it looks like.

As a key of JSON it always is. In a text (`token=…`, `"token": "…"`, `--token …`, `<token>…</token>`) words such as
`invalid token: expired` must stay readable, so that a value after a colon has to look like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agents.filter_match import pattern

Span = tuple[int, int]

# Compared without `_`, `-`, `.`, spaces, and in lower case, at the end of the key: aws_secret_access_key, X-Api-Key.
_ENDINGS = (
    "password", "passwords", "passwd", "passphrase", "passcode", "pwd", "secret", "secrets", "token", "apikey",
    "accesskey", "secretkey", "privatekey", "accountkey", "encryptionkey", "signingkey", "sharedkey", "masterkey",
    "secretaccesskey", "credential", "credentials", "authorization", "cookie", "cvv", "cvc", "otp", "apitoken",
)  # fmt: skip
_WHOLE = ("pass", "pin", "bearer", "jwt", "authtoken", "sessionkey", "sas", "sig")
_ENDS_IN_PASS = pattern(r"(?:[_-]|[a-z])(?:pass|Pass|PASS)$")

_CLOSING = {")": "(", "]": "[", "}": "{"}
_MAX_CLOSING = 8
_MAX_HEADER = 8192  # characters; of a longer header the beginning is taken
_SEPARATORS = str.maketrans("", "", "_-. ")

# In a text. A quote may be escaped: JSON within JSON.
_NAME = (
    r"[A-Za-z0-9_.-]{0,48}?(?:pass(?:word|wd|phrase|code)s?|[_-]pass|pwd|secrets?|token|(?:api|access|secret|private"
    r"|account|encryption|signing|shared|master)[_.-]?key|credentials?|authorization|cookie|cvv|cvc)"
)
_BARE_NAMES = ("pass", "otp", "jwt")
_QUOTE = r"""\\*["']"""
_SEPARATOR = r"(?:=>|:=|[:=]|%3[DdAa])"
_SIGN_NAMES = (
    "pass(?:word|wd|phrase|code)?s?|pwd|secrets?|token|(?:api|access|secret|private|account|encryption|signing|shared"
    "|master)[_.-]?key|credentials?|authorization|cookie|cvv|cvc|otp|jwt|bearer|pin|sas|sig|authtoken|sessionkey"
)
_OPTION = pattern(
    r"(?:^|\s)--[A-Za-z-]*(?i:password|passwd|secret|token|api-key|access-key|secret-key)\s+([^\s-][^\s]*)"
)
_SQL = pattern(r"(?i:\b(?:identified\s+by|password)\s+)\\*'([^'\\]+)")
_TAG = pattern(rf"<((?i:{_NAME}))>([^<]+)</")
# After these names the value has more than one word: a scheme and its credentials, a list of pairs.
_AUTHORIZATION = pattern(r"(?i)^((?:bearer|basic|digest|token|apikey|negotiate)\s+)?([^\s\"',;]+)")
_COOKIES = pattern(r"^[^\s=;,\"']+=[^\s;,\"']*(?:;\s*[^\s=;,\"']+=[^\s;,\"']*)*")

# What stands where a value would, and is none.
_NO_SECRETS = frozenset(
    """
    null none nil true false undefined nan empty missing invalid expired required revoked rejected accepted wrong
    incorrect unset set unknown absent disabled enabled ok yes no on off failed error ok changed updated found timeout
    not bad denied unauthorized forbidden malformed mismatch valid verified redacted filtered hidden masked removed
    string str int bool object any optional eof n/a na nullptr <nil>
    """.split()  # noqa: SIM905  sixty quoted words would be harder to read
)
_FOLLOWED_BY_WORDS = pattern(r"^[.,:]?\s+[A-Za-z]")
_MASKS = pattern(
    r"^(?:[*•]+|[xX.#-]{3,}|\(redacted\)|\(hmac:[0-9a-f]{16}\)|\[?<?(?i:redacted|filtered|masked|hidden|secret)>?\]?)$"
)


def is_secret_name(key: str, more: frozenset[str] = frozenset()) -> bool:
    """True when the value of a key must not be read. more: further names, in the form of `plain_name`."""
    name = plain_name(key)
    return name.endswith(_ENDINGS) or name in _WHOLE or name in more or _ENDS_IN_PASS.search(key) is not None


def plain_name(key: str) -> str:
    """A key as it is compared: without separators, in lower case."""
    return key.translate(_SEPARATORS).lower()


def is_masked(value: str) -> bool:
    """True for what somebody has masked already, us included."""
    return _MASKS.search(value) is not None


def sign(more: Sequence[str]) -> str:
    """What every text with such a name and a value has, as an expression. more: further names, as they are written."""
    names = "|".join([_SIGN_NAMES, *map(re.escape, more)])
    return (
        rf"""(?i:{names})(?:\\*["'\]]+)?(?:\s|\\[tnr])*(?:[:=>]|%3[DdAa])"""
        r"|--[A-Za-z-]*(?i:password|passwd|secret|token|key)(?:\s|\\t)"
        r"|(?i:identified\s+by|password)\s+\\*'"
    )


class KeyValues:
    """Finds where the values stand that belong to a name of a secret. more: further names, as they are written."""

    def __init__(self, more: Sequence[str] = ()) -> None:
        bare = "|".join([*_BARE_NAMES, *map(re.escape, more)])
        # Groups: name, quote after it, separator; then one of: double-quoted, single-quoted, in escaped quotes, bare.
        self._pair = pattern(
            rf"((?i:{_NAME}|\b(?:{bare})))((?:{_QUOTE})?\]?)(\s*{_SEPARATOR}\s*)"
            r"""(?:"((?:[^"\\]|\\.)*)"?|'((?:[^'\\]|\\.)*)'?"""
            r"""|\\+["']([^"'\\]*(?:\\+[^"'\\][^"'\\]*)*)\\*["']?|([^\s"'\\,;&<>][^\s"',;&<]*))"""
        )

    def __call__(self, text: str) -> Iterator[Span]:
        yield from self._pairs(text)
        for match in _OPTION.finditer(text):
            if not is_masked(match.group(1)):
                yield match.span(1)
        for expression, group in ((_SQL, 1), (_TAG, 2)):
            for match in expression.finditer(text):
                if not is_masked(match.group(group)):
                    yield match.span(group)

    def _pairs(self, text: str) -> Iterator[Span]:
        position = 0
        for match in self._pair.finditer(text):  # one pass: searching anew from each match would encode the text anew
            if match.start() < position:
                continue  # within the cookie or header before
            group = next(number for number in (4, 5, 6, 7) if match.group(number) is not None)
            start, end = match.span(group)
            name, bare = plain_name(match.group(1)), group == 7
            if bare:
                start, end = _bare_span(name, text, start, end)
            position = end
            value = text[start:end]
            if not value.strip() or is_masked(value.strip()):
                continue
            if bare:
                secret = _looks_secret(name, match.group(3), value, text[end : end + 40])
            else:
                # "unexpected token: '<'": of a parser, not a credential.
                secret = len(value) >= 6 or match.group(2) != "" or "token" not in name or ":" not in match.group(3)
            if secret:
                yield start, end


def _bare_span(name: str, text: str, start: int, end: int) -> Span:
    """A value without quotes, as far as it goes."""
    rest = text[start : start + _MAX_HEADER]
    if name.endswith("authorization") and (found := _AUTHORIZATION.search(rest)) is not None:
        return start + found.start(2), start + found.end(2)
    if name.endswith("cookie") and (found := _COOKIES.search(rest)) is not None:
        return start, start + found.end()
    least = max(start + 1, end - _MAX_CLOSING)
    while end > least and text[end - 1] in _CLOSING:
        opening, closing = _CLOSING[text[end - 1]], text[end - 1]
        if text.count(opening, start, end) >= text.count(closing, start, end):
            break  # the value's own parenthesis
        end -= 1
    return start, end


def _looks_secret(name: str, separator: str, value: str, after: str) -> bool:
    """Whether a value without quotes is one."""
    word = value.strip(".!?:").lower()
    if word in _NO_SECRETS or value.startswith(("=", "$", "%s", "%d", "{")):
        return False
    if name == "pwd" and value.startswith(("/", "~")):
        return False  # the working directory
    if name.endswith(("cookie", "authorization")):
        return any(character.isdigit() or character == "=" for character in value) or len(value) > 12
    spaced = separator[-1:].isspace()
    if separator.strip() in ("=", "=>", ":=") or separator.lower() in ("%3d", "%3a"):
        return not (spaced and "=" in value.rstrip("="))  # "password= user=bob": there is no value
    if not spaced:
        return not value.isdigit() or len(value) > 3
    # "could not read token: no such file": a plain word that a sentence follows is a word.
    if value.isalpha() and (value == value.lower() or value == value.capitalize() or value == value.upper()):
        return not _FOLLOWED_BY_WORDS.search(after) and "pass" in name
    if not value.isdigit():
        return True
    may_be_digits = name == "pwd" or ("pass" in name and name != "pass")  # "pass: 4711 fail: 0" counts tests
    return len(value) > 3 and (may_be_digits or _FOLLOWED_BY_WORDS.search(after) is None)
