"""Elasticsearch of several versions as subjects of the contract suite, as real servers on this machine.

LOGSYNC_TEST_ELASTICSEARCH names the versions (comma-separated), by default what `make stack` runs, the oldest
that is supported, and the newest.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.factory import Store
from tests.contract.stores import Opened, Subject

VERSIONS = os.environ.get("LOGSYNC_TEST_ELASTICSEARCH", "8.19.8,7.10.2,9.2.4").split(",")


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


STORES: dict[str, Subject] = {
    f"elasticsearch-{version}": Subject(_opener(version), marks=(pytest.mark.real,)) for version in VERSIONS if version
}
