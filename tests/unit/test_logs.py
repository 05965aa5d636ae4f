"""Our own log lines: JSON that can be shipped, with nothing secret in it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from logsync_streams import logs
from logsync_streams.configuration import described, load
from logsync_streams.parsing.json import parse
from logsync_streams.settings import Settings

CANARY = "canary-7f3a9"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def lines(capsys):
    """What was written to stderr; logging is as it was before, afterwards."""
    before = logging.root.handlers[:], logging.root.level
    yield lambda: capsys.readouterr().err
    logging.root.handlers, logging.root.level = before
    structlog.reset_defaults()


def secret_variables() -> list[str]:
    found = []
    for group, info in Settings.model_fields.items():
        for name, inner in getattr(type(info.default), "model_fields", {}).items():
            if "SecretStr" in str(inner.annotation):
                found.append(f"LOGSYNC_{group}__{name}".upper())
    return found


def test_json_lines_have_time_level_logger_and_text(lines):
    logs.configure("json", "info")
    logging.getLogger("logsync_streams.test").warning("%d events", 3)
    structlog.get_logger("logsync_streams.test").warning("as structlog", number=1)
    first, second = [json.loads(line) for line in lines().splitlines()]

    assert ("3 events", "warning", "logsync_streams.test") == (first["message"], first["level"], first["logger"])
    assert first["timestamp"].endswith("Z")
    assert 1 == second["number"]


def test_a_json_line_is_a_log_that_our_own_doors_understand(lines):
    logs.configure("json", "info")
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("logsync_streams.test").exception("failed at %d", 3)

    fields = parse(lines().strip().encode(), 0)

    assert ("failed at 3", "logsync") == (fields["message"], fields["service"]["name"])
    assert {"level": "error", "logger": "logsync_streams.test"} == fields["log"]
    assert fields["error"]["stack_trace"].startswith("Traceback")
    assert fields["@timestamp"] > 0
    assert "labels" not in fields


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_variables(lines, log_format):
    logs.configure(log_format, "info")
    password = CANARY
    try:
        raise ValueError("wrong " + str(len(password)))
    except ValueError:
        logging.getLogger("logsync_streams.test").exception("failed")

    written = lines()

    assert "ValueError: wrong" in written
    assert CANARY not in written


def test_there_are_secrets_among_the_settings_and_each_is_typed_as_one():
    named = [name for name, _, _ in described() if any(part in name for part in ("PASSWORD", "API_KEY", "SECRET"))]

    assert set(named) <= set(secret_variables()) | {name for name in named if name.endswith("_FILE")}
    assert secret_variables()


def test_a_secret_is_in_nothing_that_settings_show(lines):
    settings = load(dict.fromkeys(secret_variables(), CANARY))
    logs.configure("json", "debug")
    logging.getLogger("logsync_streams.test").info("%s %r %s", settings, settings, settings.model_dump())

    assert CANARY not in lines()
    assert any(isinstance(value, SecretStr) for value in vars(settings.store).values())


@pytest.mark.parametrize("command", [["config", "show"], ["check-config"]])
@pytest.mark.parametrize("mistake", [{}, {"LOGSYNC_KAFKA__PARTITIONS": "none"}])
def test_a_secret_is_in_nothing_that_a_command_prints(command, mistake):
    environment = {"LOGSYNC_LOG_FORMAT": "json", "LOGSYNC_LOG_LEVEL": "debug", **mistake}
    environment |= dict.fromkeys(secret_variables(), CANARY)
    done = subprocess.run(
        [sys.executable, "-m", "logsync_streams.cli", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (2 if mistake else 0) == done.returncode, done.stderr
    assert CANARY not in done.stdout + done.stderr
