"""The hand-written floor does the same work as ours: else a ratio to it says nothing."""

from datetime import UTC, datetime

import orjson
from aiokafka.structs import ConsumerRecord

from agents.enrich import enrichments
from agents.process import Outcome, Processor
from bench.generator import envelopes, events
from bench.handloop import of_envelope, of_record
from logsync_streams.envelope import RawRecord, encode
from logsync_streams.parsing import PARSERS
from logsync_streams.settings import ProcessSettings

NOW_MS = 1_800_000_000_000
DAY = datetime.fromtimestamp(NOW_MS / 1000, UTC).date()


class OneDataset:
    routes = "[]"

    def dataset(self, service):
        return "default"


async def ours(records):
    settings = ProcessSettings()
    processor = Processor(
        parsers=PARSERS,
        rules=settings.filter_rules,
        steps=enrichments({}),
        keep_original=settings.keep_original,
        max_enriched_bytes=settings.max_enriched_bytes,
        receive_time=lambda received_at, _: received_at,
    )
    outcome = Outcome()
    raw = [RawRecord(r.topic, r.partition, r.offset, r.timestamp, r.value, r.headers) for r in records]
    outcome = await processor.run(processor.decode(raw, outcome), outcome, {DAY: OneDataset()})
    return [(target, orjson.loads(body)) for target, _, body in outcome.documents]


def theirs(read, records):
    pairs = [pair for record in records for pair in read(record) if pair is not None]
    return [(orjson.loads(action)["create"], orjson.loads(document)) for action, document in pairs]


def record(offset, value, headers=()):
    return ConsumerRecord("logs", 0, offset, NOW_MS, 1, None, value, None, 0, len(value), headers)


async def test_it_stores_the_documents_that_process_makes_of_envelopes():
    made = list(events(3000, seed=5, now_ms=NOW_MS))
    records = [record(i, *encode(envelope)) for i, envelope in enumerate(envelopes(made, seed=5, now_ms=NOW_MS))]
    wanted = await ours(records)
    found = theirs(of_envelope, records)

    assert wanted == [(action["_index"], document) for action, document in found]
    assert [document["event"]["id"] for _, document in wanted] == [action["_id"] for action, _ in found]


async def test_it_stores_the_documents_that_process_makes_of_one_event_records():
    made = list(events(500, seed=6, now_ms=NOW_MS))
    records = [record(i, event.data) for i, event in enumerate(made)]
    wanted = await ours(records)
    found = theirs(of_record, records)

    assert wanted == [(action["_index"], document) for action, document in found]
    assert len(wanted) == sum(not event.filtered for event in made)
