from __future__ import annotations

import pytest

from agents.enrichments.grok import PATTERNS, Grok, WrongGrok
from agents.enrichments.messages import message_parsing, read_message_parsers
from agents.enrichments.pairs import key_values, logfmt
from logsync_streams.errors import ConfigurationError
from tests.unit.samples import event

FILE = """
parsers:
  - name: shop
    match: {service: shop}
    format: json
  - name: go
    match: {service: go}
    format: logfmt
  - name: pairs
    match: {service: pairs}
    format: key_value
  - name: web
    match: {service: web}
    grok:
      - '^%{COMBINEDAPACHELOG}$'
      - '%{ORDER:labels.order} took %{NUMBER:duration_ms} ms: %{GREEDYDATA:message}'
    patterns: {ORDER: 'O-[0-9]+'}
"""


@pytest.fixture
def parse(tmp_path):
    path = tmp_path / "messages.yaml"
    path.write_text(FILE)
    step = message_parsing(read_message_parsers(path))

    def parsed(service, message, **fields):
        one = event(message=message, service={"name": service}, **fields)
        step(one)
        return one.fields

    return parsed


def test_json_in_the_message_becomes_fields_and_the_events_own_win(parse):
    message = '{"message":"paid","level":"ERROR","service":"other","order":7,"error":{"type":"X"}}'
    found = parse("shop", message, labels={"order": "1"})

    assert {
        "message": "paid",
        "log": {"level": "error"},
        "service": {"name": "shop"},
        "labels": {"order": "1"},
        "error": {"type": "X"},
    } == found


def test_logfmt_becomes_fields(parse):
    found = parse("go", 'ts=2026-11-24T22:00:00Z lvl=warn msg="slow \\"query\\"" took=12ms cached')

    assert ('slow "query"', "warn") == (found["message"], found["log"]["level"])
    assert {"took": "12ms", "cached": "true"} == found["labels"]
    assert 1_795_557_600_000 == found["@timestamp"]


def test_pairs_in_a_sentence_become_labels_and_the_sentence_stays(parse):
    found = parse("pairs", 'user 7 paid amount=12.50, currency=EUR note="on time" level=info')

    assert {"amount": "12.50", "currency": "EUR", "note": "on time"} == found["labels"]
    assert found["message"].startswith("user 7 paid")
    assert "info" == found["log"]["level"]


def test_an_access_log_becomes_fields(parse):
    line = '10.0.3.17 - ada [24/Nov/2026:22:00:00 +0000] "GET /a?b=c HTTP/1.1" 503 12 "-" "curl/8.5.0"'
    found = parse("web", line)

    assert {"ip": "10.0.3.17"} == found["source"]
    assert {"request": {"method": "GET"}, "response": {"status_code": 503}} == found["http"]
    assert ("/a?b=c", "ada", "curl/8.5.0") == (
        found["url"]["path"],
        found["user"]["name"],
        found["user_agent"]["original"],
    )


def test_the_next_expression_and_patterns_of_ones_own(parse):
    found = parse("web", "O-17 took 3.5 ms: done")

    assert ("done", {"order": "O-17", "duration_ms": "3.5"}) == (found["message"], found["labels"])


@pytest.mark.parametrize(("service", "message"), [("shop", "no json"), ("shop", "[1]"), ("go", "a b"), ("web", "?")])
def test_a_message_of_another_form_stays_and_is_tagged(parse, service, message):
    found = parse(service, message, tags=["x"])

    assert (message, ["x", "message_unparsed"]) == (found["message"], found["tags"])


def test_other_services_are_left_alone(parse):
    assert {"message": '{"a":1}', "service": {"name": "none"}} == parse("none", '{"a":1}')


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_common_pattern_can_be_used(name):
    Grok(f"%{{{name}:field}}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IP", "2001:db8::1"),
        ("IP", "192.0.2.255"),
        ("NUMBER", "-12.5"),
        ("TIMESTAMP_ISO8601", "2026-11-24T22:00:00.123+01:00"),
        ("HTTPDATE", "24/Nov/2026:22:00:00 +0000"),
        ("SYSLOGTIMESTAMP", "Nov  4 22:00:00"),
        ("UUID", "0192f3e4-a5b6-7c8d-9e0f-102030405060"),
        ("URI", "https://u:p@example.com:8443/a/b?c=d#e"),
        ("QS", '"a \\" b"'),
        ("LOGLEVEL", "WARNING"),
        ("HOSTPORT", "db-1.internal:5432"),
    ],
)
def test_a_common_pattern_matches_the_whole_of_what_it_is_named_for(name, text):
    assert {"found": text} == Grok(f"^%{{{name}:found}}$").match(text)


@pytest.mark.parametrize(
    ("expression", "own", "said"),
    [
        ("%{NOPE:x}", {}, "no such pattern"),
        ("%{A:x}", {"A": "%{B}", "B": "%{A}"}, "in a circle"),
        ("%{WORD}", {}, "names no field"),
        ("(?=x)%{WORD:a}", {}, "RE2 refuses"),
        ("%{A:x}", {"A": "%{B}" * 50, "B": "%{C}" * 50, "C": "%{D}" * 50, "D": "x" * 50}, "longer than"),
    ],
)
def test_an_expression_that_cannot_be_used_says_why(expression, own, said):
    with pytest.raises(WrongGrok, match=said):
        Grok(expression, own)


def test_every_mistake_in_the_file_is_reported_with_line_and_parser(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(
        "parsers:\n  - name: a\n    match: {service: x}\n    format: xml\n"
        "  - name: b\n    match: {servce: x}\n    format: json\n"
        "  - name: c\n    match: {service: x}\n    grok: ['%{NOPE:x}']\n"
        "  - name: d\n    match: {service: x}\n"
    )
    with pytest.raises(ConfigurationError) as error:
        read_message_parsers(path)

    for said in (
        "m.yaml:4: parser a: format: 'xml': one of json, logfmt, key_value is expected",
        "m.yaml:6: parser b: match.servce: no such field; did you mean service?",
        "m.yaml:10: parser c: grok.0: '%{NOPE:x}': %{NOPE}: no such pattern",
        "m.yaml:11: parser d: either `format` or `grok` is expected",
    ):
        assert said in str(error.value)


@pytest.mark.parametrize("text", ["", "a", "a b", "=x", 'a="b', "x" * 100_000, 'a="b"c=d'])
def test_what_is_not_logfmt_is_none(text):
    assert logfmt(text) is None


def test_pairs_are_bounded():
    assert 200 == len(key_values(" ".join(f"k{i}={i}" for i in range(1000))) or {})
