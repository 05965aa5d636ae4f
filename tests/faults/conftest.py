"""Which fault tests run: the kills of a worker and the guard always, of the others a part that the seed chooses.

All of them with LOGSYNC_ALL_FAULTS=1, by `make soak`, and when files, tests or a keyword are named to pytest.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.faults.scale import ALL, TIMEOUT_SECONDS
from tests.pipeline.fixtures import chosen_seed, oracle, pipeline, seed

__all__ = ["oracle", "pipeline", "seed"]

_ROTATED = {
    "test_archive_s3",
    "test_clock",
    "test_counters",
    "test_records",
    "test_servers_down",
    "test_stop",
    "test_store_refusals",
    "test_watchdog",
    "test_workers",
}
_A_RUN = 5
_TOO_LARGE_FOR_EVERY_RUN = {"test_cluster"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.faults)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))
    named = config.option.keyword or any(
        "faults" in argument for argument in config.invocation_params.args if "/" in argument
    )
    rotated = [item for item in ours if item.path.stem in _ROTATED]
    if ALL or named or len(rotated) <= _A_RUN:
        return
    number = chosen_seed()
    kept = Random(number).sample(rotated, _A_RUN)
    left = [item for item in rotated if item not in kept]
    left += [item for item in ours if item.path.stem in _TOO_LARGE_FOR_EVERY_RUN]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)
    config.stash[_CHOICE] = f"seed {number:x}: of {len(rotated)} faults {', '.join(sorted(item.name for item in kept))}"


_CHOICE = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if choice := config.stash.get(_CHOICE, None):
        terminalreporter.write_line(f"{choice} (all with LOGSYNC_ALL_FAULTS=1)")
