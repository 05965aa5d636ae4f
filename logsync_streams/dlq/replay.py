"""How a dead letter goes back: as which record, on which topic; or why it cannot. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from logsync_streams import enriched, envelope, topics
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.enriched import Counts, Enriched
from logsync_streams.envelope import Envelope, Identity
from logsync_streams.settings import Settings

_EVENT_ID = re.compile(r"([0-9a-f]{32})-([0-9]{5})")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be sent. partition None: by the key."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    partition: int | None = None


class Stays(Exception):
    """The letter cannot go back; the text says why and what can be done."""


def replayed(letter: DeadLetterRecord, settings: Settings) -> Outgoing:
    """The record that brings the letter's event back with its id, receive time and target. Raises Stays.

    A document goes to `logs-enriched`, to be written as it is; bytes as received go to the raw topic, through all
    stages. Either says how often the event failed before, so that a further failure is a letter of the next attempt.
    """
    if letter.attempts >= settings.dead_letters.max_attempts:
        raise Stays(
            f"it has failed {letter.attempts} times, and {settings.dead_letters.max_attempts} attempts are the bound: "
            "drop it, or raise LOGSYNC_DEAD_LETTERS__MAX_ATTEMPTS"
        )
    named = _EVENT_ID.fullmatch(letter.event_id)
    if named is None:
        raise Stays("it is a record of ours that cannot be read, not an event: look at it (show), then drop it")
    if letter.holds == "document":
        return _document(letter, settings)
    if not letter.value:
        raise Stays("it has no bytes (a tombstone or an empty message): there is nothing to replay, drop it")
    return _original(letter, settings, named[1], int(named[2]))


def _document(letter: DeadLetterRecord, settings: Settings) -> Outgoing:
    if not letter.target:
        raise Stays("it names no index: look at it (show), then drop it")
    value, headers = enriched.encode(
        Enriched(
            target=letter.target,
            topic=letter.topic,
            partition=letter.partition,
            first=letter.offset,
            last=letter.offset,
            keyed=letter.keyed,
            part=0,
            parts=1,
            counts=Counts(received=1),
            documents=(letter.value,),
            attempts=letter.attempts,
        )
    )
    return Outgoing(
        topics.ENRICHED, letter.event_id.encode(), value, headers, letter.partition % settings.kafka.partitions
    )


def _original(letter: DeadLetterRecord, settings: Settings, id_: str, index: int) -> Outgoing:
    topic, key = settings.kafka.raw_topics[0], letter.event_id.encode()
    if not letter.format:  # it was never decoded: the record as a whole is tried again, under its first identity
        headers = envelope.replayed_headers(Identity(id_, letter.received_at, letter.attempts))
        return Outgoing(topic, key, letter.value, headers)
    value, headers = envelope.encode(
        Envelope(
            id=id_,
            received_at=letter.received_at,
            source=letter.source,
            format=letter.format,
            peer=letter.peer,
            events=(letter.value,),
            key=id_ if letter.keyed else "",  # the sender's key is not known any more; that there was one, is
            first_index=index,
            attempts=letter.attempts,
        )
    )
    return Outgoing(topic, key, value, headers)
