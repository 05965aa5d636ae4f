"""Apache Kafka and Elasticsearch as processes on loopback ports, for `make stack` and for the tests.

Each has a folder of its own with its data and its log; start() after stop() or kill() uses the same data and ports.
"""

from __future__ import annotations

import abc
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from pathlib import Path

from deploy.fetch import ELASTICSEARCH_VERSION, MissingTool, elasticsearch_archive, java_home, kafka_libraries

_UP_SECONDS = 300  # generous: few cores may be busy with other things
_DOWN_SECONDS = 30
_USER = "logsync-es"  # Elasticsearch refuses to run as root


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

    folder: where it keeps everything; log_path: its output.
    """

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_path = folder / "output.log"
        self._log_start = 0  # where the present process's output begins
        self._process: subprocess.Popen[bytes] | None = None

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
        self._process.wait()
        self._process = None

    def _log_end(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-25:])


class KafkaServer(Server):
    """One Kafka broker in KRaft mode, its own controller. bootstrap: its address."""

    def __init__(self, folder: Path, *, port: int | None = None, heap_mib: int = 512) -> None:
        super().__init__(folder)
        self.name = "Kafka"
        self.port = port or free_port()
        self._controller_port = free_port()
        self._heap_mib = heap_mib

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _java(self, *arguments: str) -> list[str]:
        java = java_home(17) / "bin" / "java"
        return [str(java), "-cp", f"{kafka_libraries()}/*", *arguments]

    def _prepare(self) -> None:
        config = self.folder / "server.properties"
        listeners = f"PLAINTEXT://{self.bootstrap}"
        controller = f"127.0.0.1:{self._controller_port}"
        values = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"{listeners},CONTROLLER://{controller}",
            "advertised.listeners": listeners,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.backoff.ms": "1000",  # tests wait for compaction
            "auto.create.topics.enable": "false",  # a misspelt topic must be an error, as on a well-kept cluster
        }
        config.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        if not (self.folder / "data" / "meta.properties").exists():
            cluster = uuid.uuid4().hex[:22]
            command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config))
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise OSError(f"Kafka's data folder could not be made: {done.stdout}{done.stderr}")

    def _command(self) -> tuple[list[str], dict[str, str], pwd.struct_passwd | None]:
        options = [f"-Xms{self._heap_mib}m", f"-Xmx{self._heap_mib}m", "-Dorg.apache.logging.log4j.level=INFO"]
        return self._java(*options, "kafka.Kafka", str(self.folder / "server.properties")), {}, None

    def _answers(self) -> bool:
        # The socket listens before the broker has joined its controller: a client would be answered, and disappointed.
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return b"Kafka Server started" in log.read() and _listens(self.port)


class ElasticsearchServer(Server):
    """One node of Elasticsearch, security off. url: its address."""

    def __init__(
        self, folder: Path, *, version: str = ELASTICSEARCH_VERSION, port: int | None = None, heap_mib: int = 512
    ) -> None:
        super().__init__(folder)
        self.name = f"Elasticsearch {version}"
        self.version = version
        self.port = port or free_port()
        self._transport_port = free_port()
        self._heap_mib = heap_mib
        self._home = folder / f"elasticsearch-{version}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _prepare(self) -> None:
        if not self._home.is_dir():
            _unpack(elasticsearch_archive(self.version), self.folder)
        values = {
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": str(self.port),
            "transport.port": str(self._transport_port),
            "path.data": str(self.folder / "data"),
            # A developer's nearly full disk must not make the tests fail.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }
        if not self.version.startswith("7."):
            values["xpack.security.enabled"] = "false"
        (self._home / "config" / "elasticsearch.yml").write_text("".join(f"{k}: {v}\n" for k, v in values.items()))
        for needed in (self._home / "logs", self.folder / "data"):  # 7.10 dies without its logs folder
            needed.mkdir(exist_ok=True)
        if (user := _unprivileged_user()) is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)

    def _command(self) -> tuple[list[str], dict[str, str], pwd.struct_passwd | None]:
        major = int(self.version.split(".")[0])
        home = str(java_home(21) if major >= 9 else java_home(17, 21))
        environment = {
            "ES_JAVA_HOME": home,
            "JAVA_HOME": home,  # what 7.10 reads
            "ES_JAVA_OPTS": f"-Xms{self._heap_mib}m -Xmx{self._heap_mib}m",
            "ES_TMPDIR": "",
        }
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        user = _unprivileged_user()
        if user is not None:
            os.chown(temporary, user.pw_uid, user.pw_gid)
        environment["ES_TMPDIR"] = str(temporary)
        return [str(self._home / "bin" / "elasticsearch")], environment, user

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


def server_folder(name: str) -> Path:
    """A new folder for a server. As root not in the user's cache, which Elasticsearch's user could not enter."""
    base = Path("/var/tmp") if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix=f"logsync-{name}-", dir=base))
    folder.chmod(0o755)
    return folder


def _unprivileged_user() -> pwd.struct_passwd | None:
    """None when we are not root; else a system user of our own, made when it is not there."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_USER)
    except KeyError:
        pass
    useradd = shutil.which("useradd")
    if useradd is None:
        raise MissingTool(f"Elasticsearch does not run as root and useradd was not found: make a user {_USER} by hand")
    nologin = shutil.which("nologin") or "/bin/false"
    command = [useradd, "--system", "--no-create-home", "--shell", nologin, _USER]
    subprocess.run(command, check=False, capture_output=True)  # another process may have made it meanwhile
    return pwd.getpwnam(_USER)


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
        for entry in packed.infolist():  # zipfile leaves out the modes; the scripts must be executable
            if mode := entry.external_attr >> 16 & 0o777:
                (folder / entry.filename).chmod(mode)


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


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
