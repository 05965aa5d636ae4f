"""`logsync check-config` and `logsync config show`."""

from __future__ import annotations

from collections.abc import Callable

import yaml

from logsync_streams.configuration import load
from logsync_streams.errors import ConfigurationError


def show(*, say: Callable[[str], None]) -> int:
    """Print the settings in force; as YAML it can be the file that LOGSYNC_CONFIG names, save for the secrets."""
    # In JSON mode pydantic prints a SecretStr as asterisks.
    say(yaml.safe_dump(load().model_dump(mode="json"), sort_keys=False, allow_unicode=True).rstrip())
    return 0


def check(*, say: Callable[[str], None]) -> int:
    """Report every problem of the settings and of the files they name. Raises ConfigurationError with all of them."""
    from agents.enrich import configured_enrichments
    from agents.filter_file import rule_set
    from agents.redact import redactor
    from logsync_streams.collector.server import shared_key
    from logsync_streams.collector.tls import context
    from retention.policy import datasets, parse_policies, read_policies

    settings = load()
    policies = parse_policies({"retention_policies": {}}, "")  # until those of the file are read

    def read_the_policies() -> None:
        nonlocal policies
        policies = read_policies(settings.retention.policies_file)

    readers: list[Callable[[], object]] = [
        read_the_policies,
        lambda: rule_set(settings.process, datasets(policies)),
        lambda: configured_enrichments(settings.process),
        lambda: redactor(settings.process),
        lambda: context(settings.collector),
        lambda: shared_key(settings.collector),
    ]
    if settings.store.kind == "elasticsearch":
        from logsync_streams.storage.elasticsearch_client import check as check_connection

        readers.append(lambda: check_connection(settings.store))
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
