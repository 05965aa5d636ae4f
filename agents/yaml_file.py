"""Reading a YAML file that an operator wrote: its content, and on which line each part of it stands."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from logsync_streams.errors import ConfigurationError

Place = tuple[str | int, ...]  # keys and list positions from the top

# The C loader where PyYAML was built with it: ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlFile:
    """A file that was read. content: plain values."""

    def __init__(self, path: Path, content: Any, lines: dict[Place, int]) -> None:
        self.path, self.content, self._lines = path, content, lines

    def problem(self, place: Place, text: str) -> str:
        """A sentence that begins with file:line of the place, or of what it stands in."""
        while place not in self._lines and place:
            place = place[:-1]
        return f"{self.path}:{self._lines.get(place, 1)}: {text}"


def read_yaml(path: Path, setting: str) -> YamlFile:
    """The file's content. setting: the variable that names the file, for its problems.

    Raises ConfigurationError: the file cannot be read, is no YAML (with line), or has a key twice in one mapping.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigurationError([f"{setting}: {str(path)!r}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{setting}: {str(path)!r} is not UTF-8: byte {error.start}"]) from error
    try:
        root = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)  # a safe loader: plain values only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigurationError([f"{where}: not YAML: {getattr(error, 'problem', None) or error}"]) from error
    except RecursionError as error:
        raise ConfigurationError([f"{path}: nested too deeply"]) from error
    lines: dict[Place, int] = {}
    twice: list[tuple[int, str]] = []
    _walk(root, (), lines, twice)
    if twice:
        raise ConfigurationError([f"{path}:{line}: {key}: this key is there twice" for line, key in twice])
    return YamlFile(path, content, lines)


def unknown_keys(given: Iterable[Any], known: Iterable[str]) -> list[str]:
    """The keys that are none of the known ones, as texts."""
    names = set(known)
    return [str(key) for key in given if key not in names]


def _walk(node: Any, place: Place, lines: dict[Place, int], twice: list[tuple[int, str]]) -> None:
    if node is None or place in lines:
        return
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            _walk(item, (*place, position), lines, twice)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else str(key.start_mark.line)
            if name in seen:
                twice.append((key.start_mark.line + 1, name))
            seen.add(name)
            _walk(value, (*place, name), lines, twice)
            lines[*place, name] = key.start_mark.line + 1
