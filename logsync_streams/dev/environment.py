"""The settings under which the parts of `logsync dev` run: the user's own, and what the embedded parts require."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from logsync_streams.configuration import load
from logsync_streams.dev import broker
from logsync_streams.errors import ConfigurationError

# What follows from the parts being embedded; the rest is the user's.
_EMBEDDED = {
    "LOGSYNC_KAFKA__EMBEDDED": "true",
    "LOGSYNC_KAFKA__REPLICATION_FACTOR": "1",
    "LOGSYNC_KAFKA__MIN_INSYNC_REPLICAS": "1",
    # Tansu's first group join takes half the session timeout, and there are three groups.
    "LOGSYNC_KAFKA__SESSION_TIMEOUT_SECONDS": "6",
    "LOGSYNC_STORE__KIND": "embedded",
    "LOGSYNC_ROLES": "process,index,count",
    "LOGSYNC_QUERY__ENABLED": "true",
}


def embedded(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the children: the given one with the embedded parts' settings laid over it.

    The broker listens where LOGSYNC_KAFKA__BOOTSTRAP says when that is one loopback address. Raises
    ConfigurationError for settings that `logsync dev` cannot honour.
    """
    settings = load(environment)
    host, _, port = settings.kafka.bootstrap[0].rpartition(":")
    if len(settings.kafka.bootstrap) > 1 or host not in ("127.0.0.1", "localhost") or not port.isdigit():
        raise ConfigurationError(
            [
                f"LOGSYNC_KAFKA__BOOTSTRAP: {','.join(settings.kafka.bootstrap)!r}: `logsync dev` runs a broker of its "
                f"own on one loopback address: give 127.0.0.1:{broker.DEFAULT_PORT} or another port, or run "
                "`logsync collect` and `faust -A logsync_streams worker` against yours"
            ]
        )
    return {
        **environment,
        **_EMBEDDED,
        "LOGSYNC_KAFKA__BOOTSTRAP": f"127.0.0.1:{port}",
        # The children inherit the working folder today; an absolute path keeps that from mattering.
        "LOGSYNC_DATA_DIR": str(Path(settings.data_dir).absolute()),
        "LOGSYNC_COLLECTOR__STATUS_FILE": str(Path(settings.data_dir).absolute() / "collector-status.json"),
        "PYTHONUNBUFFERED": "1",
    }
