"""What must be true before `logsync dev` starts anything, each failure one sentence that says what to do."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import CollectorSettings, Settings


@dataclass(frozen=True, slots=True)
class Address:
    """Where a part will listen. setting: the variable that moves it."""

    part: str
    host: str
    port: int
    setting: str
    udp: bool = False


def addresses(settings: Settings) -> list[Address]:
    """Every address that the parts of `logsync dev` listen on."""
    host, _, port = settings.kafka.bootstrap[0].rpartition(":")
    collector, query, web = settings.collector, settings.query, settings.web
    return [
        Address("the embedded broker", host, int(port), "LOGSYNC_KAFKA__BOOTSTRAP=127.0.0.1:PORT"),
        Address("the HTTP door", collector.http_host, collector.http_port, "LOGSYNC_COLLECTOR__HTTP_PORT=PORT"),
        Address(
            "the syslog UDP door",
            collector.syslog_host,
            collector.syslog_udp_port,
            "LOGSYNC_COLLECTOR__SYSLOG_UDP_PORT=PORT",
            udp=True,
        ),
        *_further_doors(collector),
        Address("the query API", query.host, query.port, "LOGSYNC_QUERY__PORT=PORT"),
        Address("the worker's web views", web.host, web.port, "LOGSYNC_WEB__PORT=PORT"),
    ]


def _further_doors(collector: CollectorSettings) -> list[Address]:
    found = []
    if "syslog-tcp" in collector.doors:
        own = collector.syslog_tcp_port is not None
        setting = f"LOGSYNC_COLLECTOR__SYSLOG_{'TCP' if own else 'UDP'}_PORT=PORT"
        found.append(Address("the syslog TCP door", collector.syslog_host, collector.tcp_port, setting))
    if "forward" in collector.doors:
        setting = "LOGSYNC_COLLECTOR__FORWARD_PORT=PORT"
        found.append(Address("the Fluent forward door", collector.forward_host, collector.forward_port, setting))
    return found


def check_ports(wanted: list[Address]) -> None:
    """Raises ConfigurationError with a line for each address that cannot be listened on, or that is asked for twice."""
    problems = []
    seen: dict[tuple[int, bool], str] = {}
    for address in wanted:
        kind = "UDP port" if address.udp else "port"
        move = f"choose another with {address.setting}"
        if address.port == 0:
            problems.append(f"{address.part} needs a fixed {kind} under `logsync dev`: {move}")
        elif (address.port, address.udp) in seen:
            other = seen[address.port, address.udp]
            problems.append(f"{kind} {address.port} is given to {other} and to {address.part}: {move}")
        elif (refused := _refusal(address)) is not None:
            problems.append(
                f"{kind} {address.port} on {address.host} ({address.part}) {refused}: stop what listens there or {move}"
            )
        seen.setdefault((address.port, address.udp), address.part)
    if problems:
        raise ConfigurationError(problems)


def _refusal(address: Address) -> str | None:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    kind = socket.SOCK_DGRAM if address.udp else socket.SOCK_STREAM
    with socket.socket(family, kind) as trial:
        if not address.udp:
            # As servers do: connections of the last run that linger are no listener.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address.host, address.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is in use"
            return f"cannot be listened on ({os.strerror(error.errno or 0).lower()})"
    return None


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Holds the data folder for one `logsync dev`. Raises ConfigurationError: not usable, or held by another."""
    try:
        (folder / "log").mkdir(parents=True, exist_ok=True)
        lock = open(folder / "dev.lock", "a+")  # noqa: SIM115 - closed below; opening is what may fail here
    except OSError as error:
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
        raise ConfigurationError(
            [
                f"the data folder {str(folder)!r} cannot be used ({reason}): make it writable, or choose another with "
                "LOGSYNC_DATA_DIR=FOLDER"
            ]
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            raise ConfigurationError(
                [
                    f"another `logsync dev` (process {pid}) runs on the data folder {str(folder)!r}: stop it, or "
                    "choose another folder with LOGSYNC_DATA_DIR=FOLDER (and other ports)"
                ]
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
