from __future__ import annotations

from datetime import date

import pytest

from logsync_streams.errors import ConfigurationError
from logsync_streams.storage.naming import DATASET
from retention.policy import Assignment, Policy, assignment, dataset_name, parse_policies, read_policies
from tables.assignments import Assignments

ORIGINAL = {
    "retention_policies": {
        "auth-service": {"retention_days": 30, "archive_to_s3": True, "s3_bucket": "logs-archive"},
        "payment-service": {"retention_days": 7, "archive_to_s3": False},
    }
}


def test_the_originals_file_stays_valid_and_default_is_added():
    policies = parse_policies(ORIGINAL, "config.json")

    assert Policy("auth-service", 30, True, "logs-archive") == policies["auth-service"]
    assert Policy("default", 7) == policies["default"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"a": {"retention_days": 0}}, "retention_policies.a.retention_days: 0"),
        ({"a": {"retention_days": 7, "archive_to_s3": True}}, "retention_policies.a.s3_bucket: ''"),
        ({"a": {"retention_days": 7, "s3_buket": "x"}}, "retention_policies.a.s3_buket"),
        ({"a": 7}, "retention_policies.a: 7"),
    ],
)
def test_a_mistake_is_named_with_its_path_and_value(given, named):
    with pytest.raises(ConfigurationError) as error:
        parse_policies({"retention_policies": given}, "config.json")

    assert named in str(error.value)


def test_a_service_with_a_policy_has_a_dataset_of_its_own():
    found = assignment(parse_policies(ORIGINAL, "config.json"))

    assert ("auth-service", "default") == (found.dataset("auth-service"), found.dataset("shop"))


def test_two_services_never_share_a_dataset_by_the_form_of_their_names():
    with pytest.raises(ConfigurationError, match="would share the dataset"):
        parse_policies({"retention_policies": {"A b": {"retention_days": 1}, "a_b": {"retention_days": 1}}}, "f")


@pytest.mark.parametrize("service", ["auth", "Büro/../x", "-.._", "ä" * 300])
def test_any_service_gives_a_dataset_that_every_store_takes(service):
    assert DATASET.fullmatch(dataset_name(service))


def test_the_shipped_policies_are_valid():
    assert "default" in read_policies(None)


async def test_the_assignment_of_a_day_is_decided_once():
    asked = []

    async def decide(day: date) -> Assignment:
        asked.append(day)
        return Assignment({})

    assignments, day = Assignments(decide), date(2026, 11, 24)
    await assignments.of({day})
    await assignments.of({day})

    assert [day] == asked
