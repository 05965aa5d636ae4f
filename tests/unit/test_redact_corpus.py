"""The labelled corpus of tests/corpus/redaction: how many secrets are found, and how much else is taken for one.

Lines are as services write them, secrets made up and marked with ⟦ ⟧; `clean.txt` has lines without any.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import orjson
import pytest

from agents.redact import default_redactor

FOLDER = Path(__file__).resolve().parent.parent / "corpus" / "redaction"
_MARKED = re.compile("⟦(.*?)⟧")
_MARKS = str.maketrans("", "", "⟦⟧")


def lines(name: str) -> list[str]:
    return (FOLDER / f"{name}.txt").read_text().splitlines()


SECRET_FILES = sorted(path.stem for path in FOLDER.glob("*.txt") if path.stem != "clean")
MARKED = [line for name in SECRET_FILES for line in lines(name)]


def as_text(line: str) -> bytes:
    return line.encode()


def as_message(line: str) -> bytes:
    return orjson.dumps({"message": line, "level": "info"})


def redacted(data: bytes) -> str:
    return default_redactor().data(data, Counter()).decode()


def leaked(line: str, form) -> bool:
    left = redacted(form(line.translate(_MARKS)))
    return any(secret in left for secret in _MARKED.findall(line))


def test_the_corpus_is_large_enough_and_marked():
    assert len(MARKED) + len(lines("clean")) >= 500
    assert all(_MARKED.search(line) for line in MARKED)
    assert not any(_MARKED.search(line) for line in lines("clean"))


@pytest.mark.parametrize("form", [as_text, as_message])
@pytest.mark.parametrize("name", SECRET_FILES)
def test_of_a_hundred_credentials_of_a_kind_at_most_one_stays_readable(name, form):
    missed = [line for line in lines(name) if leaked(line, form)]

    assert len(missed) <= len(lines(name)) // 100, missed


@pytest.mark.parametrize("form", [as_text, as_message])
def test_of_two_hundred_lines_without_a_secret_at_most_one_is_changed(form):
    clean = lines("clean")
    wrong = [line for line in clean if redacted(form(line)) != form(line).decode()]

    assert len(wrong) <= len(clean) * 0.005, wrong


def test_what_stands_around_a_secret_stays_readable():
    kept = [line for line in MARKED if redacted(as_text(line.translate(_MARKS))) == _MARKED.sub("(redacted)", line)]

    assert len(kept) >= 0.9 * len(MARKED), set(MARKED) - set(kept)
