from __future__ import annotations

from collections import Counter

import orjson
import pytest

from agents.enrichments.messages import message_parsing, read_message_parsers
from agents.filter import Rule
from agents.filter_match import compile_match
from agents.process import Outcome, Processor
from logsync_streams.counts import NO_LEVEL, Run, ServiceCounts
from logsync_streams.enriched import Counts, document_id
from logsync_streams.envelope import RawRecord
from logsync_streams.events import Event
from tests.unit.samples import DAY, ENVELOPE_ID, RECEIVED_AT, OneDataset, enveloped, processor, raw


async def run(records: list[RawRecord], stages: Processor | None = None, **datasets: str) -> Outcome:
    stages = stages or processor()
    outcome = Outcome()
    decoded = stages.decode(records, outcome)
    return await stages.run(decoded, outcome, {DAY: OneDataset(**datasets)})


def numbers(counts: ServiceCounts) -> dict[str, int]:
    return {level: pairs[1] for run in counts.runs for level, pairs in run.levels.items()}


def ids(outcome: Outcome) -> list[str]:
    return [document_id(body) for _, _, body in outcome.documents]


async def test_every_event_of_an_envelope_becomes_a_document_with_its_own_id():
    outcome = await run([enveloped({"message": "a"}, {"message": "b"})])

    assert [f"{ENVELOPE_ID}-00000", f"{ENVELOPE_ID}-00001"] == ids(outcome)


async def test_processing_the_same_record_again_makes_the_same_bytes():
    record = enveloped({"message": "a", "level": "ERROR", "service": "auth"})

    assert (await run([record])).documents == (await run([record])).documents


async def test_debug_in_production_is_dropped_and_counted_by_rule():
    outcome = await run(
        [
            enveloped(
                {"message": "noise", "level": "DEBUG", "environment": "production"},
                {"message": "kept", "level": "DEBUG", "environment": "staging"},
                {"message": "kept", "level": "ERROR", "environment": "production"},
            )
        ]
    )

    assert 2 == len(outcome.documents)
    assert Counter(debug_in_production=1) == outcome.dropped


async def test_counts_are_taken_before_the_filter():
    outcome = await run([enveloped({"message": "x", "level": "DEBUG", "environment": "production", "service": "auth"})])
    [counts] = Processor.counts(outcome, "logs", 0)

    assert ("auth", {"debug": 1}) == (counts.service, numbers(counts))


@pytest.mark.parametrize(
    "message",
    ['{"level": "ERROR", "msg": "boom"}', "level=ERROR msg=boom", "2026-11-24 ERROR boom"],
    ids=["json", "logfmt", "grok"],
)
async def test_a_level_within_the_message_is_the_same_in_count_filter_and_document(tmp_path, message):
    file = tmp_path / "messages.yaml"
    file.write_text(
        "parsers:\n"
        "  - {name: j, match: {message: {pattern: '^[{]'}}, format: json}\n"
        "  - {name: l, match: {message: {contains: 'level='}}, format: logfmt}\n"
        "  - {name: g, match: {message: {exists: true}}, grok: '%{NOTSPACE} %{LOGLEVEL:level} %{GREEDYDATA:message}'}\n"
    )
    errors, others = (
        Rule("errors", compile_match({"level": {"at_least": "error"}}), "keep"),
        Rule("rest", lambda _: True),
    )
    stages = processor(rules=[errors, others], reading=[message_parsing(read_message_parsers(file))])
    outcome = await run(
        [enveloped({"message": message, "service": "auth"}, {"message": "x", "service": "auth"})], stages
    )
    [counts] = Processor.counts(outcome, "logs", 0)
    [(_, _, body)] = outcome.documents

    assert {"error": 1, NO_LEVEL: 1} == numbers(counts)
    assert (1, {("auth", "error"): 1}) == (outcome.dropped["rest"], dict(outcome.processed))
    assert "error" == orjson.loads(body)["log"]["level"]


async def test_in_is_out_and_filtered_and_dead_for_every_range():
    outcome = await run(
        [
            enveloped({"message": "a"}, {"message": "b", "level": "debug", "environment": "production"}),
            raw(b'{"broken', offset=8),
            raw(None, offset=9),
        ]
    )
    [record] = processor().enriched(outcome, "logs", 0, 7, 9)

    assert Counts(received=4, filtered=1, dead=2) == record.counts
    assert record.counts.received == len(record.documents) + record.counts.filtered + record.counts.dead


async def test_a_range_of_which_nothing_is_left_sends_one_record_without_documents():
    outcome = await run([raw(None)])
    [record] = processor().enriched(outcome, "logs", 0, 7, 7)

    assert ("", (), Counts(1, 0, 1)) == (record.target, record.documents, record.counts)


