"""A clock that somebody sets: with this folder in PYTHONPATH, a process's wall clock is off by what CLOCK_FILE says.

In seconds. The monotonic clock is left alone, as it is when an operator or NTP sets a machine's time.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

LOOK_SECONDS = 0.05

_file = Path(os.environ["CLOCK_FILE"])
_true, _true_ns = time.time, time.time_ns
_off_seconds = 0.0


def _watch() -> None:
    global _off_seconds  # one clock a process
    while True:
        text = _file.read_text()
        if text:
            _off_seconds = float(text)
        time.sleep(LOOK_SECONDS)


time.time = lambda: _true() + _off_seconds
time.time_ns = lambda: _true_ns() + int(_off_seconds * 1e9)
threading.Thread(target=_watch, name="clock", daemon=True).start()
