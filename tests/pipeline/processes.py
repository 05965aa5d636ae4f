"""Collector and worker processes as an operator would start them, to be killed, stopped and frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.servers import free_port

_UP_SECONDS = 90.0
_ROOT = Path(__file__).parents[2]


class Child:
    """One process in a session of its own. url: where its readyz is; it is up when that answers 200."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path, url: str) -> None:
        self.name, self.url, self.log = name, url, log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return when it says that it is ready; fail with the end of its log when it does not."""
        deadline = time.monotonic() + _UP_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self._process.returncode}:\n{self.log_end()}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(0.1)
        raise AssertionError(f"{self.name} is not ready after {_UP_SECONDS} s:\n{self.log_end()}")

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{self.url}/status", timeout=10).json()
        return answer

    def log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels, as the process exposes it; 0 when there is none."""
        text = httpx.get(f"{self.url}/metrics", timeout=10).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @property
    def rss_mib(self) -> float:
        """Memory that is resident now; 0 when it has ended."""
        return self._memory_mib("VmRSS:")

    @property
    def peak_rss_mib(self) -> float:
        """The most memory that was ever resident; 0 when it has ended."""
        return self._memory_mib("VmHWM:")

    def _memory_mib(self, what: str) -> float:
        if not self.alive:
            return 0.0
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what)), 0.0)

    def wait(self, within_seconds: float) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(within_seconds)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        if self.alive:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        self._process.wait()

    def stop(self, within_seconds: float = 60) -> int:
        """SIGTERM; its exit code."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        return self._process.wait(within_seconds)


class Pipeline:
    """Starts our processes against a Kafka and a store. folder: for logs and data; extra: further LOGSYNC_ settings."""

    def __init__(self, folder: Path, bootstrap: str, elasticsearch_url: str, **extra: str) -> None:
        self.folder, self.bootstrap, self.elasticsearch_url = folder, bootstrap, elasticsearch_url
        self.http_port, self.syslog_port, self.query_port = free_port(), free_port(), free_port()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LOGSYNC_")}
        self.environment = {
            **clean,
            "LOGSYNC_DATA_DIR": str(folder / "data"),
            "LOGSYNC_KAFKA__BOOTSTRAP": bootstrap,
            "LOGSYNC_KAFKA__REPLICATION_FACTOR": "1",
            "LOGSYNC_KAFKA__MIN_INSYNC_REPLICAS": "1",
            "LOGSYNC_KAFKA__SESSION_TIMEOUT_SECONDS": "6",
            "LOGSYNC_STORE__ELASTICSEARCH_URLS": elasticsearch_url,
            "LOGSYNC_STORE__REPLICAS": "0",
            "LOGSYNC_COLLECTOR__HTTP_PORT": str(self.http_port),
            "LOGSYNC_COLLECTOR__SYSLOG_UDP_PORT": str(self.syslog_port),
            "LOGSYNC_COLLECTOR__FORWARD_PORT": "0",
            "LOGSYNC_QUERY__PORT": str(self.query_port),
            "LOGSYNC_QUERY__ENABLED": "false",
            **extra,
        }
        self._children: list[Child] = []

    def worker(self, app: str = "logsync_streams", **extra: str) -> Child:
        """A worker with a web port of its own. app: another Faust app, for tests that break ours on purpose."""
        port = free_port()
        command = [sys.executable, "-m", "faust", "-A", app, "worker", "--web-port", str(port)]
        return self._start("worker", command, f"http://127.0.0.1:{port}", extra)

    def collector(self) -> Child:
        command = [sys.executable, "-m", "logsync_streams.cli", "collect"]
        return self._start("collector", command, f"http://127.0.0.1:{self.http_port}", {})

    def query(self) -> Child:
        command = [sys.executable, "-m", "logsync_streams.cli", "query"]
        return self._start("query", command, f"http://127.0.0.1:{self.query_port}", {})

    def retention(self, metrics_port: int) -> Child:
        """`logsync retention serve`; it answers once it shows metrics."""
        command = [sys.executable, "-m", "logsync_streams.cli", "retention", "serve"]
        port = {"LOGSYNC_RETENTION__METRICS_PORT": str(metrics_port)}
        return self._start("retention", command, f"http://127.0.0.1:{metrics_port}", port)

    def create_topics(self) -> None:
        command = [sys.executable, "-m", "logsync_streams.cli", "topics", "create"]
        subprocess.run(command, cwd=_ROOT, env=self.environment, check=True, capture_output=True, timeout=60)

    def close(self) -> None:
        for child in self._children:
            child.kill()

    def _start(self, name: str, command: list[str], url: str, extra: dict[str, str]) -> Child:
        log = self.folder / f"{name}-{len(self._children)}.log"
        child = Child(name, command, {**self.environment, **extra}, log, url)
        self._children.append(child)
        return child
