"""The store that a test of the contract runs on, and what a store lacks, in the report."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.documents import OTHER_TARGET, SEED, TARGET
from tests.contract.stores import CAPABILITIES, Opened, subjects


def pytest_report_header() -> list[str]:
    lacking = [
        f"{name} lacks {lack} ({CAPABILITIES[lack]})"
        for name, subject in subjects().items()
        for lack in sorted(subject.lacks)
    ]
    return [f"store contract: {', '.join(subjects())}; {'; '.join(lacking)}; LOGSYNC_TEST_SEED={SEED:x}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "opened" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("every_version") is not None
        params = [pytest.param(name, marks=one.marks) for name, one in subjects(every_version=every).items()]
        metafunc.parametrize("opened", params, indirect=True)


@pytest.fixture
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    """A store with no index in it."""
    subject = subjects()[request.param]
    for marker in request.node.iter_markers("needs"):
        for capability in marker.args:
            if capability in subject.lacks:
                pytest.skip(f"{request.param} lacks {capability!r}: {CAPABILITIES[capability]}")
    async with subject.open(request) as one:
        yield one


@pytest.fixture
async def ready(opened: Opened) -> Opened:
    """A store with two targets to write to."""
    await opened.store.admin.prepare()
    await opened.store.admin.create(TARGET)
    await opened.store.admin.create(OTHER_TARGET)
    return opened
