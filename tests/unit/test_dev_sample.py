"""The sample traffic: gentle, seeded, and worth looking at."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import orjson

from logsync_streams.dev.sample import sample_logs
from logsync_streams.events import SEVERITIES

NOW = datetime(2026, 11, 24, 21, 56, 37, 123456, tzinfo=UTC)
MANY = list(islice(sample_logs(seed=7), 3000))


def test_the_same_seed_gives_the_same_logs():
    assert MANY == list(islice(sample_logs(seed=7), 3000))


def test_five_services_speak():
    assert len({log.service for log in MANY}) == 5


def test_levels_are_ours_and_errors_come_now_and_then():
    levels = Counter(log.level for log in MANY)

    assert set(levels) <= set(SEVERITIES)
    assert 0.02 < (levels["error"] + levels["critical"]) / len(MANY) < 0.15


def test_a_stack_trace_is_among_them():
    assert any("\n\tat " in log.message for log in MANY)


def test_no_placeholder_is_left_open():
    assert not [log.message for log in MANY if "{" in log.message]


def test_json_has_the_seven_fields():
    document = orjson.loads(MANY[0].as_json(NOW))

    assert set(document) == {"timestamp", "level", "service", "host", "message", "environment", "metadata"}
    assert document["timestamp"] == "2026-11-24T21:56:37.123Z"


def test_syslog_is_rfc_5424():
    log = next(log for log in MANY if log.level == "error" and log.service == "mailer")

    assert log.as_syslog(NOW).startswith(b"<131>1 2026-11-24T21:56:37.123Z mail-1 mailer 4242 - - 550 mailbox of ")
