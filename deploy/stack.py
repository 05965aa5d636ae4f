"""`make stack`: Apache Kafka and Elasticsearch on this machine, kept running until `make stack-stop`.

    python deploy/stack.py start|stop|status

What points a worker at them is printed and written to the file `env` in the cache folder. Only the standard library.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: make `deploy` importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from deploy.fetch import MissingTool, cache_folder
from deploy.servers import ElasticsearchServer, KafkaServer, Server, group_lives, port_or_free, server_folder

_STOP_SECONDS = 60


def main(arguments: list[str]) -> int:
    """The exit status: 0 done, 1 a server failed or does not run, 2 wrong usage or something is missing."""
    commands = {"start": start, "stop": stop, "status": status}
    if len(arguments) != 1 or arguments[0] not in commands:
        print("usage: python deploy/stack.py start|stop|status", file=sys.stderr)
        return 2
    try:
        return commands[arguments[0]]()
    except MissingTool as missing:
        print(missing, file=sys.stderr)
        return 2
    except OSError as failed:
        print(failed, file=sys.stderr)
        return 1


def start() -> int:
    """Start what does not run yet, and print the settings of a worker that uses it."""
    running = _running()
    if len(running) == 2:
        print(_environment_file().read_text(), end="")
        return 0
    stop()
    kafka = KafkaServer(server_folder("stack-kafka"), port=port_or_free(9092))
    elasticsearch = ElasticsearchServer(server_folder("stack-elasticsearch"), port=port_or_free(9200))
    servers: list[Server] = []
    try:
        starting: tuple[Server, ...] = (kafka, elasticsearch)
        for server in starting:
            print(f"{server.name}: starting (the first time it is fetched with Maven) …", file=sys.stderr)
            servers.append(server)
            server.outlives_us = True
            server.start()
            _write_state(servers)
            print(f"{server.name}: up, its log is {server.log_path}", file=sys.stderr)
    except BaseException:  # Ctrl-C too: nothing may be left running that no pid file names
        for server in servers:
            server.remove()
        _state_file().unlink(missing_ok=True)
        raise
    settings = {
        "LOGSYNC_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "LOGSYNC_KAFKA__REPLICATION_FACTOR": "1",
        "LOGSYNC_KAFKA__MIN_INSYNC_REPLICAS": "1",
        "LOGSYNC_STORE__ELASTICSEARCH_URLS": elasticsearch.url,
        "LOGSYNC_STORE__REPLICAS": "0",
    }
    _environment_file().write_text("".join(f"export {name}={value}\n" for name, value in settings.items()))
    print(_environment_file().read_text(), end="")
    print(f"these settings are also in {_environment_file()}: source it", file=sys.stderr)
    return 0


def stop() -> int:
    """End what runs, by the process ids that were written down, and remove its data."""
    entries, running = _read_state(), _running()
    for entry in running:
        print(f"{entry['name']}: stopping", file=sys.stderr)
        os.killpg(entry["pid"], signal.SIGTERM)
    for entry in running:
        deadline = time.monotonic() + _STOP_SECONDS
        while group_lives(entry["pid"]) and time.monotonic() < deadline:
            time.sleep(0.1)
        if group_lives(entry["pid"]):
            os.killpg(entry["pid"], signal.SIGKILL)
    for entry in entries:
        shutil.rmtree(entry["folder"], ignore_errors=True)
    _state_file().unlink(missing_ok=True)
    _environment_file().unlink(missing_ok=True)
    return 0


def status() -> int:
    """One line a server; 0 when both run."""
    running = _running()
    for entry in running:
        print(f"{entry['name']}: {entry['address']}, pid {entry['pid']}, log {entry['folder']}/output.log")
    if not running:
        print("nothing runs: make stack")
    return 0 if len(running) == 2 else 1


def _running() -> list[dict[str, Any]]:
    """The entries whose process is still the one that was started, not another that has got its number."""
    return [
        entry for entry in _read_state() if group_lives(entry["pid"]) and _started(entry["pid"]) == entry["started"]
    ]


def _write_state(servers: list[Server]) -> None:
    entries = []
    for server in servers:
        address = server.bootstrap if isinstance(server, KafkaServer) else getattr(server, "url", "")
        entries.append(
            {
                "name": server.name,
                "pid": server.pid,
                "started": _started(server.pid or 0),
                "folder": str(server.folder),
                "address": address,
            }
        )
    _state_file().write_text(json.dumps(entries, indent=1))


def _read_state() -> list[dict[str, Any]]:
    try:
        entries: list[dict[str, Any]] = json.loads(_state_file().read_text())
    except FileNotFoundError:
        return []
    return entries


def _started(pid: int) -> str:
    """The process's start time in ticks since boot; "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _state_file() -> Path:
    return cache_folder() / "stack.json"


def _environment_file() -> Path:
    return cache_folder() / "env"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
