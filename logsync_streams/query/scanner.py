"""The characters of a query: words, quotes, escapes, ranges. What they mean is language.py's."""

from __future__ import annotations

from typing import NamedTuple

from logsync_streams.errors import InvalidQuery

# Each character with whether its special meaning was taken away by a backslash or by quotes.
Chars = list[tuple[str, bool]]

OPERATORS = ("AND", "OR", "NOT")


class Bounds(NamedTuple):
    """The two ends of a range as written; None is open."""

    lower: str | None
    upper: str | None
    include_lower: bool
    include_upper: bool


def plain(chars: Chars) -> str:
    """The text, escapes removed."""
    return "".join(character for character, _ in chars)


class Scanner:
    """A place in the text. `take…` and the readers move it on; `at…` and `peek` only look."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def column(self) -> int:
        """1-based, in characters."""
        return self._at + 1

    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def at_blank(self) -> bool:
        return self.at_end() or self._text[self._at].isspace()

    def peek(self, character: str) -> bool:
        return self._text.startswith(character, self._at)

    def take(self, character: str) -> bool:
        if not self.peek(character):
            return False
        self._at += len(character)
        return True

    def skip_blanks(self) -> None:
        while not self.at_end() and self._text[self._at].isspace():
            self._at += 1

    def at_operator(self, operator: str) -> bool:
        """True at this word in capitals, standing alone."""
        end = self._at + len(operator)
        return self.peek(operator) and (end >= len(self._text) or self._text[end].isspace() or self._text[end] in '()"')

    def take_operator(self, operator: str) -> bool:
        """Take the operator and the blanks after it."""
        if not self.at_operator(operator):
            return False
        self._at += len(operator)
        self.skip_blanks()
        return True

    def quoted(self) -> Chars:
        """The text between quotes; the place is at the first of them."""
        start = self.column
        self._at += 1
        chars: Chars = []
        while not self.at_end():
            if self.take('"'):
                return chars
            chars.append((self._character()[0], True))
        raise InvalidQuery("this quote is never closed", column=start, hint='add " or write \\"')

    def word(self, *, until: str = '()"') -> Chars:
        """The characters up to a blank or one of `until`."""
        chars: Chars = []
        while not self.at_blank() and self._text[self._at] not in until:
            chars.append(self._character())
        return chars

    def word_or_field(self) -> tuple[Chars | None, Chars]:
        """(None, a word), or (the name, nothing) when a colon follows the name: it is taken, the value is not."""
        start = self._at
        name = self.word(until='():"')
        if name and self.take(":"):
            return name, []
        self._at = start
        return None, self.word()

    def range(self) -> Bounds | None:
        """The range that starts here (`>=500`, `[a TO b}`), None when none does."""
        for sign, lower, inclusive in (
            (">=", True, True),
            ("<=", False, True),
            (">", True, False),
            ("<", False, False),
        ):
            if self.take(sign):
                self.skip_blanks()
                bound = self._bound('()"')
                if bound is None:
                    return Bounds(None, None, True, True)
                return Bounds(bound, None, inclusive, True) if lower else Bounds(None, bound, True, inclusive)
        if not (self.peek("[") or self.peek("{")):
            return None
        start = self.column
        include_lower = self.take("[") or not self.take("{")
        self.skip_blanks()
        lower_bound = self._bound(']}()"')
        self.skip_blanks()
        has_to = self.take("TO") and self.at_blank()
        self.skip_blanks()
        upper_bound = self._bound(']}()"') if has_to else None
        self.skip_blanks()
        include_upper = self.take("]")
        if not has_to or not (include_upper or self.take("}")):
            raise InvalidQuery(
                "this range is not complete",
                column=start,
                hint="write [a TO b], {a TO b} without the ends, or [a TO *]",
            )
        return Bounds(
            lower_bound, upper_bound, include_lower or lower_bound is None, include_upper or upper_bound is None
        )

    def _bound(self, until: str) -> str | None:
        column = self.column
        if self.peek('"'):
            return plain(self.quoted())
        chars = self.word(until=until)
        if not chars:
            raise InvalidQuery("a bound of the range is missing", column=column, hint="an open end is written *")
        if chars == [("*", False)]:
            return None
        if ("*", False) in chars:
            raise InvalidQuery("a * within a bound of a range", column=column, hint="an open end is written * alone")
        return plain(chars)

    def _character(self) -> tuple[str, bool]:
        character = self._text[self._at]
        self._at += 1
        if character != "\\":
            return character, False
        if self.at_end():
            raise InvalidQuery(
                "the query ends after a backslash", column=self._at, hint="a backslash itself is written \\\\"
            )
        self._at += 1
        return self._text[self._at - 1], True
