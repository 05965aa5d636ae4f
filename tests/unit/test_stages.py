from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agents.enrich import add_catalogue, add_correlation_id, enrich, enrichments, read_catalogue
from agents.filter import drop_noise
from agents.horizon import by_append_time, clamped, write_horizon
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import FilterRule
from tests.unit.samples import ENVELOPE_ID, RECEIVED_AT, event, feed

DAY_MS = 86_400_000


async def test_an_event_must_have_all_values_that_a_rule_names():
    rule = FilterRule(name="r", level="debug", service="auth")
    kept = event(log={"level": "debug"}, service={"name": "pay"})
    gone = event(log={"level": "debug"}, service={"name": "auth"})
    dropped: Counter[str] = Counter()
    left = [one async for one in drop_noise(feed([kept, gone]), rules=[rule], dropped=dropped)]

    assert [kept] == left
    assert Counter(r=1) == dropped


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"trace": {"id": "abc"}, "labels": {"request_id": "r"}}, "abc"),
        ({"labels": {"request_id": "r-1"}}, "r-1"),
        ({}, f"{ENVELOPE_ID}-00000"),
    ],
)
def test_the_correlation_id_is_the_senders_or_derived_from_the_event(fields, expected):
    one = event(**fields)
    add_correlation_id(one)

    assert expected == one.fields["logsync"]["correlation_id"]


def test_the_catalogue_adds_what_the_sender_did_not_say():
    one = event(service={"name": "auth", "version": "2"})
    add_catalogue(one, catalogue={"auth": {"owner": "ada", "version": "1"}})

    assert {"name": "auth", "owner": "ada", "version": "2"} == one.fields["service"]


async def test_a_service_that_is_not_in_the_catalogue_passes_unchanged():
    [one] = [one async for one in enrich(feed([event(message="x")]), steps=enrichments({"auth": {"owner": "ada"}}))]

    assert "service" not in one.fields


def test_a_wrong_key_in_the_catalogue_is_named_with_its_service(tmp_path: Path):
    file = tmp_path / "catalogue.yaml"
    file.write_text("auth: {ownr: ada}\n")
    with pytest.raises(ConfigurationError) as error:
        read_catalogue(file)

    assert "auth.ownr" in str(error.value)


def test_the_doors_receive_time_stands_unless_it_is_a_day_off():
    assert RECEIVED_AT - 5 == by_append_time(RECEIVED_AT - 5, RECEIVED_AT)
    assert RECEIVED_AT == by_append_time(RECEIVED_AT - 2 * DAY_MS, RECEIVED_AT)


def test_a_producers_clock_cannot_leave_the_write_horizon():
    first, last = write_horizon(RECEIVED_AT, 3)
    for wild in (0, RECEIVED_AT, 10**15):
        day = write_horizon(clamped(wild, RECEIVED_AT, 3), 0)[0]

        assert first <= day <= last
