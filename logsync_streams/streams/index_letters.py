"""The dead letters of `index`: a document that the store refuses, a record that cannot be read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from agents.index import dead_letter_reason
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.enriched import Enriched
from logsync_streams.errors import DeadLetter
from logsync_streams.storage.api import Document, Outcome


def received_at(body: bytes) -> int:
    """`event.ingested` of a document as epoch ms."""
    return int(datetime.fromisoformat(orjson.loads(body)["event"]["ingested"]).timestamp() * 1000)


def dead_document(document: Document, outcome: Outcome, source: Enriched) -> DeadLetterRecord:
    """The letter of a document that came in the record `source`."""
    reason = dead_letter_reason(outcome)
    return DeadLetterRecord(
        event_id=document.id,
        value=document.body,
        holds="document",
        received_at=received_at(document.body),
        format="",
        source="",
        peer="",
        target=document.target,
        stage="index",
        category=reason.category,
        error=reason.reason,
        topic=source.topic,
        partition=source.partition,
        offset=source.first,
        index=int(document.id.rpartition("-")[2]),
        attempts=source.attempts + 1,
        keyed=source.keyed,
    )


def unreadable(message: Any, reason: DeadLetter) -> DeadLetterRecord:
    """The letter of a Kafka message of `logs-enriched` that is none of ours."""
    return DeadLetterRecord(
        event_id=f"{message.topic}/{message.partition}/{message.offset}",
        value=message.value or b"",
        holds="document",
        received_at=int((message.timestamp or 0) * 1000),
        format="",
        source="kafka",
        peer="",
        target="",
        stage="index",
        category=reason.category,
        error=reason.reason,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        index=0,
    )
