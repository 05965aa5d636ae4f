"""Prometheus and Alertmanager as processes on loopback ports, and their tools, from Debian's packages.

What is on the PATH is used; else the package is fetched and unpacked into the cache folder. Nothing is installed, so
no service of theirs is started.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from deploy.fetch import MissingTool, cache_folder
from deploy.servers import Server, free_port

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}
_FETCH_SECONDS = 300
_DEFAULT_TEMPLATES = Path("/usr/share/prometheus/alertmanager/default.tmpl")


def tool(name: str) -> Path:
    """The program of this name, a key of PACKAGES. Raises MissingTool with what to do."""
    if found := shutil.which(name):
        return Path(found)
    package = PACKAGES[name]
    folder = cache_folder() / "debian" / package
    program = folder / "usr" / "bin" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _unpack(package, folder)
    return program


def _unpack(package: str, folder: Path) -> None:
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if apt is None or dpkg is None:
        raise MissingTool(f"{package} is needed and was not found: install it")
    downloads = folder.with_name(f"{package}.download")
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir()
    done = _run([apt, "download", package], downloads)
    if done.returncode != 0:  # a machine that has never asked for the list of packages
        _run([apt, "update", "-qq"], downloads)
        done = _run([apt, "download", package], downloads)
    archives = list(downloads.glob("*.deb"))
    if done.returncode != 0 or not archives:
        raise MissingTool(f"{package} could not be fetched, install it: {(done.stdout + done.stderr).strip()[-500:]}")
    unfinished = folder.with_name(f"{package}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _run([dpkg, "-x", str(archives[0]), str(unfinished)], downloads)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    shutil.rmtree(downloads, ignore_errors=True)


def _with_shared_files(program: Path) -> list[str]:
    """The program, in a view of the file system of its own where it finds the templates that its package installs.

    Debian's Alertmanager wants them at a fixed place; unpacked into the cache they are elsewhere.
    """
    if _DEFAULT_TEMPLATES.exists():
        return [str(program)]
    unshare = shutil.which("unshare")
    if unshare is None:
        raise MissingTool("prometheus-alertmanager is needed and was not found: install it")
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'mount -t overlay overlay -o "lowerdir=$0:/usr/share" /usr/share && exec "$@"'
    return [unshare, "--mount", *rights, "sh", "-c", script, str(program.parents[1] / "share"), str(program)]


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_FETCH_SECONDS)


class _Monitoring(Server):
    """A server with a configuration file and a health page. url: its address."""

    def __init__(self, folder: Path, config: str, *, port: int | None = None) -> None:
        super().__init__(folder)
        self.config, self.port = config, port or free_port()
        self.config_path = folder / "config.yml"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _prepare(self) -> None:
        self.config_path.write_text(self.config)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


class PrometheusServer(_Monitoring):
    """One Prometheus; exemplars are kept. config: its configuration, whose relative paths begin at `folder`."""

    name = "Prometheus"

    def _command(self) -> tuple[list[str], dict[str, str], pwd.struct_passwd | None]:
        return (
            [
                str(tool("prometheus")),
                f"--config.file={self.config_path}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-lifecycle",
                "--enable-feature=exemplar-storage",
            ],
            {},
            None,
        )


class AlertmanagerServer(_Monitoring):
    """One Alertmanager, no cluster."""

    name = "Alertmanager"

    def _command(self) -> tuple[list[str], dict[str, str], pwd.struct_passwd | None]:
        return (
            [
                *_with_shared_files(tool("prometheus-alertmanager")),
                f"--config.file={self.config_path}",
                f"--storage.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",
            ],
            {},
            None,
        )
