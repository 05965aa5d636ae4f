"""`logsync alerts render`: Prometheus rules from a file of thresholds."""

from __future__ import annotations

import sys
from pathlib import Path

from agents.yaml_file import read_yaml
from dashboards.rules import rule_files
from dashboards.thresholds import Thresholds, read_thresholds
from logsync_streams.errors import ConfigurationError


def thresholds_of(path: Path | None) -> Thresholds:
    """The thresholds in a file, the defaults without one. Raises ConfigurationError with every problem."""
    if path is None:
        return Thresholds()
    file = read_yaml(path, "--thresholds")
    try:
        return read_thresholds(file.content)
    except ConfigurationError as error:
        raise ConfigurationError([f"{path}: {problem}" for problem in error.problems]) from error


def render(thresholds: Path | None, output: Path | None) -> int:
    """Write the rule files to a folder, or print them as YAML documents. The exit code, always 0.

    Raises ConfigurationError: the thresholds are wrong, or the folder cannot be written.
    """
    found = thresholds_of(thresholds)
    for line in _unset(found):
        print(f"logsync: {line}", file=sys.stderr)
    files = rule_files(found)
    if output is None:
        print("---\n".join(files.values()), end="")
        return 0
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            unfinished = output / f".{name}.unfinished"
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(output / name)  # Prometheus may reload at any moment
            print(output / name)
    except OSError as error:
        raise ConfigurationError([f"--output: {str(error.filename or output)!r}: {error.strerror}"]) from error
    return 0


def _unset(found: Thresholds) -> list[str]:
    """What whoever gets an alert will miss: the two addresses that only the operator knows."""
    lines = []
    if found.page_url == Thresholds().page_url:
        lines.append(f"page_url is not set in --thresholds: links go to {found.page_url}, right on this machine only")
    if found.runbook_url == Thresholds().runbook_url:
        lines.append(f"runbook_url is not set in --thresholds: alerts name {found.runbook_url} without a link to it")
    return lines
