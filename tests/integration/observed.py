"""A running system with a Prometheus that scrapes it every second, for the tests of what operators look at."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.fetch import ELASTICSEARCH_VERSION
from deploy.monitoring import PrometheusServer
from deploy.servers import free_port
from tests.monitoring import start
from tests.pipeline.kafka_truth import reset
from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Child, Pipeline
from tests.servers.shared import SharedServers
from tests.servers.wiping import wipe

POLICY = {"retention_days": 7, "archive_to_s3": True, "s3_bucket": "logs", "s3_prefix": "archive"}
# Secrets that the processes get, and nobody may see; these servers ask for none.
CANARY = "canary-7f3a9"
SECRETS = ("LOGSYNC_STORE__PASSWORD", "LOGSYNC_COLLECTOR__FORWARD_SHARED_KEY")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Observed:
    """collector and worker (with the query API) run; prometheus scrapes them, and the retention once it is started."""

    def __init__(
        self, pipeline: Pipeline, prometheus: PrometheusServer, collector: Child, worker: Child, retention_port: int
    ) -> None:
        self.pipeline, self.prometheus = pipeline, prometheus
        self.collector, self.worker, self._retention_port = collector, worker, retention_port
        self.query_url = f"http://127.0.0.1:{pipeline.query_port}"

    def query_api_answers(self) -> bool:
        """It starts with the worker, and may be behind its other parts."""
        try:
            return httpx.get(f"{self.query_url}/readyz", timeout=20).status_code == 200
        except httpx.TransportError:
            return False

    def start_retention(self) -> Child:
        """It archives what is older than a week to a folder, and looks every few seconds."""
        child = self.pipeline.retention(self._retention_port)
        child.wait_until_ready()
        return child

    def send(self, number: int, **fields: Any) -> None:
        """Post this many events alike."""
        body = "\n".join(json.dumps({"message": f"event {i}", **fields}) for i in range(number))
        headers = {"content-type": "application/x-ndjson"}
        answer = httpx.post(f"{self.collector.url}/api/logs", content=body, headers=headers, timeout=30)
        assert answer.status_code == 202, answer.text

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The samples that Prometheus has for an expression now; fails when it refuses the expression."""
        answer = httpx.get(f"{self.prometheus.url}/api/v1/query", params={"query": expression}, timeout=20).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        result: list[dict[str, Any]] | tuple[float, str] = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [{"metric": {}, "value": result}]
        return list(result)  # type: ignore[arg-type]  # a vector


@contextmanager
def observed(folder: Path, servers: SharedServers, rules: dict[str, str], alertmanager: str = "") -> Iterator[Observed]:
    """Everything started. rules: file name -> rules; alertmanager: its host and port."""
    kafka, elasticsearch = servers.kafka(), servers.elasticsearch(ELASTICSEARCH_VERSION)
    wipe(elasticsearch.url)
    reset(kafka.bootstrap)
    policies = folder / "policies.json"
    policies.write_text(json.dumps({"retention_policies": {"default": POLICY}}))
    extra = {
        "LOGSYNC_QUERY__ENABLED": "true",
        "LOGSYNC_LOG_FORMAT": "json",
        "LOGSYNC_RETENTION__POLICIES_FILE": str(policies),
        "LOGSYNC_RETENTION__ARCHIVE_FOLDER": str(folder / "archive"),
        "LOGSYNC_RETENTION__GRACE_HOURS": "0",
        "LOGSYNC_RETENTION__INTERVAL_HOURS": "0.001",
        **dict.fromkeys(SECRETS, CANARY),
        "LOGSYNC_STORE__USERNAME": "nobody",
    }
    retention_port = free_port()
    pipeline = Pipeline(folder, kafka.bootstrap, elasticsearch.url, **extra)
    prometheus = None
    try:
        pipeline.create_topics()
        collector, worker = pipeline.collector(), pipeline.worker()
        for child in (collector, worker):
            child.wait_until_ready()
        home = folder / "prometheus"
        (home / "rules").mkdir(parents=True)
        for name, text in rules.items():
            (home / "rules" / name).write_text(text)
        jobs = {
            "logsync-collector": collector.url,
            "logsync-worker": worker.url,
            "logsync-retention": f"http://127.0.0.1:{retention_port}",
        }
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules/*.yml"],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [url.removeprefix("http://")]}]}
                for job, url in jobs.items()
            ],
        }
        if alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
        prometheus = PrometheusServer(home, yaml.safe_dump(config))
        running = Observed(pipeline, start(prometheus), collector, worker, retention_port)
        eventually(running.query_api_answers, 60, "the query API beside the worker")
        yield running
    finally:
        if prometheus is not None:
            prometheus.kill()
        pipeline.close()


def now_iso(seconds: float = 0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