async def test_documents_are_grouped_by_target_and_split_by_bytes_with_the_counts_on_the_first():
    logs = [{"message": "m" * 300, "service": service} for service in ("auth", "auth", "pay")]
    small = processor(max_enriched_bytes=1000)
    outcome = await run([enveloped(*logs)], small, auth="auth")
    records = small.enriched(outcome, "logs", 0, 7, 7)

    assert [
        ("logsync-auth-2026.11.24", 0, 3, 3),
        ("logsync-auth-2026.11.24", 1, 3, 0),
        ("logsync-default-2026.11.24", 2, 3, 0),
    ] == [(record.target, record.part, record.parts, record.counts.received) for record in records]


async def test_a_poison_record_goes_to_the_dead_letters_with_its_bytes_and_place():
    outcome = await run([raw(b"\xff\xfe\x00poison", offset=41), enveloped({"message": "good"}, offset=42)])
    [dead] = outcome.dead

    assert (b"\xff\xfe\x00poison", "undecodable", "logs", 0, 41) == (
        dead.value,
        dead.category,
        dead.topic,
        dead.partition,
        dead.offset,
    )
    assert 1 == len(outcome.documents)


async def test_a_stage_that_fails_on_one_event_costs_only_that_event():
    def explode(event: Event) -> None:
        if event.fields["message"] == "bad":
            raise RuntimeError("a bug of ours")

    outcome = await run([enveloped({"message": "a"}, {"message": "bad"}, {"message": "c"})], processor(steps=[explode]))

    assert [f"{ENVELOPE_ID}-00000", f"{ENVELOPE_ID}-00002"] == ids(outcome)
    assert [("stage_failed", "RuntimeError: a bug of ours")] == [(dead.category, dead.error) for dead in outcome.dead]
    assert 3 == outcome.received


@pytest.mark.parametrize("failing", [False, True], ids=["whole", "event by event"])
async def test_records_of_one_time_are_counted_as_one_run_by_offset(failing):
    def explode(event: Event) -> None:
        if failing and event.fields["message"] == "bad":
            raise RuntimeError("a bug of ours")

    auth = {"message": "x", "service": "auth", "level": "info"}
    records = [
        raw(orjson.dumps(auth), 3),
        raw(orjson.dumps(auth | {"level": "error"}), 4),
        enveloped(auth, auth, offset=5),
        raw(orjson.dumps(auth), 6, timestamp=RECEIVED_AT + 60_000),
        raw(orjson.dumps({"message": "bad", "service": "mail", "level": "info"}), 7),
    ]
    outcome = await run(records, processor(steps=[explode]))
    auth_counts, *_ = Processor.counts(outcome, "logs", 0)
    minute = RECEIVED_AT // 60_000

    expected = (
        Run(RECEIVED_AT, minute, {"info": [3, 1, 5, 2], "error": [4, 1]}),
        Run(RECEIVED_AT + 60_000, minute + 1, {"info": [6, 1]}),
    )
    assert expected == auth_counts.runs


async def test_a_forged_receive_time_cannot_choose_its_day():
    outcome = await run([enveloped({"message": "x"}, received_at=RECEIVED_AT - 400 * 86_400_000)])
    [(target, _, _)] = outcome.documents

    assert "logsync-default-2026.11.24" == target


async def test_the_stored_document_has_ecs_names_and_begins_with_its_id():
    log = {
        "timestamp": "2026-11-24T21:59:59.5Z",
        "level": "WARNING",
        "service": "auth-service",
        "host": "web-1",
        "environment": "staging",
        "message": "user_id=42 failed",
        "metadata": {"attempt": 3},
    }
    outcome = await run([enveloped(log)])
    [(_, _, body)] = outcome.documents

    assert body.startswith(b'{"event":{"id":"' + ENVELOPE_ID.encode())
    assert {
        "event": {
            "id": f"{ENVELOPE_ID}-00000",
            "ingested": "2026-11-24T22:00:00.123Z",
            "dataset": "default",
            "severity": 13,
            "original": orjson.dumps(log).decode(),
        },
        "@timestamp": "2026-11-24T21:59:59.500Z",
        "message": "user_id=42 failed",
        "log": {"level": "warn"},
        "service": {"name": "auth-service", "environment": "staging"},
        "host": {"name": "web-1"},
        "source": {"ip": "127.0.0.1", "port": 4711},
        "labels": {"attempt": "3"},
        "logsync": {
            "source": "http",
            "correlation_id": f"{ENVELOPE_ID}-00000",
            "words": {"message": "user id 42 failed"},
        },
    } == orjson.loads(body)
