"""JSON text -> the pieces it is made of, found by their brackets and read one at a time: a body of ten megabytes read
as a whole can be three hundred megabytes of objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'


def _nested(depth: int) -> bytes:
    """An object or array that holds others to this depth."""
    inner = rb'[^"{}\[\]]++|' + _STRING + (b"|" + _nested(depth - 1) if depth else b"")
    return rb"[{\[](?:" + inner + rb")*+[}\]]"


_SHALLOW = _nested(5)  # nearly all logs are; what is deeper is gone through bracket by bracket
_VALUE = re.compile(_SHALLOW, re.DOTALL)
_ELEMENT = re.compile(
    _SPACE + b"(" + _SHALLOW + b"|" + _STRING + rb'|[^ \t\r\n,\[\]{}"]++)' + _SPACE + rb"([,\]])", re.DOTALL
)
_SCALAR = re.compile(_STRING + rb'|[^ \t\r\n,\[\]{}"]++', re.DOTALL)
_AFTER = re.compile(_SPACE + rb"([,\]])")
_SPACED = re.compile(_SPACE)
_EMPTY = re.compile(_SPACE + rb"\[" + _SPACE + rb"\]" + _SPACE)
_OPENING = re.compile(_STRING + rb'|[{\[]|"', re.DOTALL)
# Bracket by bracket; strings and what holds no other brackets are passed over, some at a step.
_ATOM = rb'[^"{}\[\]]++|' + _STRING
_BRACKET = re.compile(
    b"(?:" + _ATOM + rb"|[{\[](?:" + _ATOM + rb"){0,200}+[}\]]){1,200}+" + rb'|([{}\[\]])|"', re.DOTALL
)
# A match is one step that nobody can interrupt; what does not end within so much is gone through bracket by bracket.
_STEP_BYTES = 64 * 1024
_LONGEST_BYTES = 2 * 1024 * 1024  # no event is nearly as long: where a longer one ends is not looked for
_DEEPEST = 1024  # deeper is read by no JSON reader that we know


class NoArray(ValueError):
    """What was to be an array is none; `at` is the place where it stops being one."""

    def __init__(self, at: int) -> None:
        super().__init__(f"no JSON array at byte {at}")
        self.at = at


def split(body: bytes, most: int) -> list[tuple[int, bytes]]:
    """(where it begins, bytes) of each piece, at most `most` + 1: objects one after the other, with nothing or white
    space between them, and whatever else stands there.

    Nothing is checked but the brackets; put together, the pieces are the body without the white space between them.
    """
    pieces: list[tuple[int, bytes]] = []
    begin = position = 0
    while (opening := _OPENING.search(body, position)) is not None:
        at = opening.start()
        if body[at] == 0x22:  # words between objects, with quotes
            position = opening.end()
            continue
        _add(pieces, begin, body[begin:at])
        begin, position = at, _value_end(body, at)
        if position < 0:
            break
        _add(pieces, begin, body[begin:position])
        begin = position
        if len(pieces) > most:
            return pieces
    _add(pieces, begin, body[begin:])
    return pieces


def elements(body: bytes) -> Iterator[tuple[int, bytes]]:
    """(where it begins, bytes) of each element of an array, none of them checked. Raises NoArray, also after some."""
    if _EMPTY.fullmatch(body):
        return
    position = body.index(b"[") + 1
    while True:
        found = _ELEMENT.match(body, position, position + _STEP_BYTES)
        if found is not None:
            begin, element, position = found.start(1), found[1], found.end()
        else:
            begin = position + len(_SPACED.match(body, position)[0])  # type: ignore[index]  # it matches nothing, too
            end = _value_end(body, begin) if body[begin : begin + 1] in (b"{", b"[") else _scalar_end(body, begin)
            after = _AFTER.match(body, end) if end >= 0 else None
            if after is None:
                raise NoArray(max(begin, end))
            element, position = body[begin:end], after.end()
        yield begin, element
        if body[position - 1] == 0x5D:
            if len(body) > position and body[position:].strip(b" \t\r\n"):
                raise NoArray(position)
            return


def _value_end(body: bytes, begin: int) -> int:
    """Where the object or array ends that begins there, -1 when it does not within reason."""
    shallow = _VALUE.match(body, begin, begin + _STEP_BYTES)
    if shallow is not None:
        return shallow.end()
    depth = 0
    for token in _BRACKET.finditer(body, begin):
        sign = token[1]
        if sign is None:
            if token.end() - begin > _LONGEST_BYTES:
                return -1
            continue
        if sign in (b"{", b"["):
            depth += 1
            if depth > _DEEPEST or token.end() - begin > _LONGEST_BYTES:
                return -1
        else:
            depth -= 1
            if depth == 0:
                return token.end()
    return -1


def _scalar_end(body: bytes, begin: int) -> int:
    scalar = _SCALAR.match(body, begin)
    return scalar.end() if scalar is not None else -1


def _add(pieces: list[tuple[int, bytes]], begin: int, piece: bytes) -> None:
    stripped = piece.strip(b" \t\r\n")
    if stripped:
        pieces.append((begin + piece.index(stripped[:1]), stripped))
