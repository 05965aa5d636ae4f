"""The first stage: decoded records in, events out, each with the fields that its format's parser made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from logsync_streams.envelope import Decoded, as_event
from logsync_streams.errors import DeadLetter
from logsync_streams.events import Event, Fields

Parser = Callable[[bytes, int], Fields]
OnDead = Callable[[Decoded, int, DeadLetter], None]


async def parse(records: Iterable[Decoded], *, parsers: Mapping[str, Parser], on_dead: OnDead) -> AsyncIterator[Event]:
    """One event for each that its parser can read; `on_dead` gets the others (record, index in it, reason)."""
    for record in records:
        parser = parsers.get(record.origin.format)
        for index, data in enumerate(record.events):
            try:
                if parser is None:
                    raise DeadLetter("undecodable", f"no parser for the format {record.origin.format!r}")
                fields = parser(data, record.received_at)
            except DeadLetter as reason:
                on_dead(record, index, reason)
            else:
                yield as_event(record, index, fields)
