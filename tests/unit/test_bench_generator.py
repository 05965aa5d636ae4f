"""The benchmark's traffic: seeded, of the promised mix, and accounted for."""

import random
from collections import Counter

import orjson
import pytest

from bench.generator import SERVICES, checksum, envelopes, events, expected, with_broken
from logsync_streams.envelope import MAX_BYTES, MAX_EVENTS, encode
from logsync_streams.events import EVENT_ID_LENGTH

NOW_MS = 1_800_000_000_000
NUMBER = 20_000


@pytest.fixture(scope="module")
def made():
    return list(events(NUMBER, seed=7, now_ms=NOW_MS))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    once, again, other = (list(events(200, seed=seed, now_ms=NOW_MS)) for seed in (1, 1, 2))

    assert once == again
    assert once != other


def test_the_mix_is_ten_percent_debug_four_percent_error_and_five_services(made):
    bodies = [orjson.loads(event.data) for event in made]
    levels = Counter(body["level"] for body in bodies)

    assert 0.09 < levels["DEBUG"] / NUMBER < 0.11
    assert 0.03 < levels["ERROR"] / NUMBER < 0.05
    assert {body["service"] for body in bodies} == set(SERVICES)


def test_an_event_has_about_310_bytes_and_some_have_text_of_several_bytes_a_character(made):
    mean = sum(len(event.data) for event in made) / NUMBER

    assert 280 < mean < 340
    assert any(not orjson.loads(event.data)["message"].isascii() for event in made)


def test_hosts_are_uneven_and_bursts_repeat_one_message(made):
    hosts = Counter(orjson.loads(event.data)["host"] for event in made).most_common()
    messages = Counter(orjson.loads(event.data)["message"] for event in made).most_common(1)

    assert hosts[0][1] > 5 * hosts[-1][1]
    assert messages[0][1] >= 10


def test_exactly_debug_of_production_counts_as_filtered(made):
    def dropped(body):
        return body["level"] == "DEBUG" and body["environment"] == "production"

    assert [event.filtered for event in made] == [dropped(orjson.loads(event.data)) for event in made]


def test_envelopes_hold_every_event_once_within_the_bounds_of_an_envelope(made):
    packed = list(envelopes(made, seed=7, now_ms=NOW_MS))
    ids = [stored_id for envelope in packed for stored_id in envelope.event_ids()]

    assert [event.data for event in made] == [data for envelope in packed for data in envelope.events]
    assert max(len(envelope.events) for envelope in packed) == MAX_EVENTS
    assert max(len(encode(envelope)[0]) for envelope in packed) <= MAX_BYTES
    assert len(set(ids)) == NUMBER
    assert {len(stored_id) for stored_id in ids} == {EVENT_ID_LENGTH}


def test_the_checksum_does_not_depend_on_the_order_but_on_every_id():
    ids = [f"id-{i}" for i in range(1000)]
    shuffled = random.Random(3).sample(ids, len(ids))

    assert checksum(ids) == checksum(shuffled)
    assert checksum(ids) != checksum(ids[:-1])
    assert checksum(ids) != checksum([*ids[:-1], "id-0"])


def test_what_must_arrive_is_what_the_filter_leaves(made):
    ids = [event.request_id for event in made]
    found = expected(made, ids)
    kept = [event.request_id for event in made if not event.filtered]

    assert found.sent == NUMBER
    assert found.kept == len(kept)
    assert found.checksum == checksum(kept)


def test_broken_events_are_expected_in_the_dead_letters_and_the_others_stay_as_they_are():
    tame = list(events(3000, seed=1, now_ms=NOW_MS))
    spoiled = list(with_broken(tame, one_in=1000))
    ids = [f"{i}" for i in range(3000)]
    there = expected(spoiled, ids)

    assert [500, 1500, 2500] == [i for i, event in enumerate(spoiled) if event.broken]
    assert 3000 == there.kept + there.filtered + there.dead
    assert 3 == there.dead
    for i in (500, 1500, 2500):
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(spoiled[i].data)
