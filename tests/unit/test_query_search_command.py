import io
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from rich.console import Console

from logsync_streams.cli.asking import FAILED, FOUND, NOTHING_FOUND
from logsync_streams.cli.printing import escape, json_line, line
from logsync_streams.cli.search import search

HIT: dict[str, object] = {
    "id": "1",
    "index": "i",
    "@timestamp": "2026-11-24T10:00:00.000Z",
    "log": {"level": "error"},
    "service": {"name": "auth"},
    "message": "boom",
}


@contextmanager
def answering(*answers: tuple[int, object]) -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A server that gives these answers in turn: its URL, and the parameters it was asked with."""
    asked: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers[len(asked)]
            asked.append(parse_qs(urlsplit(self.path).query))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode() if not isinstance(body, bytes) else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def run(url: str, q: str = "boom", **options: object) -> tuple[int, str, str]:
    output, errors = io.StringIO(), io.StringIO()
    code = search(q, url, output=output, errors=errors, **options)  # type: ignore[arg-type]  # options are search's
    return code, output.getvalue(), errors.getvalue()


def page(*hits: Mapping[str, object], cursor: str | None = None) -> tuple[int, object]:
    return 200, {"total": {"value": 9, "relation": "eq"}, "took_ms": 1, "hits": hits, "cursor": cursor}


def test_a_hit_is_a_line_of_time_level_service_and_message():
    with answering(page(HIT)) as (url, _):
        assert (FOUND, "2026-11-24T10:00:00.000Z error    auth boom\n", "") == run(url)


def test_nothing_found_is_exit_code_1():
    with answering(page()) as (url, _):
        assert (NOTHING_FOUND, "", "") == run(url)


def test_pages_are_followed_up_to_the_limit():
    with answering(page(HIT, HIT, cursor="c1"), page(HIT, cursor="c2")) as (url, asked):
        code, output, _ = run(url, limit=3, start="now-1h")

    assert (FOUND, 3) == (code, output.count("\n"))
    assert {"q": ["boom"], "from": ["now-1h"], "sort": ["desc"], "limit": ["3"], "highlight": ["false"]} == asked[0]
    assert {
        "q": ["boom"],
        "from": ["now-1h"],
        "sort": ["desc"],
        "limit": ["1"],
        "cursor": ["c1"],
        "highlight": ["false"],
    } == asked[1]


def test_json_is_the_documents_one_a_line():
    with answering(page(HIT, {"message": "\x1b[31m\u202e\x9b"})) as (url, _):
        code, output, _ = run(url, as_json=True)

    assert FOUND == code
    assert [HIT, {"message": "\x1b[31m\u202e\x9b"}] == [json.loads(text) for text in output.splitlines()]
    assert output.replace("\n", "").isprintable()


def test_a_reader_that_has_seen_enough_is_no_error():
    program = "import sys; from logsync_streams.cli.search import search; sys.exit(search('x', sys.argv[1], limit=9))"
    with (
        answering(page(*[{"message": "x" * 100_000}] * 9)) as (url, _),
        subprocess.Popen(
            [sys.executable, "-c", program, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()

        assert (FOUND, b"") == (process.wait(60), process.stderr.read())


def test_a_bad_query_points_at_the_column_and_is_exit_code_2():
    problem = {"detail": "this quote is never closed", "column": 4, "hint": 'add "'}
    with answering((400, problem)) as (url, _):
        code, output, errors = run(url, 'ok "x')

    assert (FAILED, "") == (code, output)
    assert 'logsync: this quote is never closed\n  ok "x\n     ^\n  add "\n' == errors


@pytest.mark.parametrize(
    "answer", [(200, b"<html>"), (200, []), (404, b""), (200, {"other": 1}), (502, {"detail": "away"})]
)
def test_an_answer_that_is_none_is_exit_code_2(answer):
    with answering(answer) as (url, _):
        code, output, errors = run(url)

    assert (FAILED, "") == (code, output)
    assert errors.startswith("logsync: ")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "ftp://127.0.0.1", "http://[::bad"])
def test_a_server_that_is_not_there_is_exit_code_2_and_one_sentence(url):
    code, _, errors = run(url)

    assert (FAILED, 1) == (code, errors.count("\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 日 🙂 👩‍💻", "plain é 日 🙂 👩‍💻"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m\x7f\0", "\\x9b31m\\x7f\\x00"),
        ("\u202egnp.exe\u2066\u200f", "\\u202egnp.exe\\u2066\\u200f"),
        ("\u2028\u2029\ufeff", "\\u2028\\u2029\\ufeff"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_steers_a_terminal_is_printed_by_its_number(text, expected):
    assert expected == escape(text)


def test_on_a_terminal_the_lines_of_a_message_stand_indented_below_each_other():
    message = "boom\r\n\tat Main.java:1\x1b[2J\n2026-11-25T00:00:00Z error forged\n"
    hit = {"@timestamp": "t", "log": {"level": "error"}, "service": {"name": "a"}, "message": message}
    below = ["t error    a boom", "        at Main.java:1\\x1b[2J", "    2026-11-25T00:00:00Z error forged"]

    assert below == line(hit, lines=True).plain.split("\n")
    assert 1 == len(line(hit).plain.splitlines())


def test_every_field_of_a_line_is_escaped_also_in_colour():
    evil = "\x1b[2J\u202e"
    hit = {"@timestamp": evil, "log": {"level": evil}, "service": {"name": evil}, "message": evil}
    output = io.StringIO()
    Console(file=output, force_terminal=True, color_system="truecolor", soft_wrap=True).print(line(hit))

    assert "\x1b[2J" not in output.getvalue()
    assert "\u202e" not in output.getvalue()
    assert json_line({"a": "\U000e0041"}) == '{"a":"\\udb40\\udc41"}'
