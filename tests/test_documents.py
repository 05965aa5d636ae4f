"""The documents say what the code does: tables, routes, commands, links."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from starlette.routing import Route
from typer.main import get_command

from logsync_streams.cli.commands import application
from logsync_streams.collector import http
from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.configuration import described, load
from logsync_streams.query.app import create_app
from logsync_streams.storage.memory import MemoryStore
from tests.documents import REFERENCE, ROOT, TABLES, table_in

README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_the_reference_are_those_of_the_code(name):
    assert TABLES[name]() == table_in(REFERENCE.read_text(), name), "run `make documents`"


def test_the_readme_names_every_route():
    settings = load({})
    apps: list[Any] = [
        http.create_app(MemoryPublisher(lambda: 0), settings.collector),
        create_app(MemoryStore(), settings),
    ]
    routes = {route.path_format for app in apps for route in app.routes if isinstance(route, Route)}
    routes |= set(re.findall(r'\.page\("([^"]+)"\)', (ROOT / "logsync_streams" / "views.py").read_text()))
    named = set(re.findall(r"`(?:GET |POST )?(/[^`\s]*)`", section("HTTP")))

    assert routes - {name.replace(":path}", "}") for name in named} == set()


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)^## ", README.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_the_documents_lead_somewhere(document):
    text = document.read_text()
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("http")]
    broken = [target for target in targets if not leads_somewhere(document, target)]

    assert broken == []


def leads_somewhere(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = (document.parent / name) if name else document
    if not anchor:
        return path.exists()
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_logsync_command_in_the_documents_exists():
    known = get_command(application).commands  # type: ignore[attr-defined]
    named = {word for path in DOCUMENTS for word in re.findall(r"(?:^|[`/ ])logsync ([a-z][a-z-]+)", code_in(path))}

    assert named - set(known) == set()


def code_in(path: Path) -> str:
    text = path.read_text()
    return "\n".join(re.findall(r"^    .*$|`[^`\n]+`", text, re.MULTILINE))


def test_every_make_target_in_the_readme_exists():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z][a-z-]*)", code_in(README)))

    assert named - targets == set()


def test_every_make_target_has_a_line_of_help():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    helped = set(re.findall(r"^([a-z][a-z-]*):.*?## ", makefile, re.MULTILINE))

    assert set(phony[1].split()) == helped


def test_every_folder_in_the_readme_exists():
    missing = [name for name in re.findall(r"`([a-z_]+)/`", section("Where things are")) if not found(name)]

    assert missing == []


def found(name: str) -> bool:
    return (ROOT / name).is_dir() or (ROOT / "logsync_streams" / name).is_dir()


def test_every_variable_in_the_documents_is_a_setting():
    known = {name for name, _, _ in described()} | {"LOGSYNC_CONFIG", "LOGSYNC_URL", "LOGSYNC_REQUIRE_REAL"}
    named = {word for path in DOCUMENTS for word in re.findall(r"LOGSYNC_[A-Z0-9_]*[A-Z]", path.read_text())}

    assert named - known == set()


def test_the_rules_are_loaded_from_where_the_documents_say_to_write_them():
    config = yaml.safe_load((ROOT / "dashboards" / "prometheus" / "prometheus.yml").read_text())
    patterns = [str(PurePosixPath("/etc/prometheus", pattern)) for pattern in config["rule_files"]]
    folders = {word for path in DOCUMENTS for word in re.findall(r"alerts render .*--output (\S+)", code_in(path))}

    assert folders
    assert [folder for folder in folders if not any(PurePosixPath(folder, "a.yml").match(p) for p in patterns)] == []
