"""An Idempotency-Key from the door to the store: what is sent again is stored once, over midnight too."""

from __future__ import annotations

from datetime import timedelta

import httpx

from agents.process import Outcome as Processed
from logsync_streams.collector.http import create_app
from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.enriched import Enriched
from logsync_streams.envelope import Envelope, RawRecord, encode
from logsync_streams.settings import CollectorSettings
from logsync_streams.storage.api import All, SearchRequest
from tests.contract.documents import DAY, NOON
from tests.contract.steps import all_hits
from tests.contract.stores import Opened
from tests.index_path import Path
from tests.unit.samples import OneDataset, processor

MIDNIGHT = NOON + 12 * 3_600_000
BODY = b'{"message":"paid"}\n{"message":"shipped"}'
OTHER = b'{"message":"paid"}\n{"message":"cancelled"}'


async def enriched(envelope: Envelope, offset: int) -> list[Enriched]:
    """What `process` writes for an envelope of the door."""
    value, headers = encode(envelope)
    stages = processor()
    outcome = Processed()
    given = RawRecord("logs", 0, offset, envelope.received_at, value, headers)
    assigned = {day: OneDataset() for day in (DAY, DAY + timedelta(days=1))}
    outcome = await stages.run(stages.decode([given], outcome), outcome, assigned)
    return stages.enriched(outcome, "logs", 0, offset, offset)


async def test_a_request_sent_again_after_midnight_is_stored_once_and_another_body_is_not_hidden(opened: Opened):
    now = [MIDNIGHT - 1000]
    publisher = MemoryPublisher(lambda: now[0])
    transport = httpx.ASGITransport(app=create_app(publisher, CollectorSettings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as sender:
        # The same request before midnight, twice after it; then the same key with a body that differs in one line.
        for at, body in ((-1000, BODY), (1000, BODY), (2000, BODY), (3000, OTHER)):
            now[0] = MIDNIGHT + at
            answer = await sender.post("/api/logs", content=body, headers={"idempotency-key": "order 7"})

            assert 202 == answer.status_code
    path = Path(opened.store, MIDNIGHT + 4000)
    for offset, envelope in enumerate(publisher.envelopes):
        await path.index(await enriched(envelope, offset))
    await opened.store.admin.refresh()
    hits = await all_hits(opened.store.reader, SearchRequest(All(), limit=100))

    assert ["cancelled", "paid", "shipped"] == sorted(hit.document["message"] for hit in hits)
