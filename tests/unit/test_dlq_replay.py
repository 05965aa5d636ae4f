"""A replayed event is the same event: its id, receive time and index; and it fails with one attempt more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.process import Outcome, Processor
from logsync_streams import enriched
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.dlq.replay import Outgoing, Stays, replayed
from logsync_streams.enriched import Counts
from logsync_streams.envelope import RawRecord
from logsync_streams.events import Event, keyed_event_id
from logsync_streams.settings import DeadLetterSettings, Settings
from tests.unit.samples import DAY, ENVELOPE_ID, RECEIVED_AT, OneDataset, enveloped, processor, raw
from tests.unit.test_dlq_letters import LETTER

WEEK_MS = 7 * 86_400_000
SETTINGS = Settings()


async def run(records: list[RawRecord], stages: Processor | None = None) -> tuple[Processor, Outcome]:
    stages = stages or processor()
    outcome = Outcome()
    decoded = stages.decode(records, outcome)
    return stages, await stages.run(decoded, outcome, {DAY: OneDataset()})


def explode(event: Event) -> None:
    if event.fields["message"] == "bad":
        raise RuntimeError("a bug of ours")


def fetched(out: Outgoing) -> RawRecord:
    """The replayed record as `process` gets it, a week later."""
    return RawRecord(out.topic, 2, 1000, RECEIVED_AT + WEEK_MS, out.value, out.headers)


async def dead(record: RawRecord, stages: Processor | None = None) -> DeadLetterRecord:
    _, outcome = await run([record], stages)
    [letter] = outcome.dead
    return letter


async def test_a_mended_event_is_the_document_that_it_would_have_been():
    record = enveloped({"message": "good"}, {"message": "bad", "service": "auth"})
    _, expected = await run([record])
    letter = await dead(record, processor(steps=[*processor().steps, explode]))
    stages, outcome = await run([fetched(replayed(letter, SETTINGS))])
    [sent] = stages.enriched(outcome, "logs", 2, 1000, 1000)

    assert (expected.documents[1][2],) == sent.documents
    assert ("logsync-default-2026.11.24", 1) == (sent.target, sent.attempts)


async def test_a_replayed_event_is_counted_when_it_gets_through_and_only_then():
    broken = processor(steps=[explode])
    record = enveloped({"message": "bad", "service": "auth", "level": "error"})
    _, first = await run([record], broken)
    again = fetched(replayed(first.dead[0], SETTINGS))
    _, second = await run([again], broken)
    _, third = await run([again])
    counted = [Processor.counts(outcome, "logs", 0) for outcome in (first, second, third)]

    assert [[], []] == counted[:2]
    [counts] = counted[2]
    [(_, minute, levels)] = counts.runs

    assert (1, RECEIVED_AT // 60_000) == (levels["error"][1], minute)


async def test_in_is_out_and_dead_for_a_range_with_replays_among_others():
    letter = await dead(enveloped({"message": "bad"}), processor(steps=[explode]))
    stages, outcome = await run([enveloped({"message": "new"}, offset=999), fetched(replayed(letter, SETTINGS))])
    records = stages.enriched(outcome, "logs", 2, 999, 1000)

    assert [0, 1] == [record.attempts for record in records]
    assert Counts(received=2) == records[0].counts
    assert 2 == sum(len(record.documents) for record in records)


async def test_what_fails_again_is_the_same_event_with_one_attempt_more():
    letter = await dead(enveloped({"message": "good"}, b"{broken"))
    attempts = []
    for _ in range(3):
        again = await dead(fetched(replayed(letter, SETTINGS)))
        attempts.append(again.attempts)

        assert (letter.event_id, letter.received_at, letter.value) == (again.event_id, again.received_at, again.value)
        letter = again
    assert [2, 3, 4] == attempts


async def test_a_record_that_could_not_be_decoded_keeps_its_identity():
    letter = await dead(raw(b"\xff\xfe\x00poison", offset=41))
    again = await dead(fetched(replayed(letter, SETTINGS)))

    assert (letter.event_id, letter.received_at, 2) == (again.event_id, again.received_at, again.attempts)


async def test_a_record_that_can_be_decoded_by_now_gets_the_ids_of_its_first_try():
    letter = replace(await dead(raw(b"\xff\xfe\x00poison", offset=41)), value=b'{"message":"a"}\n{"message":"b"}')
    _, outcome = await run([fetched(replayed(letter, SETTINGS))])

    assert [letter.event_id, letter.event_id[:-1] + "1"] == [
        enriched.document_id(body) for _, _, _, body in outcome.replayed
    ]


async def test_an_event_of_a_keyed_request_keeps_its_id_though_its_bytes_were_redacted():
    key = "ab" * 16
    letter = await dead(enveloped({"message": "good"}, b"{broken 4111", key=key, first_index=500))
    assert keyed_event_id(key, 501, b"{broken 4111") == letter.event_id
    mended = replace(letter, value=b'{"message":"mended"}')
    _, outcome = await run([fetched(replayed(mended, SETTINGS))])
    [(_, keyed, attempts, body)] = outcome.replayed

    assert (letter.event_id, True, 1) == (enriched.document_id(body), keyed, attempts)


def test_a_document_goes_back_to_its_own_index_as_it_is():
    document = b'{"event":{"id":"%s-00003"},"message":"m"}' % ENVELOPE_ID.encode()
    letter = replace(
        LETTER,
        stage="index",
        holds="document",
        value=document,
        target="logsync-auth-2026.11.24",
        partition=6,
        attempts=2,
        keyed=True,
    )
    out = replayed(letter, SETTINGS)
    record = enriched.decode(out.value, out.headers)

    assert ("logs-enriched", 2) == (out.topic, out.partition)
    assert ("logsync-auth-2026.11.24", (document,), 2, True) == (
        record.target,
        record.documents,
        record.attempts,
        record.keyed,
    )


def test_poison_cannot_loop_past_the_bound():
    settings = Settings(dead_letters=DeadLetterSettings(max_attempts=3))
    replayed(replace(LETTER, attempts=2), settings)
    with pytest.raises(Stays, match=r"failed 3 times.*LOGSYNC_DEAD_LETTERS__MAX_ATTEMPTS"):
        replayed(replace(LETTER, attempts=3), settings)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"event_id": "logs-enriched/0/12", "holds": "document"}, "not an event"),
        ({"value": b""}, "no bytes"),
        ({"holds": "document", "target": ""}, "names no index"),
    ],
)
def test_what_cannot_go_back_stays_with_the_reason(change, why):
    with pytest.raises(Stays, match=why):
        replayed(replace(LETTER, **change), SETTINGS)


async def test_headers_that_only_look_like_a_replay_make_no_replay():
    forged = [("logsync-attempts", b"1"), ("logsync-id", b"zz"), ("logsync-received-at", b"0")]
    _, outcome = await run([raw(b'{"message":"m"}', headers=forged)])

    assert (1, []) == (len(outcome.documents), outcome.replayed)
