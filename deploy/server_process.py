"""A server as a process of its own on a loopback port: started until it answers, stopped, killed, frozen."""

from __future__ import annotations

import abc
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_UP_SECONDS = 300  # generous: few cores may be busy with other things
_DOWN_SECONDS = 30
# Ends a process group when its own input ends: with the process that holds the other end, however that one ends.
_WATCH = 'cat >/dev/null; kill -KILL "-$0"'


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_or_free(wanted: int) -> int:
    """`wanted`, or another port when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return wanted


class Server(abc.ABC):
    """One server process in a session of its own, so that a signal reaches it with all its children.

    folder: where it keeps everything; log_path: its output. outlives_us: it runs on when this process ends; else it is
    killed with it, also when this process is killed.
    """

    name: str
    outlives_us = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_path = folder / "output.log"
        self._log_start = 0  # where the present process's output begins
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def _prepare(self) -> None:
        """Make what the process needs, once."""

    @abc.abstractmethod
    def _command(self) -> tuple[list[str], dict[str, str], pwd.struct_passwd | None]:
        """The command, what is added to its environment, and the user to run it as (None: ours)."""

    @abc.abstractmethod
    def _answers(self) -> bool:
        """True once the server takes requests."""

    @property
    def pid(self) -> int | None:
        """The process to end, which leads the process group; None when it is not running."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Return when the server takes requests. Raises MissingTool, OSError with the end of its log."""
        if self.pid is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._prepare()
        command, environment, user = self._command()
        with self.log_path.open("ab") as log:
            self._log_start = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )
        if not self.outlives_us:
            watch = ["/bin/sh", "-c", _WATCH, str(self._process.pid)]
            self._watch = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True)
        deadline = time.monotonic() + _UP_SECONDS
        while not self._answers():
            if self.pid is None or time.monotonic() > deadline:
                self.kill()
                raise OSError(f"{self.name} did not come up; the end of {self.log_path}:\n{self._log_end()}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End it in order; by force when it does not end in time."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it in order and start it on the same data and ports."""
        self.stop()
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(number)
        self._signal(signal.SIGCONT)
        deadline = time.monotonic() + _DOWN_SECONDS
        # Elasticsearch's launcher may end before the server that it started.
        while time.monotonic() < deadline and (self._process.poll() is None or group_lives(self._process.pid)):
            time.sleep(0.05)
        self._signal(signal.SIGKILL)
        if self._watch is not None:  # before the group's number may be another's
            self._watch.kill()
            self._watch.communicate()
            self._watch = None
        self._process.wait()
        self._process = None

    def _log_end(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-25:])


def start_all(servers: Iterable[Server]) -> None:
    """Start them at the same time; return when all take requests. Raises what the first that failed raised."""
    with ThreadPoolExecutor() as pool:
        for started in [pool.submit(server.start) for server in servers]:
            started.result()


def group_lives(group: int) -> bool:
    """True while a process of this group runs; one that has ended and waits for its parent does not count."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        if int(its_group) == group and state != "Z":
            return True
    return False


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
