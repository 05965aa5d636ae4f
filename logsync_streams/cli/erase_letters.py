"""The dead letters, as an erasure sees them: each as the log that it would be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import orjson

from agents.explain import explain
from agents.filter_file import rule_set
from logsync_streams import dead_letter
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.dlq import journal
from logsync_streams.dlq.letters import Letter
from logsync_streams.dlq.replay import Stays, replayed
from logsync_streams.envelope import RawRecord
from logsync_streams.errors import Unavailable
from logsync_streams.events import iso_time, receive_day
from logsync_streams.settings import Settings
from logsync_streams.worker import processor
from retention.erase_find import dataset_of
from retention.policy import Policies, assignment, datasets

Document = dict[str, Any]


class DeadLetters:
    """Finds and erases open letters (retention.erase.Letters). Raises ConfigurationError for rules that are wrong."""

    def __init__(self, settings: Settings, policies: Policies) -> None:
        self._settings = settings
        rules = rule_set(settings.process, datasets(policies))
        self._processor, self._assignment = processor(settings, rules.rules), assignment(policies, rules.routes)

    async def find(
        self, takes: Callable[[Document], bool], held: Callable[[Document, str], bool], ids: Collection[str]
    ) -> tuple[dict[str, date], int]:
        """Those with one of these ids, and those that are taken in one of the forms that they may have, and held in
        none: event.id -> receive day; and how many were taken, but held. Raises Unavailable.
        """
        found, stay = {}, set()  # an event may have several letters, which are erased by its id
        letters = await self._open()
        async for chunk in journal.chunks(self._settings.kafka, letters) if letters else _none():
            for letter, record in chunk:
                forms = list(self.forms(record))
                if letter.event_id in ids or any(takes(document) for document, _ in forms):
                    found[letter.event_id] = receive_day(letter.received_at)
                if letter.event_id not in ids and any(held(*form) for form in forms):
                    stay.add(letter.event_id)
        return {id: day for id, day in found.items() if id not in stay}, len(stay & found.keys())

    async def erase(self, ids: Collection[str]) -> int:
        """Erase all open letters of these events; how many there were. Raises Unavailable."""
        letters = [letter for letter in await self._open() if letter.event_id in ids] if ids else []
        if letters:
            async with journal.open_journal(self._settings.kafka) as out:
                async for chunk in journal.chunks(self._settings.kafka, letters):
                    await out.mark(chunk, dead_letter.ERASED)
        return len(letters)

    def forms(self, record: DeadLetterRecord) -> Iterator[tuple[Document, str]]:
        """What a letter holds, as it would be stored, with its dataset; and as it is, as far as it can be read."""
        yield _as_it_is(record), dataset_of(record.target)
        if record.holds == "document":
            return
        try:
            out = replayed(replace(record, attempts=1), self._settings)  # however often it has failed
        except Stays:
            return
        raw = RawRecord(out.topic, 0, 0, record.received_at, out.value, out.headers)
        assigned = {receive_day(record.received_at): self._assignment}
        for one in explain([raw], self._processor, assigned):
            if one.document is not None:
                yield one.document, one.dataset

    async def _open(self) -> list[Letter]:
        try:
            return (await journal.read(self._settings.kafka)).open()
        except Unavailable:
            if not self._settings.kafka.embedded:
                raise
            return []  # the embedded broker forgets when it stops


def _as_it_is(record: DeadLetterRecord) -> Document:
    """The bytes as a document: a JSON object's own fields, in the places where a log has them; else a text."""
    try:
        content = orjson.loads(record.value)
    except orjson.JSONDecodeError:
        content = None
    if record.holds == "document" and isinstance(content, dict):
        return content
    text = record.value.decode(errors="replace")
    document: Document = {"@timestamp": iso_time(record.received_at), "message": text}
    if isinstance(content, dict):
        service, level = content.get("service"), content.get("level")
        document = {**content, **document, "labels": content.get("metadata", {})}
        if isinstance(service, str):
            document["service"] = {"name": service}
        if isinstance(level, str):
            document["log"] = {"level": level.lower()}
    return document


async def _none() -> Any:
    return
    yield
