from __future__ import annotations

import re
from collections import Counter
from typing import Any, get_args

import orjson
import pytest

from agents import redact
from agents.process import Outcome
from agents.redact import FAILED, MASK, Redactor, default_redactor, redactor
from agents.redact_rules import CREDENTIALS, RULES, is_card
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import ProcessSettings, SecretKind
from tests.unit.samples import DAY, ENVELOPE_ID, OneDataset, enveloped, processor, raw

CARD = "4111111111111111"


def redacted(data: bytes, one: Redactor | None = None) -> tuple[bytes, Counter[str]]:
    counted: Counter[str] = Counter()
    return (one or default_redactor()).data(data, counted), counted


def test_the_settings_know_every_rule_and_credentials_are_on_by_default():
    assert set(RULES) == set(get_args(SecretKind))
    assert set(CREDENTIALS) == set(ProcessSettings().redact)


def test_json_stays_json_and_values_under_telling_names_are_masked_whatever_they_are():
    given = {"a": {"password": "x", "token": [1, {"b": "c"}]}, "secret": None, "has_secret": True, "pan": int(CARD)}
    data, counted = redacted(orjson.dumps(given))

    assert {
        "a": {"password": MASK, "token": [MASK, {"b": MASK}]},
        "secret": None,
        "has_secret": True,
        "pan": MASK,
    } == orjson.loads(data)
    assert Counter(keys=3, card=1) == counted


@pytest.mark.parametrize(
    "data",
    [
        b'{"p\\u0061ssword":"geheim1"}',
        b'{"message":"p\\u0061ssword=geheim1"}',
        b'{"message":"{\\"password\\":\\"geheim1\\"}"}',
        b'{"message":"{\\"a\\":{\\"passwords\\":[\\"geheim1\\"]}}"}',
        b'{"broken":"x","password":"geheim1',
        b'\xff\xfe password="geheim1"',
        b'<34>1 2026-11-24T22:00:00Z web app - - [x password="geheim1"] hello',
        b'{"url":"https:\\/\\/bob:geheim1@db\\/x"}',
        ('{"a":' * 250 + '{"password":"geheim1"}' + "}" * 250).encode(),
    ],
)
def test_a_secret_is_found_in_whatever_form_it_came(data):
    found, counted = redacted(data)

    assert b"geheim1" not in found
    assert counted.total() == 1


def test_redacting_again_changes_and_counts_nothing():
    once, _ = redacted(b'{"password":"x1","message":"see https://a:b1@c/ and token=abc123 of ' + CARD.encode() + b'"}')

    assert (once, Counter()) == redacted(once)


def test_without_a_secret_the_bytes_are_the_same_object():
    data = b'{ "message" : "unusual   spacing, token of nothing" }'

    assert redacted(data)[0] is data


def test_a_keyed_hash_is_the_same_for_the_same_value_and_another_with_another_key():
    a, b = Redactor(["keys"], hash_key=b"k" * 16), Redactor(["keys"], hash_key=b"l" * 16)
    found = [redacted(b"password=" + value, one)[0] for one, value in ((a, b"x1"), (a, b"x1"), (a, b"x2"), (b, b"x1"))]

    assert re.fullmatch(rb"password=\(hmac:[0-9a-f]{16}\)", found[0])
    assert found[0] == found[1]
    assert 3 == len(set(found))


def test_names_of_ones_own_are_secrets_in_json_and_in_text():
    one = Redactor(["keys"], ["kundennummer"])

    assert b'{"kundennummer":"(redacted)"}' == redacted(b'{"kundennummer":"4711"}', one)[0]
    assert b"kundennummer=(redacted) ok" == redacted(b"kundennummer=4711 ok", one)[0]


def test_mail_addresses_only_by_choice():
    assert b"to bob@example.com" == redacted(b"to bob@example.com")[0]
    assert b"to (redacted), 1" == redacted(b"to bob@example.com, 1", Redactor(["email"]))[0]


def test_no_rules_redact_nothing():
    assert b"password=x1" == redacted(b"password=x1", Redactor([]))[0]


@pytest.mark.parametrize(
    ("digits", "expected"),
    [(CARD, True), ("4111111111111112", False), ("378282246310005", True), ("1234567890123452", False)],
)
def test_a_card_has_a_networks_range_and_a_right_check_digit(digits, expected):
    assert expected is is_card(digits)


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_key_of_the_hash_that_is_too_short_is_refused(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="at least 16"):
        redactor(ProcessSettings(redact_hash_key_file=path))


async def test_nothing_that_leaves_process_holds_the_secret_and_ids_are_those_of_the_bytes_as_they_came():
    secret = "geheim123"
    logs: list[Any] = [
        {"message": f"password={secret}", "level": f"token={secret}", "service": f"token={secret}"},
        {"message": "x", "metadata": {"api_key": secret, "deep": {"token": [secret]}}, "stack": f"pwd={secret}"},
        {"message": "y", "error": {"message": f"https://u:{secret}@h/", "stack_trace": f"secret='{secret}'"}},
        {"message": "clean"},
        b'{"password":"' + secret.encode() + b'", broken',
    ]
    stages, outcome = processor(), Outcome()
    decoded = stages.decode([enveloped(*logs), raw(b'\xff\x00 password="' + secret.encode() + b'"', offset=8)], outcome)
    outcome = await stages.run(decoded, outcome, {DAY: OneDataset()})
    [record] = stages.enriched(outcome, "logs", 0, 7, 8)
    leaving = [*record.documents, *(dead.value for dead in outcome.dead), *(d.error.encode() for d in outcome.dead)]
    leaving.append(repr(stages.counts(outcome, "logs", 0)).encode())

    assert not any(secret.encode() in data for data in leaving)
    assert (6, 4, 2) == (record.counts.received, len(record.documents), record.counts.dead)
    assert f"{ENVELOPE_ID}-00003" in record.documents[3].decode()
    assert outcome.redacted["keys"] >= 8


async def test_a_bug_in_a_rule_lets_no_secret_out_and_stops_nothing(monkeypatch):
    def explode(*_):
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(redact.Redactor, "_data", explode)
    stages, outcome = processor(), Outcome()
    decoded = stages.decode([enveloped({"message": "password=geheim1"}, {"message": "b"})], outcome)
    outcome = await stages.run(decoded, outcome, {DAY: OneDataset()})

    assert [FAILED] == [dead.value for dead in outcome.dead]
    assert 1 == len(outcome.documents)
    assert Counter(failed=1) == outcome.redacted


@pytest.mark.timeout(60)  # linear takes a second, quadratic many minutes
@pytest.mark.parametrize("unit", ["pwd=a ", "token: x9 ", "4111 ", "Cookie: a=b; ", "password=)))))", '\\"', "a@b."])
def test_no_event_needs_more_than_linear_time(unit):
    data = (unit * (200_000 // len(unit))).encode()

    assert redacted(data, Redactor(list(RULES)))[0]
