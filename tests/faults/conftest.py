from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.fixtures import oracle, pipeline, seed

__all__ = ["oracle", "pipeline", "seed"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
