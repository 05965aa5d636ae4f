"""`logsync send` against answers of a collector."""

import io
import socket
import sys
from types import SimpleNamespace

import httpx
import orjson
import pytest

from logsync_streams.cli.send import send


class Collector:
    """Answers from a list, then 202 for everything; keeps what was posted."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(
            (request.headers["idempotency-key"], [orjson.loads(line) for line in request.content.split(b"\n")])
        )
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer or httpx.Response(202, json={"accepted": len(self.requests[-1][1]), "envelope_ids": []})


@pytest.fixture
def sent(tmp_path):
    def run(content, collector, **options):
        path = tmp_path / "auth.service.log"
        path.write_bytes(content)
        return send(
            str(path), "http://c:8081", transport=httpx.MockTransport(collector), sleep=pauses.append, **options
        )

    pauses: list[float] = []
    return SimpleNamespace(run=run, pauses=pauses)


def test_each_line_is_a_log_of_the_service_that_the_file_is_named_after(sent):
    collector = Collector()
    code = sent.run(b"one\n\n \ncaf\xe9\r\n\xe2\x82\xac", collector, level="warn")

    common = {"service": "auth", "host": socket.gethostname(), "level": "warn"}
    assert 0 == code
    assert [{"message": text, **common} for text in ("one", "caf\xe9", "€")] == collector.requests[0][1]


def test_a_given_service_wins_and_standard_input_is_a_file(sent, monkeypatch):
    collector = Collector()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x\n")))

    assert 0 == send("-", "http://c:8081", "billing", transport=httpx.MockTransport(collector))
    assert "billing" == collector.requests[0][1][0]["service"]


def test_a_long_file_is_sent_in_batches_with_a_key_each(sent):
    collector = Collector()

    assert 0 == sent.run(b"line\n" * 1001, collector)
    assert [500, 500, 1] == [len(events) for _, events in collector.requests]
    assert 3 == len({key for key, _ in collector.requests})


@pytest.mark.parametrize("problem", [httpx.Response(503, headers={"retry-after": "2"}), httpx.ConnectError("refused")])
def test_a_collector_that_cannot_take_it_now_is_asked_again_with_the_same_key(sent, problem):
    collector = Collector(problem, problem)

    assert 0 == sent.run(b"x", collector)
    assert 3 == len(collector.requests)
    assert 1 == len({key for key, _ in collector.requests})
    assert 2 == len(sent.pauses)


def test_a_collector_that_stays_away_is_given_up_with_one_sentence(sent, capsys):
    collector = Collector(*[httpx.ConnectError("refused")] * 100)

    assert 1 == sent.run(b"x\n" * 501, collector)
    assert 8 == len(collector.requests)
    assert "no collector answers at http://c:8081/api/logs" in capsys.readouterr().err


def test_refused_lines_are_named_by_their_place_in_the_file(sent, capsys):
    answer = {"accepted": 1, "envelope_ids": [], "rejected": 1, "refused": [{"line": 2, "reason": "too long"}]}
    collector = Collector(httpx.Response(207, json=answer))

    assert 1 == sent.run(b"\n\none\n\ntwo\n", collector)
    error = capsys.readouterr().err
    assert "line 5: too long" in error
    assert "1 of 2 lines accepted" in error


def test_an_answer_that_is_no_collectors_is_an_error(sent, capsys):
    assert 1 == sent.run(b"x", Collector(httpx.Response(404, text="nope")))
    assert "answered 404" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["missing.log", "."])
def test_a_file_that_cannot_be_read_is_one_sentence(path, tmp_path, capsys):
    assert 2 == send(str(tmp_path / path), "http://c:8081", transport=httpx.MockTransport(Collector()))
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["c:8081", "ftp://c", ""])
def test_an_address_that_is_none_is_one_sentence(url, tmp_path, capsys):
    path = tmp_path / "a.log"
    path.write_text("x")

    assert 1 == send(str(path), url, sleep=lambda seconds: None)
    assert "no address of a collector" in capsys.readouterr().err
