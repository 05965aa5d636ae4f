"""Fetches Apache Kafka and Elasticsearch through Maven, once, into the cache folder; finds Java for them.

Only the standard library: `make stack` runs it before anything is installed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KAFKA_VERSION = "4.1.1"
ELASTICSEARCH_VERSIONS = ("7.10.2", "7.17.29", "8.19.8", "9.2.4")
ELASTICSEARCH_VERSION = "8.19.8"  # what `make stack` runs
_POM = Path(__file__).parent / "kafka" / "pom.xml"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
_JVMS = Path("/usr/lib/jvm")


class MissingTool(Exception):
    """Something that must be installed by hand, in one sentence that says what to do."""


def cache_folder() -> Path:
    """LOGSYNC_CACHE, else the user's cache folder; made when it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(os.environ.get("LOGSYNC_CACHE") or Path(base) / "logsync")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kafka_libraries() -> Path:
    """The folder with Kafka's jars. Raises MissingTool without Maven, OSError when Maven fails."""
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    libraries = folder / "libs"
    with _only_one(folder.with_suffix(".lock")):
        if not any(libraries.glob(f"kafka_*-{KAFKA_VERSION}.jar")):
            unfinished = folder / "libs.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            _maven(
                f"{_COPY}:copy-dependencies",
                f"-DoutputDirectory={unfinished}",
                "-DincludeScope=runtime",
                "-f",
                str(_POM),
            )
            shutil.rmtree(libraries, ignore_errors=True)
            unfinished.rename(libraries)
    return libraries


def elasticsearch_archive(version: str) -> Path:
    """The zip with Elasticsearch's server. Raises MissingTool without Maven, OSError when Maven fails."""
    folder = cache_folder() / "dl"
    archive = folder / f"elasticsearch-{version}.zip"
    with _only_one(folder.with_name(f"elasticsearch-{version}.lock")):
        if not archive.exists() or not zipfile.is_zipfile(archive):  # a broken download is fetched again
            folder.mkdir(parents=True, exist_ok=True)
            artifact = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
            _maven(f"{_COPY}:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}")
    return archive


def java_home(at_least: int, at_most: int = 99) -> Path:
    """A JDK of a version in these bounds: JAVA_HOME, else the lowest of those installed. Raises MissingTool."""
    candidates = [Path(home)] if (home := os.environ.get("JAVA_HOME")) else []
    candidates += sorted(_JVMS.iterdir()) if _JVMS.is_dir() else []
    if java := shutil.which("java"):
        candidates.append(Path(java).resolve().parent.parent)
    found = [(_java_version(path), path) for path in candidates if (path / "bin" / "java").exists()]
    fitting = [(version, path) for version, path in found if at_least <= version <= at_most]
    if not fitting:
        have = ", ".join(str(version) for version in sorted({version for version, _ in found})) or "none"
        wanted = f"{at_least} or newer" if at_most == 99 else f"{at_least} to {at_most}"
        raise MissingTool(f"Java {wanted} is needed and was not found (found: {have}): install a JDK or set JAVA_HOME")
    return min(fitting)[1]


def _java_version(home: Path) -> int:
    """The major version, from the JDK's own file; 0 when it cannot be told."""
    try:
        match = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(), re.MULTILINE)
    except OSError:
        match = None
    if match is None:
        shown = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=False).stderr
        match = re.search(r'version "(\d+)', shown)
    return int(match[1]) if match else 0


def _maven(*arguments: str) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingTool("Maven (mvn) is needed to fetch Kafka and Elasticsearch and was not found: install maven")
    done = subprocess.run(
        [maven, "-q", "-B", *arguments], cwd=cache_folder(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise OSError(f"mvn {' '.join(arguments)} failed with {done.returncode}:\n{last}")


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
