"""`logsync erase` on the embedded store and a local folder, as an operator runs it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import date

import orjson
import pytest
from typer.testing import CliRunner

from logsync_streams.cli import erase as command
from logsync_streams.cli.commands import application
from logsync_streams.cli.erase_letters import DeadLetters
from logsync_streams.dlq import journal
from logsync_streams.query.language import parse
from logsync_streams.settings import Settings
from logsync_streams.storage.embedded import EmbeddedStore
from logsync_streams.storage.evaluate import compiled
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from logsync_streams.storage.naming import alias_name
from retention.erase_find import Finder, Where
from retention.objects import MemoryObjects
from retention.policy import parse_policies
from tests.retention import documents, embedded_settings, fill
from tests.unit.samples import Terminal
from tests.unit.test_dlq_letters import LETTER

pytestmark = pytest.mark.embedded
OLD, NEW = alias_name("auth", date(2026, 1, 1)), alias_name("auth", date(2026, 1, 2))


@pytest.fixture
async def logs(tmp_path, monkeypatch):
    """A day that is archived, restored and dropped, and one that is not; 40 logs each."""
    one = EmbeddedStore(tmp_path / "data/store")
    old = documents(40, OLD, "auth")
    await fill(Store(one, one, one), old)
    await one.close()
    policy = {"retention_days": 30, "archive_to_s3": True, "s3_bucket": "logs"}
    embedded_settings(monkeypatch, tmp_path, policy)
    monkeypatch.setattr(command, "settling", lambda seconds: 0.0)
    return old


def logsync(*arguments):
    return CliRunner().invoke(application, arguments)


def test_it_shows_what_is_meant_and_erases_only_when_somebody_says_so(logs, monkeypatch, capsys):
    assert 0 == logsync("retention", "run").exit_code
    assert 0 == logsync("archive", "restore").exit_code

    shown = logsync("erase", "--where", "user.id:7", "--dry-run")
    unsure = logsync("erase", "--where", "user.id:7")

    assert (0, 1) == (shown.exit_code, unsure.exit_code)
    assert 2 == sum(line.startswith("1 in ") for line in shown.stdout.splitlines())
    assert "1 logs are meant" in shown.stdout
    assert "say --yes" in unsure.stdout
    for typed, code in (("y\n", 1), ("1\n", 0)):
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        assert code == command.erase(Settings(), "user.id:7", "", "", "", yes=False, dry_run=False, say=print)
    erased = capsys.readouterr().out

    assert "type 1: " in erased
    assert f"erased 1 from logsync/auth/2026/01/01/{OLD}-000001/" in erased
    assert "to show later that it was this query, keep:" in erased
    assert 1 == logsync("erase", "--where", "user.id:7", "--yes").exit_code
    assert 39 == len(logsync("archive", "search").stdout.splitlines())
    assert 0 == logsync("archive", "verify").exit_code


def test_what_cannot_be_meant_is_refused_in_a_sentence(logs, monkeypatch):
    for arguments, said in (
        ((" ",), "--where"),
        (("(",), ""),
        (("user.id:7", "--from", "yesterday"), ""),
    ):
        done = logsync("erase", "--where", *arguments, "--yes")
        assert (2, True) == (done.exit_code, said in done.stderr)
    monkeypatch.setenv("LOGSYNC_RETENTION__ERASED_IDS_DAYS", "10")

    assert "at least 11 is expected" in logsync("erase", "--where", "user.id:7", "--yes").stderr


def test_the_service_and_the_time_choose(logs):
    assert 1 == logsync("erase", "--where", "user.id:7", "--service", "pay", "--dry-run").exit_code
    assert 0 == logsync("erase", "--where", "user.id:7", "--service", "auth", "--dry-run").exit_code
    assert 1 == logsync("erase", "--where", "user.id:7", "--to", "2020-01-01T00:00:00Z", "--dry-run").exit_code


def test_after_an_erasure_that_was_cut_off_what_it_left_is_removed_though_nothing_is_found(logs, tmp_path):
    logsync("retention", "run")
    [manifest] = (tmp_path / "archive").rglob("manifest.json")
    left = manifest.with_name("part-00001-0123456789ab.ndjson.zst")
    left.write_bytes(b"of a log that is in no manifest any more")
    begun = {"begun_at": 1, "by": "a@b", "proof": "", "ended_at": 0}
    with (tmp_path / "data/state.ndjson").open("ab") as state:
        entry = {"key": "erase/1970-01-01T00:00:00.001Z/begun", "value": json.dumps(begun)}
        state.write(b"\n" + orjson.dumps(entry) + b"\n")

    first, second = (logsync("erase", "--where", "user.id:4711", "--yes") for _ in range(2))

    assert (0, True, 1) == (first.exit_code, "was cut off" in first.stdout, second.exit_code)
    assert not left.exists()
    assert 0 == logsync("archive", "verify").exit_code


@pytest.mark.parametrize(
    "value",
    [
        b'{"message": "hello", "service": "shop", "metadata": {"user": {"id": "42"}}}',
        b'{"message": "labels.user.id is 42", "service": "shop", "user": {"id": "42"}}',
    ],
)
def test_a_letter_is_found_by_what_its_bytes_as_received_would_become(value):
    letters = DeadLetters(Settings(), parse_policies({"retention_policies": {}}, "none"))
    letter = replace(LETTER, holds="original", format="json", value=value, event_id="0" * 32 + "-00000", attempts=99)

    def found(query):
        return any(compiled(parse(query))(document) for document, _ in letters.forms(letter))

    assert found("labels.user.id:42") or found("user.id:42")
    assert found("service:shop")
    assert not found("service:auth")


def test_a_letter_that_is_no_log_at_all_is_found_by_its_words():
    letters = DeadLetters(Settings(), parse_policies({"retention_policies": {}}, "none"))
    letter = replace(LETTER, holds="original", format="json", value=b'{"user 42 \xff', event_id="0" * 32 + "-00000")

    forms = [document for document, _ in letters.forms(letter)]

    assert any(map(compiled(parse('"user 42"')), forms))
    assert not any(map(compiled(parse("user.id:42")), forms))


@pytest.mark.parametrize(
    "letter",
    [
        replace(LETTER, format="syslog", value=b"<34>Nov 24 21:56:37 host auth: of user 42"),
        replace(LETTER, format="json", value=b'{"message": "of user 42", "service": "auth"}'),
        replace(LETTER, format="text", value=b"of user 42", target=NEW),
        replace(LETTER, holds="document", value=b'{"message": "of user 42"}', target=NEW),
    ],
    ids=["syslog", "json", "a dataset's text", "a dataset's document"],
)
async def test_a_letter_that_is_held_in_any_of_its_forms_stays_and_with_it_the_others_of_its_log(letter, monkeypatch):
    policies = parse_policies(
        {"retention_policies": {"auth": {"retention_days": 30, "legal_hold": True}, "default": {"retention_days": 30}}},
        "none",
    )
    id = "0" * 32 + "-00000"
    letter = replace(letter, event_id=id)
    other = replace(LETTER, format="text", value=b"also of user 42, of no service", event_id=id, stage="enrich")
    free = replace(other, event_id="1" * 32 + "-00000")
    records = [other, letter, free]
    letters = DeadLetters(Settings(), policies)

    async def opened():
        return records

    async def chunks(kafka, _):
        yield [(record, record) for record in records]

    monkeypatch.setattr(letters, "_open", opened)
    monkeypatch.setattr(journal, "chunks", chunks)
    one = MemoryStore()
    finder = Finder(Store(one, one, one), lambda _: MemoryObjects(), policies, letters, 100)
    found = await finder.find(Where(parse('"user 42"')))

    assert [free.event_id] == list(found.letters)
    assert {"the dead letters": 1} == found.held
