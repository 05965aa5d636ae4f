"""Fixtures that every test may use: the real servers. A test that asks for one is marked `real`.

A server that cannot be had is a skip with a line that says what was not tested, or a failure with
LOGSYNC_REQUIRE_REAL=1.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.fetch import ELASTICSEARCH_VERSION
from deploy.servers import ElasticsearchServer, KafkaServer, free_port
from logsync_streams.dev import broker
from tests.servers.shared import SharedServers
from tests.servers.wiping import wipe

_REAL_FIXTURES = {"kafka", "elasticsearch", "elasticsearch_version"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _REAL_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def servers() -> Iterator[SharedServers]:
    """All real servers of this session; ended with it."""
    shared = SharedServers()
    try:
        yield shared
    finally:
        shared.stop()


@pytest.fixture
def kafka(servers: SharedServers) -> KafkaServer:
    """The shared Kafka broker, running. Use topics and groups of your own."""
    return servers.kafka()


@pytest.fixture
def elasticsearch_version(servers: SharedServers) -> Callable[[str], ElasticsearchServer]:
    """The shared Elasticsearch of a version, running and without anything of ours in it."""

    def wiped(version: str) -> ElasticsearchServer:
        server = servers.elasticsearch(version)
        wipe(server.url)
        return server

    return wiped


@pytest.fixture
def elasticsearch(elasticsearch_version: Callable[[str], ElasticsearchServer]) -> ElasticsearchServer:
    """The shared Elasticsearch 8.19, running and without anything of ours in it."""
    return elasticsearch_version(ELASTICSEARCH_VERSION)


@pytest.fixture
def embedded_broker(tmp_path: Path) -> Iterator[str]:
    """host:port of an embedded broker of this test's own. It takes a moment to listen."""
    port = free_port()
    with (tmp_path / "broker.log").open("wb") as log:
        process = subprocess.Popen(broker.command(port), stdout=log, stderr=subprocess.STDOUT)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
