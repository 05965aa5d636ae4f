"""What a word is, in every store alike: the one definition of tokens that a search relies on.

A text is cut at everything that is not a letter or a digit and lower-cased; each CJK character is a word of its own.
Hence `timeout`, `NullPointerException` and `java.lang.NullPointerException` all find
`java.lang.NullPointerException: timeout_ms`, the last as the adjacent words java, lang, nullpointerexception.

Elasticsearch's `standard` analyser keeps `foo.bar` and `a_b` as one token, so a text that holds such names is stored
a second time as its words (`logsync.words.*`, analyser `whitespace`). For a plain text both give the same tokens and
the second field is left out. ADR 0004.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Analysers cut tokens at 255 characters; we cut there too, so that all stores agree.
MAX_WORD_LENGTH = 255

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]{{1,{MAX_WORD_LENGTH}}}")
# Where `standard` may see one token and we see two, or the other way round.
_COMPOUND = re.compile(r"[A-Za-z0-9][.'_:,;][A-Za-z0-9]|_|[A-Za-z0-9]{256}")
_ASCII_WORDS = bytes(ord(chr(i).lower()) if chr(i).isalnum() and i < 128 else 32 for i in range(256))


def words(text: str) -> list[str]:
    """The words of a text, in order, lower case."""
    return _WORD.findall(text.lower())


def word_spans(text: str) -> list[tuple[str, int, int]]:
    """Each word of `words` with its first character in the text and the one after its last."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return [(match[0], match.start(), match.end()) for match in _WORD.finditer(lowered)]
    # Lower-casing made some characters longer (İ): say for each which one it came from.
    origin = [place for place, character in enumerate(text) for _ in character.lower()]
    return [(match[0], origin[match.start()], origin[match.end() - 1] + 1) for match in _WORD.finditer(lowered)]


def words_field(text: str) -> str | None:
    """The words of a text joined by spaces for the field beside it, None where `standard` finds the same tokens."""
    if text.isascii():
        if not _is_compound(text):
            return None
        joined = text.encode().translate(_ASCII_WORDS).decode()
        return joined if len(text) <= MAX_WORD_LENGTH or not _LONG_WORD.search(joined) else " ".join(words(text))
    return " ".join(words(text))


def _is_compound(text: str) -> bool:
    """_COMPOUND, without a look at each character of a text that has none of its signs."""
    if "_" in text:
        return True
    signs = "." in text or ":" in text or "," in text or "'" in text or ";" in text  # no loop: a tenth of its cost
    if not signs and len(text) <= MAX_WORD_LENGTH:
        return False
    return _COMPOUND.search(text) is not None


_LONG_WORD = re.compile(rf"[^ ]{{{MAX_WORD_LENGTH + 1}}}")


def searched_words(fields: Mapping[str, Any]) -> dict[str, str]:
    """What a document's `logsync.words` holds: made from its texts, so that it can be left out and made again."""
    searched: dict[str, str] = {}
    message = fields.get("message")
    if message:
        extra = words_field(message)
        if extra is not None:
            searched["message"] = extra
    error = fields.get("error")
    if error:
        searched |= _error_words(error)
    return searched


def _error_words(error: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name in ("type", "message", "stack_trace"):
        text = error.get(name)
        if isinstance(text, str) and text:
            # error.type is a keyword: its words are nowhere else.
            extra = " ".join(words(text)) if name == "type" else words_field(text)
            if extra is not None:
                found[f"error_{name}"] = extra
    return found
