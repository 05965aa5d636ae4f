"""A real `logsync dev` in a folder and on ports of its own, for tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

READY_SECONDS = 180.0
STOP_SECONDS = 60.0


def free_ports(count: int) -> list[int]:
    """Ports that were free for TCP and UDP a moment ago."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            tcp = socket.socket()
            held.append(tcp)
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held.append(udp)
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
    finally:
        for one in held:
            one.close()
    return ports


class DevRun:
    """The running command, what it has printed so far, and its addresses."""

    def __init__(self, folder: Path, *arguments: str, ports: list[int] | None = None, **settings: str) -> None:
        self.kafka_port, self.http_port, self.syslog_port, self.query_port, self.web_port = ports or free_ports(5)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LOGSYNC_")}
        self.environment = {
            **clean,
            "LOGSYNC_DATA_DIR": str(folder / ".logsync"),
            "LOGSYNC_KAFKA__BOOTSTRAP": f"127.0.0.1:{self.kafka_port}",
            "LOGSYNC_COLLECTOR__HTTP_PORT": str(self.http_port),
            "LOGSYNC_COLLECTOR__SYSLOG_UDP_PORT": str(self.syslog_port),
            "LOGSYNC_COLLECTOR__DOORS": "syslog-udp",
            "LOGSYNC_QUERY__PORT": str(self.query_port),
            "LOGSYNC_WEB__PORT": str(self.web_port),
            **settings,
        }
        self.folder = folder / ".logsync"
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logsync_streams.cli", "dev", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        if self.process.stdout is None:
            raise RuntimeError("the output is not a pipe")
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def until_said(self, text: str, seconds: float = READY_SECONDS) -> None:
        """Returns once a line with the text was printed; AssertionError with all output when it was not."""
        deadline = time.monotonic() + seconds
        while not any(text in line for line in self.lines):
            if time.monotonic() > deadline or (self.process.poll() is not None and not self._reader.is_alive()):
                raise AssertionError(f"{text!r} was not said:\n{self.output}\n{self.own_words()}")
            time.sleep(0.05)

    def until_ready(self) -> None:
        self.until_said("ready (")

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """The exit code."""
        code = self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()  # its children end with it
            self.wait()

    def own_words(self) -> str:
        """The last lines of the parts' logs."""
        logs = sorted((self.folder / "log").glob("*.log"))
        return "\n".join(f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-20:]) for log in logs)

    def children(self) -> dict[str, int]:
        """Process ids by part."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it ended meanwhile
            if parent == self.process.pid:
                part = "broker" if "tansu" in command else "worker" if "faust" in command else "collector"
                found[part] = int(folder.name)
        return found

    def send(self, content: bytes, kind: str = "application/json") -> None:
        """POST to the HTTP door; raises unless it was accepted."""
        url = f"http://127.0.0.1:{self.http_port}/api/logs"
        httpx.post(url, content=content, headers={"content-type": kind}, timeout=30).raise_for_status()

    def search(self, q: str, **parameters: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self.query_port}/api/logs/search"
        answer = httpx.get(url, params={"q": q, **parameters}, timeout=30)
        answer.raise_for_status()
        hits: list[dict[str, Any]] = answer.json()["hits"]
        return hits

    def total(self, q: str) -> int:
        """How many logs the query finds."""
        url = f"http://127.0.0.1:{self.query_port}/api/logs/search"
        value: int = httpx.get(url, params={"q": q, "limit": "1"}, timeout=30).json()["total"]["value"]
        return value

    def until_found(self, q: str, count: int = 1, seconds: float = 60) -> list[dict[str, Any]]:
        """The hits, once there are so many."""
        hits: list[dict[str, Any]] = []
        until(lambda: len(hits := self.search(q, limit="1000")) >= count, seconds, lambda: f"{q!r}: {len(hits)} found")
        return self.search(q, limit="1000")

    def worker_status(self) -> dict[str, Any]:
        status: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.web_port}/status", timeout=30).json()
        return status


def until(condition: Callable[[], bool], seconds: float, explain: Callable[[], str] = lambda: "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s {explain()}")
        time.sleep(0.1)


@contextmanager
def dev_run(folder: Path, *arguments: str, ports: list[int] | None = None, **settings: str) -> Iterator[DevRun]:
    """A `logsync dev` that has printed "ready"; killed at the end when the test did not stop it."""
    run = DevRun(folder, *arguments, ports=ports, **settings)
    try:
        run.until_ready()
        yield run
    finally:
        run.kill()
