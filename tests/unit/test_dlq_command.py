"""`logsync dlq`: what can be meant, and what may reach the terminal."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from logsync_streams.cli import dlq
from logsync_streams.cli.commands import application
from logsync_streams.cli.dlq import Wanted, described
from logsync_streams.dlq import journal
from logsync_streams.dlq.letters import Ledger, Place, Selection
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import Settings
from tests.unit.samples import Terminal
from tests.unit.test_dlq_letters import LETTER, Topic


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (Wanted(), "which?"),
        (Wanted(category="maping"), "--category 'maping': one of undecodable,"),
        (Wanted(since="yesterday"), "--since 'yesterday' is no time"),
        (Wanted(everything=True, stage="index"), "--all is everything"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_expected(wanted, problem):
    with pytest.raises(ConfigurationError, match=problem.replace("?", r"\?")):
        wanted.selection(named=True)


def test_a_time_is_taken_as_the_query_api_takes_it():
    assert Selection(since=1_795_557_600_123) == Wanted(since="2026-11-24T22:00:00.123Z").selection(named=True)


def test_everything_is_only_meant_when_it_is_said():
    assert Selection() == Wanted(everything=True).selection(named=True) == Wanted().selection()


def test_nothing_in_a_letter_steers_the_terminal():
    topic = Topic()
    topic.letter(replace(LETTER, value=b"\x1b]0;owned\x07\xff\r", error="\x1b[2J\u202egone", peer="\x9b1m"))
    [letter] = topic.ledger.open()
    record = replace(LETTER, value=b"\x1b]0;owned\x07\xff\r", error="\x1b[2J\u202egone", peer="\x9b1m")
    printed = "\n".join(described(letter, record))

    assert "\\x1b]0;owned\\x07\\xff\\r" in printed
    assert "\\x1b[2J\\u202egone" in printed
    assert all(character.isprintable() or character == "\n" for character in printed)


def test_a_drop_asks_for_the_number_and_does_nothing_without_it(monkeypatch, capsys):
    ledger = Ledger()
    topic = Topic()
    topic.ledger = ledger
    topic.letter(LETTER)

    async def read(kafka):
        return ledger

    def open_journal(kafka):
        raise AssertionError("nothing may be written")

    monkeypatch.setattr(journal, "read", read)
    monkeypatch.setattr(journal, "open_journal", open_journal)
    for typed in ("", "y\n", "2\n"):
        monkeypatch.setattr(sys, "stdin", Terminal(typed))

        assert 1 == dlq.drop(Settings(), Wanted(everything=True), yes=False)
        printed = capsys.readouterr().out
        assert ("type 1:" in printed, "nothing was done" in printed) == (True, True)
    for dry_run in (True, False):
        done = CliRunner().invoke(application, ["dlq", "drop", "--all", *(["--dry-run"] if dry_run else [])])

        assert (0 if dry_run else 1) == done.exit_code
        assert ("would be dropped" if dry_run else "say --yes") in done.stdout


def test_finding_nothing_to_replay_is_exit_code_1(monkeypatch, capsys):
    async def read(kafka):
        return Ledger()

    monkeypatch.setattr(journal, "read", read)

    assert 1 == dlq.replay(Settings(), Wanted(everything=True), dry_run=False)
    assert "no open dead letter is meant\n" == capsys.readouterr().out


def test_a_place_says_where_its_mark_must_go():
    topic = Topic()
    topic.letter(LETTER)
    [letter] = topic.ledger.open()

    assert Place(0, 0, LETTER.key) == letter.place


@pytest.mark.parametrize("command", ["list", "show", "replay", "drop"])
def test_every_subcommand_has_help(command):
    done = CliRunner().invoke(application, ["dlq", command, "--help"])

    assert (0, True) == (done.exit_code, f"dlq {command}" in done.stdout)
