"""Prometheus, Alertmanager and their tools for the tests; what cannot be had is a line in the summary, or a failure."""

from __future__ import annotations

from pathlib import Path

from deploy.fetch import MissingTool
from deploy.monitoring import tool
from tests.servers.shared import unavailable


def program(name: str) -> Path:
    """The program; skips the test, or fails it where everything must be tested, when it cannot be had."""
    try:
        return tool(name)
    except MissingTool as error:
        unavailable(name, str(error))
        raise
