"""JSON objects one after the other, with nothing or white space between them -> the bytes of each."""

from __future__ import annotations

import re

# A string is passed over whole, so that the braces in it do not count.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]|"', re.DOTALL)
_SPACE = b" \t\r\n"


def split(body: bytes, most: int) -> list[tuple[int, bytes]]:
    """(where it begins, bytes) of each piece, at most `most` + 1: objects, and whatever stands between them.

    Nothing is checked but the brackets; put together, the pieces are the body without the white space between them.
    """
    pieces: list[tuple[int, bytes]] = []
    depth = begin = 0
    for token in _TOKEN.finditer(body):
        sign = body[token.start()]
        if sign in b"{[":
            if depth == 0:
                _add(pieces, begin, body[begin : token.start()])
                begin = token.start()
            depth += 1
        elif sign in b"}]" and depth:
            depth -= 1
            if depth == 0:
                _add(pieces, begin, body[begin : token.end()])
                begin = token.end()
                if len(pieces) > most:
                    return pieces
    _add(pieces, begin, body[begin:])
    return pieces


def _add(pieces: list[tuple[int, bytes]], begin: int, piece: bytes) -> None:
    stripped = piece.strip(_SPACE)
    if stripped:
        pieces.append((begin + piece.index(stripped[:1]), stripped))
