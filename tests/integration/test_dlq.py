"""Dead letters as a work queue, on Apache Kafka and Elasticsearch: listed once, mended, replayed, stored once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import aiokafka
import httpx
import pytest

from logsync_streams.envelope import Envelope, encode
from logsync_streams.events import iso_time, uuid7_hex
from tests.pipeline.kafka_truth import dead_letters
from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Child, Pipeline
from tests.servers.wiping import request, wipe

WITHIN_SECONDS = 60.0
# A template of an operator's that no document can be stored with: our times are no numbers.
MISTAKE = {"template": {"mappings": {"properties": {"@timestamp": {"type": "date", "format": "epoch_second"}}}}}


def dlq(pipeline: Pipeline, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "logsync_streams.cli", "dlq", *arguments],
        env={**pipeline.environment, **extra},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def listed(pipeline: Pipeline) -> dict[str, Any]:
    done = dlq(pipeline, "list", "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def failures(pipeline: Pipeline) -> Counter[str]:
    """Category -> records in `logs-dlq`, every redelivery counted."""
    return Counter(headers["logsync-category"] for _, _, headers in dead_letters(pipeline.bootstrap))


def produce(bootstrap: str, record: tuple[bytes, list[tuple[str, bytes]]]) -> None:
    async def run() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        await producer.start()
        try:
            await producer.send_and_wait("logs", record[0], headers=record[1])
        finally:
            await producer.stop()

    asyncio.run(run())


def groups(pipeline: Pipeline) -> dict[str, tuple[int, int]]:
    """Category -> open letters, most attempts."""
    return {group["category"]: (group["letters"], group["attempts"]) for group in listed(pipeline)["groups"]}


def stored(url: str) -> list[dict[str, Any]]:
    request("POST", f"{url}/logsync-*/_refresh")
    status, page = request("GET", f"{url}/logsync-*/_search?size=100")
    assert status in (200, 404), page
    return page["hits"]["hits"] if status == 200 else []


def counted(worker: Child, service: str) -> int:
    rows = httpx.get(f"{worker.url}/rates", timeout=10).json()["services"]
    return sum(row["windows"]["1h"]["events"] for row in rows if row["service"] == service)


@pytest.fixture
def mistaken_template(elasticsearch):
    status, answer = request("PUT", f"{elasticsearch.url}/_component_template/logsync-custom", MISTAKE)
    assert status == 200, answer
    return elasticsearch.url


def test_letters_are_listed_once_mended_replayed_and_stored_once_and_poison_does_not_loop(mistaken_template, pipeline):
    url = mistaken_template
    worker = pipeline.worker(LOGSYNC_KAFKA__COMMIT_INTERVAL_SECONDS="60")
    worker.wait_until_ready()
    log = {"message": "refused by a mapping", "service": "shop", "level": "error"}
    received_at = time.time_ns() // 1_000_000
    made = Envelope(uuid7_hex(received_at), received_at, "http", "json", "127.0.0.1:4711", (json.dumps(log).encode(),))
    produce(pipeline.bootstrap, encode(made))
    produce(pipeline.bootstrap, (b'{"poison \x1b[31m', []))
    eventually(lambda: len(failures(pipeline)) == 2, WITHIN_SECONDS, "both are dead letters")

    # Killed before its first commit, so that the next worker gets all of it again.
    worker.kill()
    worker = pipeline.worker()
    worker.wait_until_ready()
    eventually(lambda: min(failures(pipeline).values()) > 1, WITHIN_SECONDS, "both failed again")

    assert {"mapping": (1, 1), "undecodable": (1, 1)} == groups(pipeline)
    by_category = {group["category"]: group for group in listed(pipeline)["groups"]}
    assert by_category["mapping"]["first"] < by_category["mapping"]["last"]
    shown = dlq(pipeline, "show", by_category["undecodable"]["example"])
    assert '{"poison \\x1b[31m' in shown.stdout
    assert "\x1b" not in shown.stdout

    # The mistake is mended: template and index made anew.
    assert 0 == worker.stop()
    assert [] == stored(url)
    wipe(url)
    worker = pipeline.worker()
    worker.wait_until_ready()

    planned = dlq(pipeline, "replay", "--all", "--dry-run")
    assert (0, {"mapping": (1, 1), "undecodable": (1, 1)}) == (planned.returncode, groups(pipeline)), planned.stderr
    done = dlq(pipeline, "replay", "--all")
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(lambda: len(stored(url)) == 1, WITHIN_SECONDS, "the refused log is stored")
    eventually(lambda: groups(pipeline) == {"undecodable": (1, 2)}, WITHIN_SECONDS, "the poison is back, once")

    [hit] = stored(url)
    assert (iso_time(received_at), "refused by a mapping") == (
        hit["_source"]["event"]["ingested"],
        hit["_source"]["message"],
    )
    assert by_category["mapping"]["example"] == hit["_id"] == hit["_source"]["event"]["id"]
    eventually(lambda: counted(worker, "shop") == 1, WITHIN_SECONDS, "the log is counted once, not at each try")

    poison = by_category["undecodable"]["example"]
    bound = {"LOGSYNC_DEAD_LETTERS__MAX_ATTEMPTS": "2"}
    refused = dlq(pipeline, "replay", poison, **bound)
    assert (1, {"undecodable": (1, 2)}) == (refused.returncode, groups(pipeline))
    assert "failed 2 times" in refused.stdout

    unsure = dlq(pipeline, "drop", poison)
    assert (1, {"undecodable": (1, 2)}) == (unsure.returncode, groups(pipeline))
    dropped = dlq(pipeline, "drop", poison, "--yes")
    assert dropped.returncode == 0, dropped.stderr
    answer_ = listed(pipeline)
    assert 0 == answer_["open"]
    assert [{"stage": "parse", "category": "undecodable", "letters": 1}] == answer_["dropped"]
    assert 1 == len(stored(url))
    assert 0 == worker.stop(), worker.log_end()


def test_without_kafka_every_command_says_so_in_a_sentence(tmp_path):
    environment = {"LOGSYNC_KAFKA__BOOTSTRAP": "127.0.0.1:1", "LOGSYNC_DATA_DIR": str(tmp_path)}
    for arguments in (["list"], ["show", "x"], ["replay", "--all"], ["drop", "--all", "--yes"]):
        done = subprocess.run(
            [sys.executable, "-m", "logsync_streams.cli", "dlq", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert (2, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines())), done.stderr
        assert done.stderr.startswith("logsync: LOGSYNC_KAFKA__BOOTSTRAP: '127.0.0.1:1': no broker answers there")
