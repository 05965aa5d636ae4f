"""Who is measured: each is a command line that consumes a topic and stores into the stand-in."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.load import Form, Identity
from deploy.servers import free_port

METERED_FILE_VARIABLE = "BENCH_METERED_FILE"  # where bench/metered.py tells what it metered


class Missing(Exception):
    """A row cannot be run here: what it compares with is not installed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run happens. folder: its own; bootstrap, topic: what it consumes; store_port: the stand-in's."""

    folder: Path
    bootstrap: str
    topic: str
    store_port: int

    @property
    def store_url(self) -> str:
        return f"http://127.0.0.1:{self.store_port}"


@dataclass(frozen=True, slots=True)
class Command:
    """status_ports: where several workers that share the work tell of their partitions."""

    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    status_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Contender:
    """name: in the table. form: what its topic holds. identity: under which ids it stores. version: asked once.
    one_broken_in: so many of its events have one among them that cannot be read; 0 for none. latency_ms: of the
    stand-in's answers.
    """

    name: str
    form: Form
    identity: Identity
    command: Callable[[Place], Command]
    version: Callable[[], str]
    one_broken_in: int = 0
    latency_ms: int = 0


def ours(form: Form, *, one_broken_in: int = 0) -> Contender:
    """The worker with roles process and index, everything on but the query API."""
    name = f"LogSync Streams, 1 in {one_broken_in} broken" if one_broken_in else "LogSync Streams"
    return Contender(name, form, "event", _worker, _our_version, one_broken_in)


def ours_counting(*, counting: bool) -> Contender:
    """The worker with all three roles, or without the count of anything (bench/uncounted.py) and that role."""
    if not counting:
        return Contender("not counting", "envelopes", "event", partial(_worker, module="bench.uncounted"), _our_version)
    return Contender("counting", "envelopes", "event", partial(_worker, roles="process,index,count"), _our_version)


def ours_slow_store(workers: int, latency_ms: int) -> Contender:
    """One worker or several, with a store that takes its time to answer."""
    name = f"{workers} worker{'s' * (workers > 1)}"
    return Contender(name, "envelopes", "event", partial(_workers, number=workers), _our_version, latency_ms=latency_ms)


def everything_on(place: Place) -> Command:
    """The worker as it is by default: all roles, and the query API beside them."""
    return _worker(place, roles="process,index,count", more={"QUERY__ENABLED": "true", "QUERY__PORT": str(free_port())})


def hand_loop(form: Form) -> Contender:
    """bench/handloop.py."""

    def command(place: Place) -> Command:
        return Command(
            [
                *(sys.executable, "-m", "bench.handloop", "--bootstrap", place.bootstrap, "--topic", place.topic),
                *("--group", place.topic, "--url", place.store_url, "--form", form),
            ]
        )

    return Contender("hand-written loop", form, "event", command, lambda: f"Python {sys.version.split()[0]}")


def rsyslog() -> Contender:
    """Debian's rsyslog with imkafka and omelasticsearch. Raises Missing."""
    return Contender("rsyslog", "records", "request", _rsyslog_command, rsyslog_version)


def rsyslog_version() -> str:
    """The first line that it prints of itself. Raises Missing naming the package."""
    binary, environment = _rsyslog()
    done = subprocess.run([binary, "-v"], env=environment, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()[:2])


def _workers(place: Place, number: int) -> Command:
    """Several workers as one process tree: a shell that waits for them."""
    commands = [_worker(replace(place, folder=place.folder / str(one)), port=free_port()) for one in range(number)]
    shown = [
        shlex.join(["env", *(f"{name}={value}" for name, value in command.environment.items()), *command.arguments])
        for command in commands
    ]
    ports = tuple(port for command in commands for port in command.status_ports)
    return Command(["/bin/sh", "-c", " & ".join(shown) + " & wait"], status_ports=ports)


def _worker(
    place: Place,
    *,
    roles: str = "process,index",
    module: str = "logsync_streams",
    port: int = 0,
    more: Mapping[str, str] | None = None,
) -> Command:
    faust = str(Path(sys.executable).with_name("faust"))
    port = port or free_port()
    settings = {
        "ROLES": roles,
        "DATA_DIR": str(place.folder / "data"),
        "KAFKA__BOOTSTRAP": place.bootstrap,
        "KAFKA__RAW_TOPICS": place.topic,
        "KAFKA__REPLICATION_FACTOR": "1",
        "KAFKA__MIN_INSYNC_REPLICAS": "1",
        "STORE__ELASTICSEARCH_URLS": place.store_url,
        "STORE__REPLICAS": "0",
        "QUERY__ENABLED": "false",
        "WEB__PORT": str(port),
        **(more or {}),
    }
    environment = {f"LOGSYNC_{name}": value for name, value in settings.items()}
    return Command([faust, "-A", module, "worker", "--loglevel", "warn"], environment, (port,))


def _our_version() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    done = subprocess.run([git, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return f"commit {done.stdout.strip()}"


# What performance.md's table did: drop DEBUG of production, add two fields, store in bulks of 2,000 by `create`.
_RSYSLOG = """\
module(load="imkafka")
module(load="mmjsonparse")
module(load="omelasticsearch")
global(workDirectory="{folder}" maxMessageSize="256k")
main_queue(queue.type="LinkedList")
template(name="document" type="string" string="%$!%")
template(name="id" type="string" string="%$!metadata!request_id%")
ruleset(name="bench" queue.type="LinkedList" queue.size="20000" queue.dequeueBatchSize="2000"
        queue.workerThreads="1") {{
  action(type="mmjsonparse" cookie="")
  if ($!level == "DEBUG" and $!environment == "production") then stop
  set $!ingested = $timegenerated;
  set $!pipeline = "rsyslog";
  action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" searchIndex="logsync-default" searchType=""
         bulkmode="on" maxbytes="10m" writeoperation="create" dynbulkid="on" bulkid="id" template="document"
         action.resumeRetryCount="-1" action.resumeInterval="1")
}}
input(type="imkafka" topic="{topic}" broker="{broker}" consumergroup="{topic}" ruleset="bench"
      confParam=["auto.offset.reset=earliest", "session.timeout.ms=60000"])
"""


def _rsyslog_command(place: Place) -> Command:
    binary, environment = _rsyslog()
    config = place.folder / "rsyslog.conf"
    config.write_text(
        _RSYSLOG.format(folder=place.folder, port=place.store_port, topic=place.topic, broker=place.bootstrap)
    )
    modules = ":".join(map(str, sorted((Path(binary).parent.parent / "lib").glob("*/rsyslog"))))
    arguments = [binary, "-n", "-f", str(config), "-i", str(place.folder / "rsyslog.pid")]
    return Command([*arguments, "-M", modules] if modules else arguments, environment)


def _rsyslog() -> tuple[str, dict[str, str]]:
    """The binary on PATH or in /usr/sbin, and an environment in which it finds the libraries unpacked beside it."""
    binary = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        raise Missing("rsyslog is missing (Debian: rsyslog, rsyslog-kafka, rsyslog-elasticsearch)")
    libraries = Path(binary).parent.parent / "lib"
    for package, module in (("rsyslog-kafka", "imkafka.so"), ("rsyslog-elasticsearch", "omelasticsearch.so")):
        if not list(libraries.glob(f"*/rsyslog/{module}")):
            raise Missing(f"rsyslog is there, {package} is missing")
    found = [*map(str, sorted(libraries.glob("*-linux-gnu*"))), os.environ.get("LD_LIBRARY_PATH", "")]
    return binary, {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, found))}
