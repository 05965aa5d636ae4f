"""`make run` as a newcomer meets it: the real `logsync dev`, end to end on the embedded parts."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from logsync_streams.configuration import load
from logsync_streams.storage.factory import open_store_beside
from logsync_streams.storage.naming import alias_name
from retention import settled
from tests.integration.dev_run import DevRun, dev_run, until
from tests.integration.test_retention_settled import ALIAS as TODAYS
from tests.integration.test_retention_settled import streams_on
from tests.retention import documents, fill

pytestmark = pytest.mark.embedded


async def produce(port: int, *values: bytes, topic: str = "logs") -> None:
    producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{port}")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """One run without sample traffic, shared by the tests that only send and search."""
    with dev_run(tmp_path_factory.mktemp("quiet"), "--no-sample") as run:
        yield run


def test_ready_is_said_with_every_part_and_its_address(quiet):
    for part in ("broker", "topics", "collector", "worker", "query", "store"):
        assert any(line.startswith(f"  {part} ") for line in quiet.lines), quiet.output
    assert f"http://127.0.0.1:{quiet.query_port}/" in quiet.output
    assert f"http://127.0.0.1:{quiet.http_port}/api/logs" in quiet.output


def test_the_curl_of_the_readme_is_found(quiet):
    body = '{"service":"auth-service","level":"ERROR","message":"boom from curl"}'
    # As curl -d sends it: with the content type of a form.
    quiet.send(body.encode(), "application/x-www-form-urlencoded")
    hit = quiet.until_found('"boom from curl"')[0]

    assert hit["service"]["name"] == "auth-service"
    assert hit["log"]["level"] == "error"


def test_the_curl_that_ready_prints_works_as_it_stands(quiet):
    line = next(line for line in quiet.lines if line.startswith("  send "))
    done = subprocess.run(
        ["sh", "-c", line.removeprefix("  send").strip()], capture_output=True, check=False, timeout=60
    )

    assert done.returncode == 0
    assert orjson.loads(done.stdout)["accepted"] == 1


def test_syslog_by_udp_is_found(quiet):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"<131>1 2026-11-24T21:56:37Z web-7 nginx 99 - - syslogword42", ("127.0.0.1", quiet.syslog_port))
    hit = quiet.until_found("syslogword42")[0]

    assert (hit["host"]["name"], hit["log"]["level"]) == ("web-7", "error")


def test_a_plain_kafka_producers_json_line_is_found(quiet):
    asyncio.run(produce(quiet.kafka_port, b'{"service":"legacy","message":"kafkaword42","level":"warn"}'))

    assert quiet.until_found("kafkaword42")[0]["service"]["name"] == "legacy"


def test_a_poison_record_goes_to_the_dead_letters_and_the_worker_goes_on(quiet):
    dead = quiet.worker_status()["process"]["dead_events"]
    asyncio.run(produce(quiet.kafka_port, b'{"broken', b'{"message":"afterpoison42"}'))
    quiet.until_found("afterpoison42")

    assert quiet.worker_status()["process"]["dead_events"] == dead + 1


def test_logsync_send_and_search_work_on_a_log_file(quiet, tmp_path):
    file = tmp_path / "packages.log"
    file.write_text("2026-11-24 10:00:00 status installed fileword42\n\nsecond fileword42 line\n")
    sent = cli(quiet, "send", str(file), "--url", f"http://127.0.0.1:{quiet.http_port}")
    quiet.until_found("fileword42", 2)
    found = cli(quiet, "search", "fileword42 service:packages", "--url", f"http://127.0.0.1:{quiet.query_port}")

    assert sent.returncode == 0, sent.stderr
    assert (found.returncode, found.stdout.count("fileword42")) == (0, 2)


def test_the_retention_works_through_the_worker_while_it_writes(quiet, tmp_path):
    beside = {"LOGSYNC_STORE__KIND": "embedded", "LOGSYNC_KAFKA__EMBEDDED": "true"}
    policies = {"retention_policies": {"auth": {"retention_days": 30, "archive_to_s3": True, "s3_bucket": "logs"}}}
    (tmp_path / "policies.json").write_bytes(orjson.dumps(policies))
    retention = {
        "LOGSYNC_RETENTION__POLICIES_FILE": str(tmp_path / "policies.json"),
        "LOGSYNC_RETENTION__ARCHIVE_FOLDER": str(tmp_path / "archive"),
        "LOGSYNC_RETENTION__GRACE_HOURS": "0",
    }
    target = alias_name("auth", date(2026, 1, 1))
    logs = documents(50, target, "auth")

    async def fill_old_day():
        store = open_store_beside(load({**quiet.environment, **beside}))
        try:
            await fill(store, logs)
        finally:
            await store.close()

    asyncio.run(fill_old_day())
    found = quiet.total("labels.n:* service:auth")
    ran = cli(quiet, "retention", "run", **beside, **retention)
    left = quiet.total("labels.n:* service:auth")
    restored = cli(quiet, "archive", "restore", **beside, **retention)
    quiet.send(b'{"message":"retentionword42"}')
    quiet.until_found("retentionword42")

    assert (50, 0) == (found, left)
    assert (0, [f"archived {target}: 50 documents", f"dropped {target}: 50 documents"]) == (
        ran.returncode,
        ran.stdout.splitlines(),
    ), ran.stderr
    assert 0 == restored.returncode, restored.stderr
    assert {log.id for log in logs} == {hit["id"] for hit in quiet.search("labels.n:* service:auth", limit="1000")}


async def test_the_embedded_broker_tells_what_a_group_has_not_committed(quiet, monkeypatch):
    # It reports as a topic's end the offset after the first record of the last batch.
    async with streams_on(f"127.0.0.1:{quiet.kafka_port}", monkeypatch, embedded=True) as (kafka, producer, commit):
        raw = kafka.raw_topics[0]
        batch = producer.create_batch()
        for i in range(3):
            batch.append(value=b"log %d" % i, key=None, timestamp=None)
        batch.close()
        await (await producer.send_batch(batch, raw, partition=0))
        await commit(settled.PROCESS, raw, 0, 1)
        held = (await settled.behind(kafka)).holds([TODAYS])
        await commit(settled.PROCESS, raw, 0, 3)

        assert {TODAYS: [f"{settled.PROCESS} has not committed past the end of the day"]} == held
        assert {} == (await settled.behind(kafka)).holds([TODAYS])


def cli(run: DevRun, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "logsync_streams.cli", *arguments],
        env={**run.environment, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_without_sample_traffic_there_is_only_what_was_sent(quiet):
    assert quiet.search("service:web-frontend") == []


def test_a_second_dev_on_the_same_folder_is_refused_in_one_sentence(quiet):
    second = DevRun(quiet.folder.parent)

    assert second.wait() == 2
    assert len(second.lines) == 1
    assert f"process {quiet.process.pid}" in second.output


def test_a_port_in_use_is_refused_in_one_sentence(quiet, tmp_path):
    ports = [quiet.kafka_port, quiet.http_port, quiet.syslog_port, quiet.query_port, quiet.web_port]
    second = DevRun(tmp_path, ports=ports)

    assert second.wait() == 2
    assert len(second.lines) == 5, second.output
    assert all("is in use" in line for line in second.lines)


def test_a_broken_store_is_refused_in_one_sentence(tmp_path):
    (tmp_path / ".logsync").mkdir()
    (tmp_path / ".logsync" / "store").write_text("not a folder")
    run = DevRun(tmp_path)

    assert run.wait() == 2
    assert len(run.lines) == 1, run.output


def test_ctrl_c_under_traffic_drains_and_the_next_start_still_has_every_log(tmp_path):
    sent = 3000
    with dev_run(tmp_path, "--rate", "20") as run:
        until(lambda: len(run.search("service:web-frontend")) >= 10, 60)
        for start in range(0, sent, 500):
            lines = b"\n".join(b'{"message":"loadword42 number %d"}' % i for i in range(start, start + 500))
            run.send(lines, "application/x-ndjson")
        run.interrupt()

        assert run.wait() == 0, run.output
        assert run.lines[-1] == "stopped: everything accepted is in the store"
    with dev_run(tmp_path, "--no-sample") as again:
        total = again.total("loadword42")
        # Offsets start again at 0 in the embedded broker: the same offset is another log.
        asyncio.run(produce(again.kafka_port, b'{"message":"foreignword42"}'))
        again.until_found("foreignword42")
        again.interrupt()

        assert total == sent
        assert again.wait() == 0, again.output


def test_a_worker_that_is_killed_is_started_again_and_loses_nothing(tmp_path):
    with dev_run(tmp_path, "--no-sample") as run:
        killed = run.children()["worker"]
        run.send(b'{"message":"before42 the kill"}')
        os.kill(killed, signal.SIGKILL)
        run.until_said("worker ended unexpectedly (signal SIGKILL)")
        run.send(b'{"message":"after42 the kill"}')
        until(lambda: answers(run), 120)
        run.until_found("before42", seconds=120)
        run.until_found("after42", seconds=120)
        run.interrupt()

        assert run.wait() == 0, run.output


def answers(run: DevRun) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{run.query_port}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def test_a_broker_that_dies_ends_everything_with_a_sentence(tmp_path):
    with dev_run(tmp_path, "--no-sample") as run:
        children = run.children()
        os.kill(children["broker"], signal.SIGKILL)

        assert run.wait() == 1
        assert "broker ended unexpectedly (signal SIGKILL)" in run.output
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children.values()), 30)


def test_a_second_ctrl_c_gives_up_and_says_how_many_are_lost(tmp_path):
    with dev_run(tmp_path, "--no-sample") as run:
        # A worker that stands still settles nothing.
        os.kill(run.children()["worker"], signal.SIGSTOP)
        run.send(b'{"message":"one"}\n{"message":"two"}', "application/x-ndjson")
        run.interrupt()
        run.until_said("2 accepted logs are on their way")
        run.interrupt()

        assert run.wait() == 1
        assert "given up: 2 accepted logs are lost" in run.output


def test_ctrl_c_while_starting_ends_at_once(tmp_path):
    run = DevRun(tmp_path)
    try:
        run.until_said("  topics ")
        run.interrupt()

        assert run.wait() == 0, run.output
    finally:
        run.kill()


def test_no_part_outlives_a_supervisor_that_is_killed(tmp_path):
    with dev_run(tmp_path, "--no-sample") as run:
        children = run.children()
        run.process.kill()
        until(lambda: not any(alive(pid) for pid in children.values()), 60)

    assert set(children) == {"broker", "collector", "worker"}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
