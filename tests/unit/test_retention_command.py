"""`logsync retention …` and `logsync archive …` on the embedded store and a local folder, as an operator runs them."""

from __future__ import annotations

import json
import sys
from datetime import date

import pytest
from typer.testing import CliRunner

from logsync_streams.cli import archive
from logsync_streams.cli.archive import Selection
from logsync_streams.cli.commands import application
from logsync_streams.configuration import load
from logsync_streams.storage.embedded import EmbeddedStore
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import alias_name
from tests.retention import documents, embedded_settings, fill

pytestmark = pytest.mark.embedded
OLD = alias_name("auth", date(2026, 1, 1))


@pytest.fixture
async def logs(tmp_path, monkeypatch):
    """100 logs of a day that is long due, and settings that point there."""
    one = EmbeddedStore(tmp_path / "data/store")
    old = documents(100, OLD, "auth")
    await fill(Store(one, one, one), old)
    await one.close()
    policy = {"retention_days": 30, "archive_to_s3": True, "s3_bucket": "logs", "archive_days": 60}
    embedded_settings(monkeypatch, tmp_path, policy)
    return old


@pytest.fixture
async def two_days(logs, tmp_path):
    """As `logs`, and 100 of the next day."""
    one = EmbeddedStore(tmp_path / "data/store")
    await fill(Store(one, one, one), documents(100, alias_name("auth", date(2026, 1, 2)), "auth"))
    await one.close()


def logsync(*arguments):
    return CliRunner().invoke(application, arguments)


def test_plan_run_list_verify_search_and_restore_go_together(logs):
    planned = logsync("retention", "plan", "--json")
    plan = json.loads(planned.stdout)

    assert (1, True, "archive") == (planned.exit_code, plan["due"], plan["days"][0]["action"])
    assert {"bucket": "logs", "prefix": "logsync"} == plan["days"][0]["services"][0]["archive"]

    ran = logsync("retention", "run")

    assert (0, [f"archived {OLD}: 100 documents", f"dropped {OLD}: 100 documents"]) == (
        ran.exit_code,
        ran.stdout.splitlines(),
    )
    assert 0 == logsync("retention", "plan").exit_code
    assert "100 documents" in logsync("archive", "list").stdout
    assert 0 == logsync("archive", "verify").exit_code

    searched = logsync("archive", "search", "user.id:42")

    assert [logs[42].id] == [json.loads(line)["event"]["id"] for line in searched.stdout.splitlines()]
    assert "1 documents would be restored" in logsync("archive", "restore", "user.id:42", "--dry-run").stdout
    assert "100 documents restored" in logsync("archive", "restore").stdout
    assert "100 are in the store already" in logsync("archive", "restore").stdout


def test_a_damaged_archive_is_named_with_exit_code_2(logs, tmp_path):
    logsync("retention", "run")
    (part,) = (tmp_path / "archive").rglob("part-*")
    part.write_bytes(part.read_bytes()[:-1])

    checked = logsync("archive", "verify")

    assert 2 == checked.exit_code
    assert part.name in checked.stdout


def test_prune_shows_what_has_had_its_time_asks_and_removes_it(logs, tmp_path):
    held_back = logsync("archive", "prune", "--dry-run")
    logsync("retention", "run")
    shown = logsync("archive", "prune", "--dry-run")
    unsure = logsync("archive", "prune")

    assert (1, 0, 1) == (held_back.exit_code, shown.exit_code, unsure.exit_code)
    assert "archive_days 60 of the policy 'auth'" in shown.stdout
    assert "auth: 100 documents" in shown.stdout
    assert "say --yes" in unsure.stdout
    assert 1 == len(list((tmp_path / "archive").rglob("manifest.json")))

    done = logsync("archive", "prune", "--yes")

    assert (0, "removed 1 archives with 100 documents for ever") == (done.exit_code, done.stdout.splitlines()[-1])
    assert [] == [path for path in (tmp_path / "archive").rglob("*") if path.is_file()]
    assert 1 == logsync("archive", "prune", "--yes").exit_code


