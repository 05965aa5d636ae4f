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
from tests.monitoring import start
from tests.pipeline.kafka_truth import reset
from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Child, Pipeline
from tests.servers.shared import SharedServers
from tests.servers.wiping import wipe

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Observed:
    """collector and worker (with the query API) run; prometheus scrapes them."""

    def __init__(self, pipeline: Pipeline, prometheus: PrometheusServer, collector: Child, worker: Child) -> None:
        self.pipeline, self.prometheus = pipeline, prometheus
        self.collector, self.worker = collector, worker
        self.query_url = f"http://127.0.0.1:{pipeline.query_port}"

    def query_api_answers(self) -> bool:
        """It starts with the worker, and may be behind its other parts."""
        try:
            return httpx.get(f"{self.query_url}/readyz", timeout=20).status_code == 200
        except httpx.TransportError:
            return False

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
    extra = {"LOGSYNC_QUERY__ENABLED": "true", "LOGSYNC_LOG_FORMAT": "json"}
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
        jobs = {"logsync-collector": collector, "logsync-worker": worker}
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules/*.yml"],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [child.url.removeprefix("http://")]}]}
                for job, child in jobs.items()
            ],
        }
        if alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
        prometheus = PrometheusServer(home, yaml.safe_dump(config))
        running = Observed(pipeline, start(prometheus), collector, worker)
        eventually(running.query_api_answers, 60, "the query API beside the worker")
        yield running
    finally:
        if prometheus is not None:
            prometheus.kill()
        pipeline.close()


def now_iso(seconds: float = 0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
