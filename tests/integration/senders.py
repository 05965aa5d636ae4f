"""Programs that send logs: found on this machine, or fetched once into the cache folder, never installed.

rsyslog and syslog-ng exclude each other as Debian packages; unpacked into folders of their own they do not.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from deploy.fetch import cache_folder
from tests.servers.shared import unavailable

_FOLDER = cache_folder() / "senders"
_MISSING: dict[str, str] = {}


def program(name: str) -> str:
    """The path of a program that must be on this machine; the test is skipped where it is not."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        unavailable(name, "it is not installed")
    return str(found)


def debian(name: str, *packages: str) -> tuple[Path, dict[str, str]]:
    """(the folder with a Debian root, the environment to run in it) of packages and what they need."""
    root = _FOLDER / name
    if name not in _MISSING and not (root / ".complete").exists():
        try:
            with _locked(name):
                if not (root / ".complete").exists():
                    _fetch_debian(root, packages)
        except (OSError, subprocess.SubprocessError) as error:
            _MISSING[name] = f"{error} {getattr(error, 'stderr', '') or ''}".strip()[:300]
    if name in _MISSING:
        unavailable(name, _MISSING[name])
    libraries = sorted({str(path.parent) for path in root.rglob("*.so*")})
    return root, {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


def npm(name: str, package: str) -> Path:
    """The node_modules folder that has an npm package; it is fetched once."""
    folder = _FOLDER / name
    if name not in _MISSING and not (folder / ".complete").exists():
        try:
            with _locked(name):
                if not (folder / ".complete").exists():
                    folder.mkdir(parents=True, exist_ok=True)
                    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), package]
                    subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)
                    (folder / ".complete").touch()
        except (OSError, subprocess.SubprocessError) as error:
            _MISSING[name] = f"{error} {getattr(error, 'stderr', '') or ''}".strip()[:300]
    if name in _MISSING:
        unavailable(package, _MISSING[name])
    return folder / "node_modules"


class _locked:
    """Another session of the tests may be fetching the same."""

    def __init__(self, name: str) -> None:
        _FOLDER.mkdir(parents=True, exist_ok=True)
        self._path = _FOLDER / f"{name}.lock"

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _fetch_debian(root: Path, packages: tuple[str, ...]) -> None:
    wanted = _needed(packages)
    if not wanted:
        _run(["apt-get", "update", "-qq"])
        wanted = _needed(packages)
    shutil.rmtree(root, ignore_errors=True)
    downloads = root / "downloads"
    downloads.mkdir(parents=True)
    # apt drops its rights, and then cannot write into a folder of root's.
    _run(["apt-get", "-o", "APT::Sandbox::User=root", "download", *sorted({*wanted, *packages})], downloads)
    for archive in downloads.glob("*.deb"):
        _run(["dpkg", "-x", str(archive), str(root)])
    shutil.rmtree(downloads)
    (root / ".complete").touch()


def _needed(packages: tuple[str, ...]) -> list[str]:
    """The packages and those they need that are not on this machine yet; empty when apt knows nothing of them."""
    command = ["apt-get", "--simulate", "install", "--no-install-recommends", *packages]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return [line.split()[1] for line in told.stdout.splitlines() if line.startswith("Inst ")]


def _run(command: list[str], folder: Path | None = None) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=240)
