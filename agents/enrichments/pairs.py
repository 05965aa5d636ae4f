"""`key=value` pairs out of a text: logfmt, where the whole text is pairs, and pairs anywhere in a sentence."""

from __future__ import annotations

import re

from agents.filter_match import pattern

MAX_PAIRS = 200
# A quoted value ends at a quote that no backslash stands before; a bare one at white space.
_PAIR = pattern(r"""(?s)([A-Za-z_@][\w.@/-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)""")
_LOGFMT = pattern(r"""(?s)\s*([^\s="]+)(?:=("(?:[^"\\]|\\.)*"|[^\s"]*))?""")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def logfmt(text: str) -> dict[str, str] | None:
    """The pairs of a text that is nothing else; a key alone is "true". None when it is not logfmt."""
    found: dict[str, str] = {}
    position = pairs = 0
    text = text.strip()
    for match in _LOGFMT.finditer(text):
        if match.start() != position or (position and not text[position].isspace()) or len(found) >= MAX_PAIRS:
            return None
        value = match.group(2)
        found.setdefault(match.group(1), "true" if value is None else _plain(value))
        pairs += value is not None
        position = match.end()
    return found if pairs and position == len(text) else None


def key_values(text: str) -> dict[str, str] | None:
    """The pairs anywhere in a text, the first of each key; None when there is none."""
    found: dict[str, str] = {}
    for match in _PAIR.finditer(text):
        value = match.group(2)
        found.setdefault(match.group(1), _plain(value if value[:1] == '"' else value.rstrip(",;")))
        if len(found) >= MAX_PAIRS:
            break
    return found or None


def _plain(value: str) -> str:
    if value[:1] != '"':
        return value
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), value[1:-1])
