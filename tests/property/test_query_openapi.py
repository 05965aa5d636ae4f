"""The API answers what its OpenAPI document says, whatever it is asked: thousands of generated requests."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from logsync_streams.query.app import create_app
from logsync_streams.settings import QueryHttpSettings, Settings
from tests.query import RETENTION, log, store_with

# Of each operation; nine have parameters that can be varied, so more than two thousand requests in all.
EXAMPLES = 250
OTHER_OPERATIONS = {"search", "histogram", "facets", "fields", "tail", "export"}
ENDLESS = "/api/logs/tail"
RATES: dict[str, object] = {"complete": True, "services": []}


async def retention() -> dict[str, object]:
    return RETENTION


_folder = tempfile.TemporaryDirectory(prefix="logsync-openapi-")
_store = asyncio.run(
    store_with(*[log(n, log={"level": "error"}, service={"name": "a"}, labels={"x": n}) for n in range(40)])
)
_app = create_app(
    _store,
    Settings(data_dir=Path(_folder.name), query=QueryHttpSettings(allowed_hosts=["*"])),
    rates=lambda: RATES,
    retention=retention,
)
schema = schemathesis.openapi.from_asgi("/openapi.json", _app).exclude(path=ENDLESS)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_any_request_is_answered_as_the_document_says(case):
    if case.path_parameters.get("id") in OTHER_OPERATIONS:
        return  # the path of another operation, which has its own cases
    case.call_and_validate(checks=CHECKS)
