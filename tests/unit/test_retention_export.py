"""The export of an index: what it holds of it at a time."""

from __future__ import annotations

import tracemalloc

import pytest

from logsync_streams.storage.api import PortionsUnknown, Stored
from logsync_streams.storage.memory import MemoryStore
from retention.archive import PartWriter
from retention.export import export
from retention.plan import Destination

DOCUMENTS, TEXT = 12_000, "x" * 4000
ALL_BYTES = DOCUMENTS * len(TEXT)
WHERE = Destination("logs", "archive")


class Endless(MemoryStore):
    """An index whose documents are made as they are asked for: none is in memory before."""

    def __init__(self):
        super().__init__()
        self.pages = []

    async def scan(self, index, after="", limit=1000):
        first = int(after) + 1 if after else 0
        page = [self._document(number) for number in range(first, min(first + limit, DOCUMENTS))]
        self.pages.append(sum(len(stored.body) for stored in page))
        return page

    def _document(self, number):
        id = f"{number:08}"
        # Not by orjson, whose bytes have room for eight times as much: nobody touches it, but it counts here.
        document = f'{{"event":{{"id":"{id}"}},"service":{{"name":"auth"}},"message":"{number} {TEXT}"}}'
        return Stored(id, document.encode())


async def test_an_index_of_any_size_is_exported_in_the_memory_of_a_few_pages(tmp_path):
    index, parts = Endless(), []
    writer = PartWriter("at/", tmp_path, part_bytes=ALL_BYTES // 4, level=3)

    async def upload(where, part, path):
        path.unlink()
        parts.append(part)

    tracemalloc.start()
    try:
        total = await export(index, "i", {"auth": WHERE}, {WHERE: writer}, upload, lambda _: None, lambda: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    print(f"{ALL_BYTES / 1e6:.0f} MB of documents, {peak / 1e6:.1f} MB at most")
    assert DOCUMENTS == total == sum(part.documents for part in parts)
    assert [] == list(tmp_path.iterdir())
    assert max(index.pages) <= 5 * 1024 * 1024
    assert peak < 16 * 1024 * 1024 < ALL_BYTES // 2


async def test_a_log_of_a_service_that_the_index_did_not_name_ends_the_export_and_leaves_no_file(tmp_path):
    writer = PartWriter("at/", tmp_path, part_bytes=ALL_BYTES, level=3)

    async def upload(where, part, path):
        raise AssertionError("there is nothing to upload")

    with pytest.raises(PortionsUnknown, match="the service 'auth', which the store did not name"):
        await export(Endless(), "i", {"pay": WHERE}, {WHERE: writer}, upload, lambda _: None, lambda: None)
    assert [] == list(tmp_path.iterdir())
