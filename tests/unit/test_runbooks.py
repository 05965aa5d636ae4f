"""The runbooks of docs/operations.md: one for each alert, of use at night, and naming only what there is."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from dashboards.pipeline_alerts import pipeline_alerts
from dashboards.rules import service_alerts
from dashboards.thresholds import Thresholds
from logsync_streams.cli.commands import application
from logsync_streams.errors import DEAD_LETTER_CATEGORIES
from tests.documents import ROOT
from tests.unit.test_alerts_render import exposed_names

TEXT = (ROOT / "docs" / "operations.md").read_text()
ALERTS = {alert.name: alert for alert in service_alerts(Thresholds()) + pipeline_alerts(Thresholds())}


def runbooks() -> dict[str, str]:
    """Heading -> text."""
    part = TEXT.partition("\n## Runbooks\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", part, re.DOTALL | re.MULTILINE))


RUNBOOKS = runbooks()
each_runbook = pytest.mark.parametrize("name", RUNBOOKS)


def code(text: str) -> list[str]:
    """Indented lines and what stands between backquotes."""
    return re.findall(r"^    (\S.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)


def test_there_is_a_runbook_for_each_alert_and_an_alert_for_each_runbook():
    assert ALERTS.keys() == RUNBOOKS.keys()


def test_the_link_of_an_alert_leads_to_its_heading():
    links = {name: alert.rule(Thresholds())["annotations"]["runbook_url"] for name, alert in ALERTS.items()}

    assert links == {name: f"docs/operations.md#{name.lower()}" for name in RUNBOOKS}


@each_runbook
def test_a_runbook_says_what_to_type_first_and_when_it_is_over(name):
    assert re.search(r"^    \S", RUNBOOKS[name], re.MULTILINE), "a command to begin with"
    assert 1 == RUNBOOKS[name].count("*Over*:")


@each_runbook
def test_other_runbooks_that_it_sends_to_exist(name):
    named = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", RUNBOOKS[name]))

    assert named - RUNBOOKS.keys() <= {"LogSync"}


@each_runbook
def test_every_command_of_ours_in_a_runbook_is_one_with_these_options(name):
    for text in code(RUNBOOKS[name]):
        for piece in re.split(r"&&|\|", text):
            if piece.strip().startswith("logsync "):
                assert_is_a_command(shlex.split(piece)[1:])


def assert_is_a_command(words: list[str]) -> None:
    command: Any = get_command(application)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in words if word.startswith("--")} <= options, words


def test_every_metric_in_the_document_is_in_the_vocabulary():
    whole = {word.removesuffix("_") for word in re.findall(r"\blog(?:sync)?_[a-z_]+", TEXT)} - {"logsync_streams"}
    # A pattern for grep names the beginnings of some.
    unknown = {word for word in whole if not any(name.startswith(word) for name in exposed_names())}

    assert unknown == set()


def test_every_category_of_dead_letters_is_explained():
    explained = set(re.findall(r"`(\w+)`: ", RUNBOOKS["DeadLettersRising"]))

    assert set(DEAD_LETTER_CATEGORIES) == explained
