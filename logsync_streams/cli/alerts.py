"""`logsync alerts render`: Prometheus rules from a file of thresholds."""

from __future__ import annotations

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
    files = rule_files(thresholds_of(thresholds))
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
