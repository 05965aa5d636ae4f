"""Facts by name: a YAML mapping of names to known keys. The service catalogue and the file of hosts are such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.yaml_file import read_yaml, unknown_keys
from logsync_streams.errors import ConfigurationError

Facts = Mapping[str, Mapping[str, str]]


def read_facts(path: Path, setting: str, noun: str, keys: Sequence[str]) -> Facts:
    """name -> key -> value, all as text. setting: the one that names the file; noun: what the names are of.

    Raises ConfigurationError naming file, line, name and key.
    """
    file = read_yaml(path, setting)
    content = file.content or {}
    if not isinstance(content, dict):
        raise ConfigurationError([file.problem((), f"a mapping of {noun} names is expected at the top")])
    problems = []
    for name, known in content.items():
        if not isinstance(known, dict):
            text = f"{name}: {known!r}: a mapping of {', '.join(keys)} is expected"
            problems.append(file.problem((name,), text))
            continue
        for key in unknown_keys(known, keys):
            text = f"{name}.{key}: no such key; one of {', '.join(keys)} is expected"
            problems.append(file.problem((name, key), text))
    if problems:
        raise ConfigurationError(problems)
    return {str(name): {key: str(value) for key, value in known.items()} for name, known in content.items()}
