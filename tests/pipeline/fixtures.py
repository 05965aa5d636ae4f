"""Fixtures for tests that run our own processes on the real servers; loaded by the folders that need them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.servers import ElasticsearchServer, KafkaServer
from tests.pipeline.kafka_truth import reset
from tests.pipeline.oracle import Oracle
from tests.pipeline.processes import Pipeline


@pytest.fixture
def pipeline(tmp_path: Path, kafka: KafkaServer, elasticsearch: ElasticsearchServer) -> Iterator[Pipeline]:
    """Nothing started yet; fresh topics, no index of ours."""
    reset(kafka.bootstrap)
    made = Pipeline(tmp_path, kafka.bootstrap, elasticsearch.url)
    made.create_topics()
    yield made
    made.close()


@pytest.fixture
def seed() -> int:
    """Changes with the commit, so that every landing kills at other instants; LOGSYNC_TEST_SEED repeats one."""
    number = chosen_seed()
    print(f"seed {number:x} (repeat with LOGSYNC_TEST_SEED={number:x})")
    return number


def chosen_seed() -> int:
    """The seed of this run, without a word about it."""
    given = os.environ.get("LOGSYNC_TEST_SEED")
    if given is None:
        command = ["git", "rev-parse", "--short=8", "HEAD"]
        given = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "1"
    return int(given, 16)


@pytest.fixture
def oracle(seed: int) -> Oracle:
    return Oracle(seed)
