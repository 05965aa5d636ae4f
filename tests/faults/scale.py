"""How long a fault test runs: short in every run of the suite, longer with LOGSYNC_SOAK=1 (`make soak`)."""

from __future__ import annotations

import os

SOAK = os.environ.get("LOGSYNC_SOAK") == "1"
ALL = SOAK or os.environ.get("LOGSYNC_ALL_FAULTS") == "1"
TIMEOUT_SECONDS = 7200 if SOAK else 900  # of one test; a machine with much else to do needs most of it


def scaled(short: int, soak: int) -> int:
    """The one or the other."""
    return soak if SOAK else short
