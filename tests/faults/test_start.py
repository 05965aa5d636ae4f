"""F31, the start: what is wrong is said in a sentence with the name of its setting, at once, with an exit code."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deploy.servers import KafkaServer
from tests.pipeline.kafka_truth import reset
from tests.pipeline.processes import Pipeline

ENDED_SECONDS = 60.0


@pytest.fixture
def wrong(tmp_path: Path) -> Pipeline:
    """No broker and no store anywhere."""
    return Pipeline(tmp_path, "127.0.0.1:1", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("LOGSYNC_KAFKA__PARTITIONS", "many", "LOGSYNC_KAFKA__PARTITIONS: 'many'"),
        ("LOGSYNC_KAFKA__PARTITONS", "4", "did you mean LOGSYNC_KAFKA__PARTITIONS?"),
        ("LOGSYNC_STORE__PASSWORD_FILE", "/nowhere/password", "LOGSYNC_STORE__PASSWORD_FILE"),
        ("LOGSYNC_PROCESS__CATALOGUE_FILE", "/nowhere/catalogue.yaml", "/nowhere/catalogue.yaml"),
        ("LOGSYNC_RETENTION__POLICIES_FILE", "/nowhere/policies.json", "/nowhere/policies.json"),
        ("LOGSYNC_CONFIG", "/nowhere/logsync.yaml", "LOGSYNC_CONFIG: '/nowhere/logsync.yaml' cannot be read"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_its_name(wrong: Pipeline, setting: str, value: str, said: str):
    worker = wrong.worker(**{setting: value})

    assert worker.wait(ENDED_SECONDS) == 2
    assert said in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


def test_a_broker_that_is_not_there_ends_the_start_with_its_address(wrong: Pipeline):
    worker = wrong.worker()

    assert worker.wait(ENDED_SECONDS) == 2
    assert "LOGSYNC_KAFKA__BOOTSTRAP: '127.0.0.1:1': no broker answers there" in worker.log.read_text()


def test_missing_topics_end_the_start_with_what_to_do(tmp_path: Path, kafka: KafkaServer):
    reset(kafka.bootstrap)
    worker = Pipeline(tmp_path, kafka.bootstrap, "http://127.0.0.1:1").worker()

    assert worker.wait(ENDED_SECONDS) == 2
    assert "topic logs does not exist; run `logsync topics create`" in worker.log.read_text()


def test_a_port_in_use_ends_the_start_with_the_setting(wrong: Pipeline):
    with socket.socket() as other:
        other.bind(("127.0.0.1", wrong.http_port))
        other.listen()
        collector = wrong.collector()

        assert collector.wait(ENDED_SECONDS) == 2
    assert "LOGSYNC_COLLECTOR__HTTP_PORT" in collector.log.read_text()
