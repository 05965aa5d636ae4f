"""curl and Python's HTTPHandler, as they are."""

from __future__ import annotations

import gzip
import json
import logging
import logging.handlers
import subprocess
from typing import Any

import pytest

from tests.integration.running_collector import RunningCollector
from tests.integration.senders import program

pytestmark = pytest.mark.real


def curl(
    collector: RunningCollector, *options: str, path: str = "/api/logs", given: bytes = b""
) -> tuple[int, dict[str, Any]]:
    command = [program("curl"), "-sS", "-w", "\n%{http_code}", *options, collector.url + path]
    done = subprocess.run(command, input=given, capture_output=True, timeout=30, check=True)
    body, _, status = done.stdout.decode().rpartition("\n")
    return int(status), json.loads(body)


@pytest.mark.parametrize(
    ("options", "given", "messages"),
    [
        (["-d", '{"message":"one"}'], b"", ["one"]),
        (["--json", '[{"message":"one"},{"msg":"two"}]'], b"", ["one", "two"]),
        (["--data-binary", "@-"], b'{"message":"one"}\n{"message":"two"}\n', ["one", "two"]),
        (["--data-binary", "@-"], b'{"message":"one"}{"message":"two"}', ["one", "two"]),
        (["-H", "content-type: text/plain", "--data-binary", "@-"], b"one\ntwo\n", ["one", "two"]),
        (["-H", "content-encoding: gzip", "--data-binary", "@-"], gzip.compress(b'{"message":"one"}'), ["one"]),
        (["-H", "transfer-encoding: chunked", "--data-binary", "@-"], b'{"message":"one"}', ["one"]),
        (
            ["-H", "expect: 100-continue", "--data-binary", "@-"],
            b'{"message":"%b"}' % (b"x" * 100_000),
            ["x" * 100_000],
        ),
    ],
)
def test_curl(options, given, messages):
    with RunningCollector() as collector:
        status, answer = curl(collector, *options, given=given)
        fields = collector.fields("http")

    assert (202, len(messages)) == (status, answer["accepted"])
    assert messages == [one["message"] for one in fields]


def test_curl_is_told_what_is_wrong():
    with RunningCollector(max_body_bytes=1024) as collector:
        assert (400, 1) == ((answered := curl(collector, "-d", "{"))[0], answered[1]["line"])
        assert 413 == curl(collector, "--data-binary", "@-", given=b"x" * 2000)[0]
        assert 405 == curl(collector, "-X", "GET")[0]
        assert 404 == curl(collector, "-d", "x", path="/elsewhere")[0]


def test_pythons_http_handler():
    with RunningCollector() as collector:
        handler = logging.handlers.HTTPHandler(f"127.0.0.1:{collector.port('http')}", "/api/logs", method="POST")
        log = logging.Logger("shop.cart")
        log.addHandler(handler)
        log.error("no stock & no hope: 100 %")
        collector.received(1)
        (fields,) = collector.fields("http")

    assert ("no stock & no hope: 100 %", {"level": "error", "logger": "shop.cart"}) == (
        fields["message"],
        fields["log"],
    )
    assert "@timestamp" in fields