def test_a_damaged_manifest_is_named_by_every_command_which_goes_on_with_the_others(two_days, tmp_path):
    logsync("retention", "run")
    damaged, whole = sorted((tmp_path / "archive").rglob("manifest.json"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    name = damaged.parent.name

    for command, shown in {
        "list": f"{whole.parent.name}/  100 documents",
        "verify": f"{whole.parent.name}/  100 documents",
        "search": '"user":{"id":"42"}',
        "restore": "100 documents restored",
    }.items():
        done = logsync("archive", command)

        assert (command, 2) == (command, done.exit_code)
        assert f"DAMAGED logsync/auth/2026/01/01/{name}/manifest.json" in done.output
        assert shown in done.output
    pruned = logsync("archive", "prune", "--yes")

    assert 2 == pruned.exit_code
    assert "removed 1 archives with 100 documents for ever" in pruned.output
    assert damaged.exists()
    assert not whole.exists()


def test_a_damaged_manifest_of_another_day_is_no_concern(two_days, tmp_path):
    logsync("retention", "run")
    damaged, _ = sorted((tmp_path / "archive").rglob("manifest.json"))
    damaged.write_bytes(damaged.read_bytes()[:-9])

    assert 0 == logsync("archive", "verify", "--first-day", "2026-01-02").exit_code


@pytest.mark.parametrize("which", ["manifest.json", "part-*", "*"])
def test_an_object_that_was_removed_after_the_drop_is_named_by_verify(which, two_days, tmp_path):
    logsync("retention", "run")
    folder = sorted((tmp_path / "archive").rglob("manifest.json"))[0].parent
    gone = list(folder.glob(which))
    for path in gone:
        path.unlink()

    checked = logsync("archive", "verify")

    assert 2 == checked.exit_code
    assert any(path.name in line for path in gone for line in checked.stdout.splitlines() if "DAMAGED" in line)
    assert folder.name in checked.stdout
    assert 1 == checked.stdout.count("whole ")
    assert 0 == logsync("archive", "verify", "--first-day", "2026-01-02").exit_code


def test_what_was_pruned_is_not_missed_by_verify(two_days, tmp_path):
    policies = tmp_path / "policies.json"
    logsync("retention", "run")
    policies.write_text(policies.read_text().replace("}}}", ', "archive_days": 30}}}'))

    assert 0 == logsync("archive", "prune", "--yes").exit_code
    assert 0 == logsync("archive", "verify").exit_code


def test_a_damaged_part_is_named_by_search_and_restore_and_the_other_archives_are_read(two_days, tmp_path):
    logsync("retention", "run")
    damaged, _ = sorted((tmp_path / "archive").rglob("part-*"))
    damaged.write_bytes(damaged.read_bytes()[:-9])

    for command, shown in {"search": '"user":{"id":"42"}', "restore": "100 documents restored"}.items():
        done = logsync("archive", command)

        assert (command, 2) == (command, done.exit_code)
        assert f"{damaged.name}" in done.output
        assert shown in done.output


def test_that_there_is_no_archive_is_said_to_a_person_and_not_to_a_script(logs, monkeypatch, capsys):
    settings, selection = load(), Selection()
    codes = [archive.list_(settings, selection, as_json=False, say=print)]
    quiet = capsys.readouterr()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    codes.append(archive.list_(settings, selection, as_json=False, say=print))
    said = capsys.readouterr()

    assert [1, 1] == codes
    assert ["", "", "", "logsync: no archive was found\n"] == [quiet.out, quiet.err, said.out, said.err]


def test_a_dry_run_changes_nothing(logs, tmp_path):
    done = logsync("retention", "run", "--dry-run")

    assert 1 == done.exit_code
    assert not (tmp_path / "archive").exists()
    assert b"" == (tmp_path / "data/state.ndjson").read_bytes()


def test_what_cannot_be_meant_is_said_in_a_sentence(logs):
    logsync("retention", "run")

    assert 2 == logsync("archive", "list", "--first-day", "yesterday").exit_code
    assert 2 == logsync("archive", "search", "(").exit_code
