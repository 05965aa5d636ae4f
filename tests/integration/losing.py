"""Our worker with a fault put into it: the first document of each range is taken away after it was counted.

The account of the ranges must see it; otherwise a metric that is always 0 proves nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from aiokafka.structs import RecordMetadata

from logsync_streams import worker
from logsync_streams.enriched import Enriched
from logsync_streams.streams.process import ProcessStream

_send = ProcessStream._send_enriched


async def _losing(self: ProcessStream, record: Enriched) -> Awaitable[RecordMetadata]:
    return await _send(self, replace(record, documents=record.documents[1:]) if record.part == 0 else record)


ProcessStream._send_enriched = _losing  # type: ignore[method-assign]  # the point of this module
app = worker.app_from_environment()
