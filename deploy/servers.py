"""Apache Kafka and Elasticsearch as processes on loopback ports, for `make stack` and for the tests.

Each has a folder of its own with its data and its log; start() after stop() or kill() uses the same data and ports.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid
import zipfile
from pathlib import Path

from deploy.fetch import ELASTICSEARCH_VERSION, MissingTool, elasticsearch_archive, java_home, kafka_libraries
from deploy.server_process import Server, free_port, group_lives, listens, port_or_free

__all__ = [
    "ElasticsearchServer",
    "KafkaServer",
    "Server",
    "free_port",
    "group_lives",
    "port_or_free",
    "server_folder",
]

_USER = "logsync-es"  # Elasticsearch refuses to run as root


class KafkaServer(Server):
    """One Kafka broker in KRaft mode, its own controller. bootstrap: its address. As one of a cluster (kafka_cluster)
    it knows the ids and controllers of all, and is up only with a majority of them.
    """

    def __init__(self, folder: Path, *, port: int | None = None, heap_mib: int = 512) -> None:
        super().__init__(folder)
        self.name = "Kafka"
        self.port = port or free_port()
        self._heap_mib = heap_mib
        self._node_id = 1
        self._controllers = {self._node_id: free_port()}
        self._cluster_id = uuid.uuid4().hex[:22]

    def join(self, node_id: int, controllers: dict[int, int], cluster_id: str) -> None:
        """Make it one of a cluster, before its first start. controllers: each node's controller port."""
        self.name = f"Kafka {node_id}"
        self._node_id, self._controllers, self._cluster_id = node_id, controllers, cluster_id

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _java(self, *arguments: str) -> list[str]:
        java = java_home(17) / "bin" / "java"
        return [str(java), "-cp", f"{kafka_libraries()}/*", *arguments]

    def _prepare(self) -> None:
        config = self.folder / "server.properties"
        listeners = f"PLAINTEXT://{self.bootstrap}"
        controllers = {node: f"127.0.0.1:{port}" for node, port in self._controllers.items()}
        copies = min(3, len(controllers))
        values = {
            "process.roles": "broker,controller",
            "node.id": str(self._node_id),
            "controller.quorum.voters": ",".join(f"{node}@{address}" for node, address in controllers.items()),
            "listeners": f"{listeners},CONTROLLER://{controllers[self._node_id]}",
            "advertised.listeners": listeners,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "offsets.topic.replication.factor": str(copies),
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": str(copies),
            "transaction.state.log.min.isr": str(max(1, copies - 1)),
            "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.backoff.ms": "1000",  # tests wait for compaction
            "auto.create.topics.enable": "false",  # a misspelt topic must be an error, as on a well-kept cluster
        }
        config.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        if not (self.folder / "data" / "meta.properties").exists():
            command = self._java("kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c", str(config))
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
            return b"Kafka Server started" in log.read() and listens(self.port)


class ElasticsearchServer(Server):
    """One node of Elasticsearch, security off. url: its address. It may be one of a cluster (elasticsearch_cluster)."""

    def __init__(
        self, folder: Path, *, version: str = ELASTICSEARCH_VERSION, port: int | None = None, heap_mib: int = 512
    ) -> None:
        super().__init__(folder)
        self.name = f"Elasticsearch {version}"
        self.version = version
        self.port = port or free_port()
        self.transport_port = free_port()
        self._node_name = "node-1"
        self._cluster: dict[str, int] = {}  # node -> transport port; empty: alone
        self._heap_mib = heap_mib
        self._home = folder / f"elasticsearch-{version}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def join(self, node_name: str, cluster: dict[str, int]) -> None:
        """Make it one of a cluster, before its first start. cluster: each node's transport port, the first elected."""
        self.name = f"Elasticsearch {self.version} {node_name}"
        self._node_name, self._cluster = node_name, cluster

    def _membership(self) -> dict[str, str]:
        if not self._cluster:
            return {"discovery.type": "single-node"}
        first = next(iter(self._cluster))
        seeds = ", ".join(f'"127.0.0.1:{port}"' for port in self._cluster.values())
        return {
            "cluster.name": f"logsync-{self._cluster[first]}",
            "node.name": self._node_name,
            "discovery.seed_hosts": f"[{seeds}]",
            "cluster.initial_master_nodes": f'["{first}"]',
            # Two nodes have no majority without the other: the second only keeps data, as in a small real cluster.
            "node.roles": "[master, data, ingest]" if self._node_name == first else "[data, ingest]",
        }

    def _prepare(self) -> None:
        if not self._home.is_dir():
            _unpack(elasticsearch_archive(self.version), self.folder)
        values = {
            **self._membership(),
            "network.host": "127.0.0.1",
            "http.port": str(self.port),
            "transport.port": str(self.transport_port),
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
