"""What the tests of the contract do again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from logsync_streams.storage.api import STORED, Document, EventReader, Hit, Page, Query, SearchRequest
from logsync_streams.storage.factory import Store


async def put(store: Store, documents: Sequence[Document], *, at_once: int = 2000) -> None:
    """Store the documents, which must be new, and make them visible."""
    for start in range(0, len(documents), at_once):
        part = documents[start : start + at_once]
        outcomes = await store.writer.write(part)

        assert [STORED] * len(part) == outcomes
    await store.admin.refresh()


async def found(reader: EventReader, query: Query) -> set[str]:
    """The ids of all documents that a query finds."""
    return {hit.id for hit in await all_hits(reader, SearchRequest(query, limit=1000))}


async def all_hits(reader: EventReader, request: SearchRequest) -> list[Hit]:
    """The hits of all pages, from the request's cursor on."""
    hits: list[Hit] = []
    while True:
        page = await reader.search(request)
        hits += page.hits

        assert len(page.hits) <= request.limit
        if page.cursor is None:
            return hits
        request = next_page(request, page)


def next_page(request: SearchRequest, page: Page) -> SearchRequest:
    """The request for the page that follows."""
    return replace(request, after=page.cursor)
