"""Above what an alert fires: for all services, for one, and for the pipeline itself. The file behind `alerts render`.

    page_url: https://logs.example.org          # where people search; alerts link to it
    defaults: {errors_per_second: 10, silent_after: 15m}
    services:
      auth-service: {errors_per_second: 2}
      nightly-report: {silent_after: 26h, error_ratio: null}      # null: this alert never fires for it
    pipeline: {lag_records: 5000}

What is not said is as the classes here say.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from logsync_streams.configuration import similar
from logsync_streams.errors import ConfigurationError

_DURATION = re.compile(r"(\d+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str) -> int:
    """ "15m" -> 900; s, m, h, d and w. Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("a duration such as 90s, 15m, 26h or 7d is expected")
    return int(found[1]) * _SECONDS[found[2]]


def _duration(value: Any) -> int:
    # A bare number would be seconds to us, and minutes to whoever wrote it.
    return seconds(value if isinstance(value, str) else "")


Duration = Annotated[int, BeforeValidator(_duration), Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceThresholds(_Strict):
    """Of one service. None: the alert never fires for it."""

    errors_per_second: float | None = Field(10, ge=0)  # over five minutes
    error_ratio: float | None = Field(0.25, gt=0, lt=1)  # errors among all events, over five minutes …
    ratio_from_events_per_second: float = Field(0.2, ge=0)  # … from this volume on
    spike_factor: float | None = Field(5, gt=1)  # errors of five minutes against those of the hour before …
    spike_from_errors_per_second: float = Field(0.5, ge=0)  # … from this rate on
    silent_after: Duration | None = 900
    forgotten_after: Duration = 604_800  # silent for so long, it is taken for gone


class PipelineThresholds(_Strict):
    ingest_stopped_after: Duration = 600
    lag_records: int = Field(1000, gt=0)  # of a group, growing
    unprocessed_share_of_retention: float = Field(0.5, gt=0, lt=1)
    dead_letters_in_ten_minutes: int = Field(10, ge=0)
    stalled_seconds: int = Field(120, gt=0)
    unacknowledged_seconds: int = Field(600, gt=0)
    archive_overdue_after: Duration = 86_400
    retention_succeeds_within: Duration | None = 172_800  # None: nothing that Prometheus knows runs the retention


class Thresholds(_Strict):
    """The whole file. page_url: where the page is for those who get alerts; runbook_url: docs/operations.md for them.

    Neither can be known here: the defaults are right on the one machine, and in a checkout.
    """

    page_url: str = "http://127.0.0.1:8082"
    runbook_url: str = "docs/operations.md"
    defaults: ServiceThresholds = ServiceThresholds()
    services: dict[str, dict[str, Any]] = {}
    pipeline: PipelineThresholds = PipelineThresholds()

    def of(self, service: str) -> ServiceThresholds:
        """The defaults with what is said of this service."""
        own = ServiceThresholds.model_validate(self.services.get(service, {}))
        return self.defaults.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def read_thresholds(content: Any) -> Thresholds:
    """Of what a YAML file held; None is an empty file. Raises ConfigurationError with every problem."""
    try:
        found = Thresholds.model_validate(content or {})
    except ValidationError as error:
        raise ConfigurationError(_problems(error, Thresholds)) from error
    problems = []
    for service in found.services:
        try:
            found.of(service)
        except ValidationError as error:
            problems += _problems(error, ServiceThresholds, f"services.{service}.")
    if problems:
        raise ConfigurationError(problems)
    return found


def _problems(error: ValidationError, model: type[BaseModel], before: str = "") -> list[str]:
    problems = []
    for one in error.errors():
        *groups, name = [str(part) for part in one["loc"]] or [""]
        said = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            of = model
            for group in groups:
                of = type(of.model_fields[group].default)
            said = f"no such threshold{similar(name, of.model_fields)}"
        problems.append(f"{before}{'.'.join([*groups, name])}: {said}")
    return problems
