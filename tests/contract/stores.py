"""The stores that the contract suite runs on. A further one is a Subject in STORES; no test names one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore

# What a store may lack and still pass; the tests that need it are skipped with this reason, which the report prints.
CAPABILITIES = {
    "durable": "what was stored outlives the process",
}


@dataclass
class Opened:
    """A store with nothing in it. reopen: closes it and opens it again on the same data; `store` is then the new."""

    store: Store
    open_again: Callable[[], Awaitable[Store]]

    async def reopen(self) -> Store:
        await self.store.close()
        self.store = await self.open_again()
        return self.store


@dataclass(frozen=True)
class Subject:
    """One store under test.

    open: given the test's `request` (for fixtures: `request.getfixturevalue("tmp_path")`), an async context manager
    that yields an Opened with no index of ours in it and cleans up after itself. marks: of pytest, e.g. `real`.
    lacks: names of CAPABILITIES.
    """

    open: Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Opened]]
    marks: tuple[pytest.MarkDecorator, ...] = ()
    lacks: frozenset[str] = frozenset()


@asynccontextmanager
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    one = MemoryStore()

    async def again() -> Store:
        raise AssertionError("a store in memory is not opened twice")

    yield Opened(Store(one, one, one), again)


@asynccontextmanager
async def embedded(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    from logsync_streams.storage.embedded import EmbeddedStore

    folder: Path = request.getfixturevalue("tmp_path") / "store"

    async def open_it() -> Store:
        one = EmbeddedStore(folder)
        return Store(one, one, one)

    opened = Opened(await open_it(), open_it)
    try:
        yield opened
    finally:
        await opened.store.close()


def subjects(*, every_version: bool = True) -> dict[str, Subject]:
    """All stores by name; those of Elasticsearch from their own module. every_version: also of those versions that only
    the tests marked so run on.
    """
    from tests.contract import elasticsearch_stores

    return STORES | elasticsearch_stores.STORES | (elasticsearch_stores.FURTHER if every_version else {})


STORES: dict[str, Subject] = {
    "memory": Subject(memory, lacks=frozenset({"durable"})),
    "embedded": Subject(embedded, marks=(pytest.mark.embedded,)),
}
