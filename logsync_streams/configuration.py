"""Where settings come from.

A setting is given in the file that LOGSYNC_CONFIG names (YAML) or as an environment variable: LOGSYNC_ and the
name, `__` between the levels (LOGSYNC_KAFKA__BOOTSTRAP). The environment wins over the file. All mistakes are
reported together, each with its name, the value, and what was expected.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import SettingsError

from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import PREFIX, FilterRule, Group, Settings, is_quotable

# Read by the command line, by the test suite and the tools around it: no settings of a process of ours.
_NOT_SETTINGS = {
    "LOGSYNC_CONFIG",
    "LOGSYNC_URL",
    "LOGSYNC_REQUIRE_REAL",
    "LOGSYNC_TEST_SEED",
    "LOGSYNC_ALL_FAULTS",
    "LOGSYNC_SOAK",
    "LOGSYNC_TEST_TIES",
    "LOGSYNC_TEST_ELASTICSEARCH",
    "LOGSYNC_CACHE",
    "LOGSYNC_FUZZ_SECONDS",
}


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings from the file named by LOGSYNC_CONFIG and the environment (default: this process's).

    Raises ConfigurationError with every problem found, not only the first.
    """
    if environment is not None:
        saved = dict(os.environ)
        os.environ.clear()
        os.environ.update(environment)
        try:
            return load()
        finally:
            os.environ.clear()
            os.environ.update(saved)
    problems = list(_unknown_variables(os.environ))
    path = os.environ.get("LOGSYNC_CONFIG")
    values = _read_file(Path(path)) if path else {}
    try:
        settings = Settings(**values)
    except SettingsError as error:
        problems += list(_not_json(os.environ))
        raise ConfigurationError(problems or [str(error)]) from error
    except ValidationError as error:
        # A misspelt variable within a group is reported twice: here without a suggestion.
        problems += [_describe(detail) for detail in error.errors() if not _in_environment(detail)]
    if problems:
        raise ConfigurationError(problems)
    return settings


def described() -> Iterator[tuple[str, str, str]]:
    """(environment variable, default, help) of every setting, for documents and their tests."""
    for name, info in Settings.model_fields.items():
        if isinstance(info.default, Group):
            for inner, inner_info in type(info.default).model_fields.items():
                default = getattr(info.default, inner)
                yield f"{PREFIX}{name}__{inner}".upper(), _shown(default), inner_info.description or ""
        else:
            yield f"{PREFIX}{name}".upper(), _shown(info.default), info.description or ""


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_shown(item) for item in value)
    if isinstance(value, FilterRule):
        return value.name
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigurationError([f"LOGSYNC_CONFIG: {str(path)!r} cannot be read: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"LOGSYNC_CONFIG: {str(path)!r} is not YAML: {error}"]) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError([f"LOGSYNC_CONFIG: {str(path)!r}: a mapping of settings is expected at the top"])
    unknown = [key for key in values if key not in Settings.model_fields]
    if unknown:
        raise ConfigurationError(
            [f"{key} (in {str(path)!r}): no such setting{similar(str(key), Settings.model_fields)}" for key in unknown]
        )
    return values


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    # pydantic-settings ignores a misspelt variable; an operator would believe it had taken effect.
    known = {name for name, _, _ in described()}
    for name in environment:
        if name.startswith(PREFIX) and name.upper() not in known and name not in _NOT_SETTINGS:
            yield f"{name}: no such setting{similar(name, known)}"


def _not_json(environment: Mapping[str, str]) -> Iterator[str]:
    # The one setting that is JSON; a variable for a whole group is none, and was named as such.
    for name, value in environment.items():
        if name.upper() == f"{PREFIX}PROCESS__FILTER_RULES":
            try:
                json.loads(value)
            except ValueError as error:
                yield f"{name}: {value!r}: JSON is expected, a list of rules: {error}"


def similar(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that is not among the known: which of these was meant; "" if none is near."""
    originals = {key.upper(): key for key in known}
    close = difflib.get_close_matches(name.upper(), originals, n=1)
    return f"; did you mean {originals[close[0]]}?" if close else ""


def _in_environment(detail: Any) -> bool:
    return detail["type"] == "extra_forbidden" and _variable(detail)[0] in {name.upper() for name in os.environ}


def _variable(detail: Any) -> tuple[str, str]:
    path = [str(part) for part in detail["loc"]]
    depth = 2 if isinstance(Settings.model_fields[path[0]].default, Group) else 1
    return PREFIX + "__".join(path[:depth]).upper(), "".join(f"[{part}]" for part in path[depth:])


def _is_quotable(detail: Any) -> bool:
    if detail["type"] in ("missing", "extra_forbidden"):
        return False
    name, *inner = detail["loc"]
    info = Settings.model_fields[name]
    if isinstance(info.default, Group):
        if not inner:
            return False  # a whole group: there may be a secret in it
        info = type(info.default).model_fields[inner[0]]
    return is_quotable(info)


def _describe(detail: Any) -> str:
    variable, rest = _variable(detail)
    message = detail["msg"].removeprefix("Value error, ")
    shown = f" {detail['input']!r}:" if _is_quotable(detail) else ""
    return f"{variable}{rest}:{shown} {message[:1].lower()}{message[1:]}"
