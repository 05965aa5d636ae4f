"""Every file under dashboards/ that is made from a source beside it, by its path."""

from __future__ import annotations

import json
from pathlib import Path

from dashboards.grafana_dashboards import DASHBOARDS
from dashboards.kibana_objects import ndjson
from dashboards.rules import rule_files
from dashboards.thresholds import Thresholds

FOLDER = Path(__file__).parent


def generated() -> dict[Path, str]:
    """Path under dashboards/ -> content."""
    files = {Path("prometheus", "rules", name): text for name, text in rule_files(Thresholds()).items()}
    for dashboard in DASHBOARDS:
        path = Path("grafana", "dashboards", f"{dashboard.uid}.json")
        files[path] = json.dumps(dashboard.json(), indent=1, ensure_ascii=False) + "\n"
    files[Path("kibana", "logsync.ndjson")] = ndjson()
    return files


def stale(folder: Path = FOLDER) -> list[Path]:
    """The paths whose file is not as it would be generated."""
    return [path for path, text in generated().items() if not _is(folder / path, text)]


def write(folder: Path = FOLDER) -> list[Path]:
    """Write what is stale; the paths."""
    changed = stale(folder)
    files = generated()
    for path in changed:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(files[path], encoding="utf-8")
    return changed


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
