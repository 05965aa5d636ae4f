"""`logsync check-config` and `logsync config show`."""

from __future__ import annotations

from collections.abc import Callable

import yaml

from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import load


def show(*, say: Callable[[str], None]) -> int:
    """Print the settings in force; as YAML it can be the file that LOGSYNC_CONFIG names, save for the secrets."""
    # In JSON mode pydantic prints a SecretStr as asterisks.
    say(yaml.safe_dump(load().model_dump(mode="json"), sort_keys=False, allow_unicode=True).rstrip())
    return 0


def check(*, say: Callable[[str], None]) -> int:
    """Report every problem of the settings and of the files they name. Raises ConfigurationError with all of them."""
    from agents.enrich import read_catalogue
    from retention.policy import read_policies

    settings = load()
    readers: list[Callable[[], object]] = [
        lambda: read_policies(settings.retention.policies_file),
        lambda: read_catalogue(settings.process.catalogue_file),
    ]
    problems: list[str] = []
    for read in readers:
        try:
            read()
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    say("the settings are good")
    return 0
