from __future__ import annotations

import string
from collections import Counter

import orjson
from hypothesis import given
from hypothesis import strategies as st

from agents.redact import Redactor, default_redactor
from agents.redact_rules import RULES

EVERY = Redactor(list(RULES))
fragments = st.sampled_from(
    [
        *("password=", '"token": "', "://u:", "@h", "Bearer ", "eyJhbGciOi.eyJzdWIi.x", "4111 1111 1111 1111", "a1b2"),
        *("\\", "--secret ", "-----BEGIN PRIVATE KEY-----", "Cookie: ", "(redacted)", "<password>", *" =:;)'\""),
    ]
)
texts = st.lists(fragments | st.text(max_size=5), max_size=12).map("".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["password", "a", "x-api-key", "message"]) | texts, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(texts)
def test_redacting_a_text_again_changes_nothing(text):
    once = EVERY.data(text.encode(), Counter())

    assert once == EVERY.data(once, Counter())


@given(st.dictionaries(texts, json_values, max_size=4))
def test_json_stays_json_with_the_same_shape(given_object):
    data = orjson.dumps(given_object)
    found = orjson.loads(EVERY.data(data, Counter()))

    assert len(found) <= len(given_object)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_redacted(data):
    EVERY.data(data, Counter())


@given(
    st.text(string.ascii_letters + string.digits, min_size=8, max_size=40).filter(
        lambda v: any(c.isdigit() for c in v)
    ),
    st.sampled_from(['password="{}"', "token={}", '{{"secret":"{}"}}', "https://u:{}@h/", "Cookie: a={}", "pwd: {}"]),
    texts.filter(lambda text: not set(text) & set("'\"\\<@/:=")),
)
def test_a_secret_in_its_usual_place_never_stays(secret, place, around):
    data = f"{around} {place.format(secret)} {around}".encode()

    assert secret.encode() not in default_redactor().data(data, Counter()).replace(around.encode(), b"")
