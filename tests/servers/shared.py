"""Starts each server at its first use and keeps it until the session ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from deploy.fetch import MissingTool
from deploy.servers import ElasticsearchServer, KafkaServer, Server, server_folder

S = TypeVar("S", bound=Server)


class SharedServers:
    """name -> server. One that could not be had once is not tried again."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}
        self._missing: dict[str, str] = {}

    def kafka(self) -> KafkaServer:
        """A broker that all tests share: use topics and groups of your own."""
        return self._server("Kafka", lambda folder: KafkaServer(folder))

    def elasticsearch(self, version: str) -> ElasticsearchServer:
        """A node that all tests share: wipe our indices before use."""
        return self._server(f"Elasticsearch {version}", lambda folder: ElasticsearchServer(folder, version=version))

    def stop(self) -> None:
        """End them all and remove their data."""
        while self._running:
            _, server = self._running.popitem()
            server.remove()

    def _server(self, name: str, make: Callable[[Path], S]) -> S:
        if name not in self._running and name not in self._missing:
            server = make(server_folder("test"))
            try:
                server.start()
            except (MissingTool, OSError) as error:
                server.remove()
                self._missing[name] = str(error)
            else:
                self._running[name] = server
        if name in self._missing:
            unavailable(name, self._missing[name])
        running = self._running[name]
        running.resume()
        running.start()  # a test may have stopped it
        return running  # type: ignore[return-value]  # put there under this name by the same `make`


def unavailable(what: str, why: str) -> None:
    """Skip the test with a line that says what was not tested; fail where everything must be (LOGSYNC_REQUIRE_REAL)."""
    line = f"not tested against {what}: {why}"
    if os.environ.get("LOGSYNC_REQUIRE_REAL") == "1":
        pytest.fail(line, pytrace=False)
    pytest.skip(line)
