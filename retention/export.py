"""From an index to parts: read by id, page by page, written, and handed out to be uploaded as each is full.

Memory: a page, and of each destination one compressor and one block of an upload, whatever the size of the index.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from logsync_streams.storage.api import IndexAdmin, PortionsUnknown, Stored
from logsync_streams.storage.portions import portion_of
from retention.archive import Part, PartWriter
from retention.plan import Destination

# A page of a scan: aimed at so many bytes, and bounded in documents, whose size is not known beforehand.
_PAGE_BYTES = 4 * 1024 * 1024
_FIRST_PAGE, _MOST_PAGE = 64, 2000


async def export(
    admin: IndexAdmin,
    index: str,
    goes_to: Mapping[str, Destination | None],
    writers: Mapping[Destination, PartWriter],
    upload: Callable[[Destination, Part, Path], Awaitable[None]],
    read: Callable[[int], None],
    all_read: Callable[[], None],
) -> int:
    """Write each document of a write-blocked index to where its service's go (None: nowhere); how many the index has.

    upload takes a part, and its file away. read(documents) is told after each page, and may raise to end it; all_read
    before the last, unfilled parts are uploaded. Files of parts that an error left are swept by the next run. Raises
    what these raise, Unavailable; PortionsUnknown when there is a service of which goes_to says nothing.
    """
    total, after, limit = 0, "", _FIRST_PAGE
    try:
        while page := await admin.scan(index, after, limit):
            for one, part, path in await asyncio.to_thread(_add_page, page, writers, goes_to):
                await upload(one, part, path)
            total, after = total + len(page), page[-1].id
            size = sum(len(stored.body) for stored in page)
            limit = max(1, min(_MOST_PAGE, limit * 4, _PAGE_BYTES * len(page) // max(size, 1)))
            read(len(page))
        all_read()
        for one, writer in writers.items():
            if (last := writer.finish()) is not None:
                await upload(one, *last)
    finally:
        for writer in writers.values():
            writer.abandon()
    return total


def _add_page(
    page: Sequence[Stored], writers: Mapping[Destination, PartWriter], goes_to: Mapping[str, Destination | None]
) -> list[tuple[Destination, Part, Path]]:
    full = []
    for stored in page:
        document: dict[str, Any] = orjson.loads(stored.body)
        service = portion_of(document)[0]
        if service not in goes_to:
            raise PortionsUnknown(
                f"{stored.id}: a log of the service {service!r}, which the store did not name: the day is kept"
            )
        one = goes_to[service]
        writer = writers.get(one) if one is not None else None
        if one is not None and writer is not None and (done := writer.add(stored, document)) is not None:
            full.append((one, *done))
    return full
