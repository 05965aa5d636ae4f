"""What can be said of the page's files without a browser."""

import re

import pytest

from logsync_streams.query.pages import STATIC

FILES = sorted(STATIC.iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path):
    # A namespace and the example of sending a log are no requests.
    urls = re.findall(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}[^\s\"'`)]*", path.read_text())

    assert [] == [url for url in urls if "www.w3.org/2000/svg" not in url]


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_text_of_logs_never_becomes_markup(path):
    source = path.read_text()

    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc"):
        assert way not in source


def test_the_document_has_no_script_or_style_within_it():
    source = (STATIC / "index.html").read_text()

    assert [] == re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|javascript:", source)
