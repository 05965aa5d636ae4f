from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from agents.filter import sampled
from agents.filter_match import WrongMatch, compile_match
from logsync_streams.events import SEVERITIES
from tests.unit.samples import event

levels = st.sampled_from(sorted(SEVERITIES))
words = st.sampled_from(["auth", "pay", "eu-1", "3", "timed out"])
logs = st.fixed_dictionaries(
    {},
    optional={
        "log": st.fixed_dictionaries({"level": levels}),
        "service": st.fixed_dictionaries({}, optional={"name": words, "environment": words}),
        "message": words,
        "labels": st.dictionaries(st.sampled_from(["a", "b"]), words | st.lists(words, max_size=2)),
        "tags": st.lists(words, max_size=3),
    },
)
leaves = st.one_of(
    st.builds(lambda level: {"level": level}, levels),
    st.builds(lambda how, level: {"level": {how: level}}, st.sampled_from(["at_least", "below"]), levels),
    st.builds(lambda field, value: {field: value}, st.sampled_from(["service", "env", "labels.a", "tags"]), words),
    st.builds(lambda value: {"message": {"contains": value}}, words),
    st.builds(lambda value: {"labels.b": {"exists": value}}, st.booleans()),
)
matches: st.SearchStrategy[dict[str, Any]] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)


@given(matches, logs)
def test_not_is_the_opposite_and_all_and_any_follow_de_morgan(match, log):
    one = event(**log)
    found = compile_match(match)(one)

    assert found is not compile_match({"not": match})(one)
    assert found is compile_match({"all": [match, match]})(one)
    assert found is not compile_match({"all": [{"not": match}, {"not": match}]})(one)
    assert found is compile_match({"any": [match, match]})(one)


@given(matches, matches, logs)
def test_all_is_both_and_any_is_one_of_them(first, second, log):
    one = event(**log)
    a, b = compile_match(first)(one), compile_match(second)(one)

    assert (a and b) is compile_match({"all": [first, second]})(one)
    assert (a or b) is compile_match({"any": [first, second]})(one)


@given(levels, logs)
def test_a_level_is_below_exactly_when_it_is_not_at_least_that(level, log):
    one = event(**log)
    below, above = (compile_match({"level": {how: level}})(one) for how in ("below", "at_least"))

    assert (below or above) is ("log" in log)
    assert not (below and above)


@given(matches, logs)
def test_a_match_means_the_same_after_it_was_kept_as_json(match, log):
    assert compile_match(match)(event(**log)) is compile_match(orjson.loads(orjson.dumps(match)))(event(**log))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["all", "any", "not", "level", "message", "pattern", "is"]) | st.text(), inner
            )
        ),
        max_leaves=10,
    ),
    logs,
)
def test_any_values_make_a_match_or_a_readable_problem(given_match, log):
    try:
        match = compile_match(given_match)
    except WrongMatch as wrong:
        said = [text for _, text in wrong.problems]
    else:
        said = [str(match(event(**log)))]

    assert said
    assert all(said)


@given(st.text(), st.integers(1, 10**6))
def test_a_sample_is_the_same_at_redelivery(name, rate):
    assert sampled(name, rate) is sampled(name, rate)
