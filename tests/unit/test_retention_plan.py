from __future__ import annotations

from datetime import date

import pytest

from logsync_streams.storage.api import IndexInfo, Portion
from logsync_streams.storage.naming import IndexName
from retention.plan import DAY_MS, Action, Committed, Destination, IndexFacts, day_end, make_plan
from retention.policy import parse_policies

DAY = date(2026, 11, 1)
# As the original shipped it.
ORIGINAL = parse_policies(
    {
        "retention_policies": {
            "auth-service": {"retention_days": 30, "archive_to_s3": True, "s3_bucket": "logs-archive"},
            "payment-service": {"retention_days": 7, "archive_to_s3": False},
        }
    },
    "config.json",
)
ARCHIVE = Destination("logs-archive", "logsync")


def index(*portions, dataset="default", generation=1, archived=None, blocked=False):
    documents = sum(portion.documents for portion in portions)
    info = IndexInfo(IndexName(dataset, DAY, generation), documents, documents * 100, blocked)
    return IndexFacts(info, portions, archived or {})


def at(days, *indices, policies=ORIGINAL, holds=None, grace_ms=0):
    (entry,) = make_plan(policies, indices, day_end(DAY) + days * DAY_MS, holds or {}, grace_ms).entries
    return entry


AUTH, PAY = Portion("auth-service", "info", "", 60), Portion("payment-service", "info", "", 40)


def test_a_shared_index_is_not_dropped_at_the_shorter_time_nor_unarchived():
    # The original deleted the whole day by the first service's policy, the other's logs with it.
    assert Action.KEEP is at(7, index(AUTH, PAY)).action
    assert Action.KEEP is at(29, index(AUTH, PAY)).action
    assert Action.ARCHIVE is at(30, index(AUTH, PAY)).action


def test_only_the_services_whose_policy_archives_are_in_the_archive_and_the_plan_names_the_others():
    entry = at(30, index(AUTH, PAY))

    assert {"auth-service": ARCHIVE, "payment-service": None} == {one.service: one.archive for one in entry.services}
    assert {"auth-service": (60, 6000), "payment-service": (40, 4000)} == {
        one.service: (one.documents, one.size_bytes) for one in entry.services
    }


def test_a_log_without_archive_goes_at_its_time():
    assert Action.KEEP is at(6, index(PAY, dataset="payment-service")).action
    assert Action.DROP is at(7, index(PAY, dataset="payment-service")).action


def test_what_is_archived_waits_for_the_grace_time():
    archived = {ARCHIVE: Committed(day_end(DAY) + 30 * DAY_MS, 60)}

    assert Action.WAIT is at(30.5, index(AUTH, archived=archived, blocked=True), grace_ms=DAY_MS).action
    assert Action.DROP is at(31, index(AUTH, archived=archived, blocked=True), grace_ms=DAY_MS).action


def test_a_day_goes_only_with_all_its_generations():
    first = index(AUTH, archived={ARCHIVE: Committed(0, 60)}, blocked=True)

    assert Action.ARCHIVE is at(30, first, index(AUTH, generation=2)).action


def test_a_longer_level_or_environment_keeps_the_day_and_is_named():
    policies = parse_policies(
        {
            "retention_policies": {
                "default": {"retention_days": 7, "levels": {"warning": 20}, "environments": {"prod": 9}}
            }
        },
        "f",
    )
    entry = at(10, index(Portion("a", "warn", "", 1), Portion("a", "info", "prod", 1)), policies=policies)

    assert Action.KEEP is entry.action
    assert ("kept until 2026-11-22 00:00 UTC: a, warn: 20 days by the policy 'default'",) == entry.reasons


def test_a_legal_hold_keeps_for_ever():
    policies = parse_policies({"retention_policies": {"auth-service": {"retention_days": 1, "legal_hold": True}}}, "f")
    entry = at(9999, index(AUTH, PAY), policies=policies)

    assert (Action.KEEP, None) == (entry.action, entry.due_at)
    assert "legal hold" in entry.reasons[0]


def test_a_routed_log_is_kept_as_long_as_its_own_service_and_the_datasets_policy_say():
    assert Action.KEEP is at(29, index(AUTH, dataset="payment-service")).action
    assert Action.ARCHIVE is at(30, index(AUTH, dataset="payment-service")).action


def test_restored_logs_go_at_their_own_expiry_and_unarchived():
    facts = index(AUTH, dataset="restored-20261120-auth-service")

    assert Action.KEEP is at(18, facts).action
    assert Action.DROP is at(19, facts).action


def test_a_hold_is_told_with_its_reason():
    entry = at(30, index(AUTH), holds={"logsync-default-2026.11.01": ["2 dead letters target it"]})

    assert (Action.HELD, ("2 dead letters target it",)) == (entry.action, entry.reasons)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"a": {"retention_days": 7, "kms_key_id": "k"}}, "retention_policies.a.kms_key_id: 'k'"),
        ({"a": {"retention_days": 7, "archive_days": 3}}, "retention_policies.a.archive_days: 3"),
        ({"a": {"retention_days": 7, "levels": {"error": 0}}}, "retention_policies.a.levels.error: 0"),
        ({"a": {"retention_days": 7, "encryption": "rot13"}}, "retention_policies.a.encryption: 'rot13'"),
        ({"restored-x": {"retention_days": 7}}, "'restored-x'"),
        ({"a": {"retention_days": "7"}}, "retention_policies.a.retention_days: '7'"),
    ],
)
def test_a_wrong_policy_is_named_with_path_and_value(given, named):
    with pytest.raises(Exception, match="f: ") as error:
        parse_policies({"retention_policies": given}, "f")

    assert named in str(error.value)
