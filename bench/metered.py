"""Our worker with a meter on every call of a metric: how much of its CPU they take (bench/metrics_cost.py).

The clock is that of the thread's CPU, so what others do meanwhile does not count; what asking it costs does.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from bench.contenders import METERED_FILE_VARIABLE
from logsync_streams import worker

_EVERY_SECONDS = 0.2
_spent = {"calls": 0, "ns": 0}


def _metered(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        begin = time.thread_time_ns()
        try:
            return function(*arguments, **named)
        finally:
            _spent["ns"] += time.thread_time_ns() - begin
            _spent["calls"] += 1

    return call


def _tell() -> None:
    path = Path(os.environ[METERED_FILE_VARIABLE])
    while True:
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(_spent))
        unfinished.replace(path)
        time.sleep(_EVERY_SECONDS)


for owner, name in (
    (MetricWrapperBase, "labels"),
    (Counter, "inc"),
    (Gauge, "inc"),
    (Gauge, "dec"),
    (Gauge, "set"),
    (Histogram, "observe"),
):
    setattr(owner, name, _metered(getattr(owner, name)))
threading.Thread(target=_tell, daemon=True).start()
app = worker.app_from_environment()
