"""No log goes before its policy's time, whatever the policies, the indices and the clock."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from logsync_streams.storage.api import IndexInfo, Portion
from logsync_streams.storage.naming import IndexName
from retention.plan import DAY_MS, Action, Committed, IndexFacts, day_end, destinations, make_plan
from retention.policy import DEFAULT, Policy, dataset_name

SERVICES = ["auth", "pay", "shop", ""]
LEVELS = ["error", "debug", ""]
ENVIRONMENTS = ["production", ""]
FIRST = date(2026, 1, 1)

days = st.integers(1, 40)
policies = st.dictionaries(
    st.sampled_from(["auth", "pay", DEFAULT]),
    st.tuples(
        days,
        st.booleans(),
        st.dictionaries(st.sampled_from(LEVELS[:2]), days),
        st.dictionaries(st.just("production"), days),
        st.sampled_from([False, False, False, True]),
    ),
).map(
    lambda given: (
        {DEFAULT: Policy(DEFAULT, 7)}
        | {
            name: Policy(name, kept, archive, "bucket" if archive else "", "p", levels, environments, hold)
            for name, (kept, archive, levels, environments, hold) in given.items()
        }
    )
)
portions = st.lists(
    st.builds(
        Portion,
        st.sampled_from(SERVICES),
        st.sampled_from(LEVELS),
        st.sampled_from(ENVIRONMENTS),
        st.integers(1, 1000),
    ),
    max_size=6,
)
generations = st.integers(1, 2)
indices = st.lists(
    st.tuples(
        st.sampled_from(["default", "auth", "pay"]), st.integers(0, 30), st.integers(1, 2), portions, st.booleans()
    ),
    max_size=6,
    unique_by=lambda one: one[:3],
)


def facts_of(found, known, archived_at):
    for dataset, offset, generation, parts, archived in found:
        info = IndexInfo(IndexName(dataset, FIRST + timedelta(days=offset), generation), 10, 1000, archived)
        facts = IndexFacts(info, tuple(parts), {})
        committed = {one: Committed(archived_at, 10) for one in destinations(known, facts)} if archived else {}
        yield IndexFacts(info, tuple(parts), committed)


@given(policies, indices, st.integers(0, 80 * DAY_MS), st.integers(0, 3 * DAY_MS))
def test_no_log_goes_before_its_policys_time_nor_unarchived_where_it_must_be(known, found, after, grace):
    now = day_end(FIRST) + after
    plan = make_plan(known, facts_of(found, known, now - DAY_MS), now, {}, grace)

    for entry in plan.of(Action.DROP):
        for facts in entry.indices:
            for portion in facts.portions:
                # By hand, and not by the plan's own functions: the policy of the service, else the default.
                policy = known.get(portion.service) if portion.service else None
                if policy is None and entry.dataset in {dataset_name(name) for name in known if name != DEFAULT}:
                    policy = known[entry.dataset]
                policy = policy or known[DEFAULT]
                special = [policy.levels.get(portion.level), policy.environments.get(portion.environment)]
                kept = max((one for one in special if one is not None), default=policy.retention_days)

                assert not policy.legal_hold
                assert now >= day_end(entry.day) + kept * DAY_MS
                assert not policy.archive_to_s3 or facts.archived


@given(policies, indices, st.integers(0, 80 * DAY_MS))
def test_what_is_held_is_neither_archived_nor_dropped(known, found, after):
    now = day_end(FIRST) + after
    facts = list(facts_of(found, known, now))
    holds = {one.info.name.alias: ["a dead letter targets it"] for one in facts}

    assert not make_plan(known, facts, now, holds, 0).due


@given(policies, indices)
def test_every_day_goes_in_the_end_unless_it_is_under_legal_hold(known, found):
    now = day_end(FIRST) + 200 * DAY_MS
    plan = make_plan(known, facts_of(found, known, now - 10 * DAY_MS), now, {}, 0)

    for entry in plan.entries:
        assert (entry.action is Action.KEEP) == (entry.due_at is None)
