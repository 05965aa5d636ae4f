"""What tests of the query API share: logs, stores, clients."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from starlette.applications import Starlette

from logsync_streams.events import event_id, iso_time
from logsync_streams.query.app import create_app
from logsync_streams.query.tail import Hub
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.api import Document, EventReader
from logsync_streams.storage.memory import MemoryStore

TARGET = "logsync-default-2026.11.24"
NOW = 1_795_564_800_000  # 2026-11-25T00:00:00Z


def log(number: int, **fields: object) -> Document:
    """A log `number` minutes old."""
    id_ = event_id(f"{number:032x}", 0)
    document = {
        "event": {"id": id_},
        "@timestamp": iso_time(NOW - 60_000 * number),
        "message": f"log {number}",
        **fields,
    }
    return Document(TARGET, id_, json.dumps(document).encode())


async def store_with(*documents: Document) -> MemoryStore:
    store = MemoryStore()
    await store.create(TARGET)
    await store.write(documents)
    return store


def client_of(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8082")


def client_over(store: EventReader, query: QueryHttpSettings | None = None, **parts: Any) -> httpx.AsyncClient:
    """parts: of create_app."""
    settings = Settings(query=query or QueryHttpSettings())
    return client_of(create_app(store, settings, now=lambda: NOW, **parts))


async def listened_to(hub: Hub, clients: int) -> None:
    """Wait until so many clients listen."""
    async with asyncio.timeout(30):
        while hub.listeners != clients:  # noqa: ASYNC110  # nobody else needs an event for it
            await asyncio.sleep(0.01)
