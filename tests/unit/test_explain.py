from __future__ import annotations

import io
import sys

import orjson
import pytest

from agents.explain import Explanation, explain
from agents.filter import Rule
from agents.filter_match import compile_match
from agents.process import Outcome
from logsync_streams.cli import config
from logsync_streams.cli.explain import run
from logsync_streams.errors import ConfigurationError
from logsync_streams.events import Event
from logsync_streams.settings import ProcessSettings, RetentionSettings, Settings
from tests.unit.samples import DAY, OneDataset, enveloped, processor, raw

ROUTES = '[{"name":"audit","match":{"labels.audit":"yes"},"dataset":"audit"}]'
LOG = {"message": "password=geheim1", "level": "ERROR", "service": "auth", "audit": "yes", "request_id": "r-1"}


def explained(*records, **changes) -> list[Explanation]:
    return explain(records, processor(**changes), {DAY: OneDataset(routes=ROUTES)})


def test_parser_redaction_rules_route_and_enrichments_are_named():
    [one] = explained(enveloped(LOG))

    assert ("stored", "json", {"keys": 1}, "audit", "logsync-audit-2026.11.24") == (
        one.outcome,
        one.parser,
        one.redacted,
        one.route,
        one.target,
    )
    assert [{"name": "debug_in_production", "action": "drop", "matched": False}] == one.rules
    assert {"logsync.correlation_id": "r-1"} == one.enrichments["add_correlation_id"]
    assert {"event.severity": 17} == one.enrichments["add_severity"]


def set_service(event: Event) -> None:
    event.fields["service"] = {"name": "pay"}


def test_what_is_read_from_the_message_comes_before_the_rules_and_is_shown():
    rules = [Rule("pay", compile_match({"service": "pay"}))]
    [one] = explained(enveloped(LOG), rules=rules, reading=[set_service])

    assert ("dropped", {"set_service": {"service.name": "pay"}}) == (one.outcome, one.enrichments)


async def test_the_document_is_exactly_what_process_stores():
    records = [enveloped(LOG, {"message": "b\nTypeError: x\n    at y"}), raw(b"just a line", offset=8)]
    stages, outcome, assignments = processor(reading=[set_service]), Outcome(), {DAY: OneDataset(routes=ROUTES)}
    decoded = stages.decode(records, outcome)
    await stages.run(decoded, outcome, assignments)

    assert [(target, orjson.loads(body)) for target, _, body in outcome.documents] == [
        (one.target, one.document) for one in explain(records, processor(reading=[set_service]), assignments)
    ]


def test_a_dropped_log_names_its_rule_and_has_no_document():
    rules = [Rule("keep_pay", compile_match({"service": "pay"}), "keep"), Rule("rest", lambda one: True)]
    [one] = explained(enveloped(LOG), rules=rules)

    assert ("dropped", None) == (one.outcome, one.document)
    assert [("keep_pay", False), ("rest", True)] == [(rule["name"], rule["matched"]) for rule in one.rules]


@pytest.mark.parametrize(
    ("record", "category"),
    [
        (raw(b'{"broken', offset=1), "undecodable"),
        (raw(b"\xff\x00"), "undecodable"),
        (enveloped({"message": "x"}, format="morse"), "undecodable"),
    ],
)
def test_a_dead_letter_has_its_category_and_reason(record, category):
    [one] = explained(record)

    assert ("dead_letter", category) == (one.outcome, one.category)
    assert one.reason


def test_a_step_that_fails_is_a_dead_letter_as_in_process():
    def explode(event):
        raise RuntimeError("a bug of ours")

    [one] = explained(enveloped(LOG), steps=[explode])

    assert ("dead_letter", "stage_failed", "RuntimeError: a bug of ours") == (one.outcome, one.category, one.reason)


@pytest.fixture
def said():
    return []


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b'{"message":"a","level":"debug","environment":"production"}\n\nplain \x1b[31m text\r\n')
    return str(path)


def test_the_command_explains_each_line_and_writes_no_control_characters(lines, said):
    code = run(lines, Settings(), format="auto", as_json=False, say=said.append)

    assert 0 == code
    assert said[0].startswith(
        "line 1: dropped\n  parser       json\n  rule         debug_in_production (drop): matched"
    )
    assert said[1].startswith("line 2: stored in logsync-default-")
    assert "\x1b" not in "".join(said)


def test_the_command_gives_one_json_object_a_line(lines, said):
    run(lines, Settings(), format="text", as_json=True, say=said.append)
    found = [orjson.loads(line) for line in said]

    assert [(1, "stored", "text"), (2, "stored", "text")] == [
        (one["line"], one["outcome"], one["parser"]) for one in found
    ]


def test_a_file_that_is_not_there_and_a_format_that_is_none(tmp_path, said, capsys):
    assert 2 == run(str(tmp_path / "none"), Settings(), format="auto", as_json=False, say=said.append)
    assert "No such file" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="--format: 'xml'"):
        run("-", Settings(), format="xml", as_json=False, say=said.append)


def test_check_config_reports_the_problems_of_all_files_at_once(tmp_path, monkeypatch, said):
    for name in ("rules", "messages", "catalogue", "policies"):
        (tmp_path / name).write_text("[")
    settings = Settings(
        process=ProcessSettings(
            filter_file=tmp_path / "rules",
            messages_file=tmp_path / "messages",
            catalogue_file=tmp_path / "catalogue",
            redact_hash_key_file=tmp_path / "no_key",
        ),
        retention=RetentionSettings(policies_file=tmp_path / "policies"),
    )
    monkeypatch.setattr(config, "load", lambda: settings)
    with pytest.raises(ConfigurationError) as error:
        config.check(say=said.append)

    assert 5 == len(error.value.problems)
    assert [] == said


def test_standard_input_is_read_for_a_dash(monkeypatch, tmp_path, said):
    path = tmp_path / "in"
    path.write_bytes(b"one\ntwo\n")
    with path.open() as stdin:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin.buffer))
        run("-", Settings(), format="auto", as_json=True, say=said.append)

    assert ["one", "two"] == [orjson.loads(line)["document"]["message"] for line in said]
