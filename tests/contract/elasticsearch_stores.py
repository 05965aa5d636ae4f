"""Elasticsearch of several versions as subjects of the contract suite, as real servers on this machine.

LOGSYNC_TEST_ELASTICSEARCH names the versions (comma-separated), by default what `make stack` runs, the oldest
that is supported, and the newest.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.factory import Store
from tests.contract.stores import Opened, Subject

SUPPORTED = ("7.10.2", "7.17.29", "8.19.8", "9.2.4")
_NAMED = os.environ.get("LOGSYNC_TEST_ELASTICSEARCH")
VERSIONS = ["8.19.8", "7.10.2", "9.2.4"] if _NAMED is None else _NAMED.split(",")


def _opener(version: str) -> Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Opened]]:
    @asynccontextmanager
    async def elasticsearch(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
        server = request.getfixturevalue("elasticsearch_version")(version)
        settings = StoreSettings(elasticsearch_urls=[server.url], replicas=0)

        async def open_it() -> Store:
            connection = connect(settings)
            return Store(
                ElasticsearchWriter(connection), ElasticsearchReader(connection), ElasticsearchAdmin(connection)
            )

        opened = Opened(await open_it(), open_it)
        try:
            yield opened
        finally:
            await opened.store.close()

    return elasticsearch


def _subjects(versions: Iterable[str]) -> dict[str, Subject]:
    return {f"elasticsearch-{version}": Subject(_opener(version), marks=(pytest.mark.real,)) for version in versions}


STORES = _subjects(filter(None, VERSIONS))
# The other supported versions, for the tests that are marked with `every_version`.
FURTHER = {} if _NAMED is not None else _subjects(version for version in SUPPORTED if version not in VERSIONS)
