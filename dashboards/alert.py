"""One alert, and how it becomes a rule of Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboards.thresholds import Thresholds


@dataclass(frozen=True)
class Alert:
    """One rule. wait: Prometheus' `for`. summary: with the labels and the value. search: a query string of the page."""

    name: str
    expression: str
    severity: str
    summary: str
    wait: str = ""
    search: str = ""

    def rule(self, thresholds: Thresholds) -> dict[str, Any]:
        annotations = {"summary": self.summary, "runbook_url": f"{thresholds.runbook_url}#{self.name.lower()}"}
        if self.search:
            annotations["search_url"] = f"{thresholds.page_url.rstrip('/')}/?{self.search}"
        return {
            "alert": self.name,
            "expr": self.expression,
            **({"for": self.wait} if self.wait else {}),
            "labels": {"severity": self.severity},
            "annotations": annotations,
        }


def moment(expression: str, *values: str) -> str:
    """A template's piece: epoch milliseconds of an expression in seconds, at the evaluation that the summary is of.

    values: what stands in for each %f of it.
    """
    query = f'(printf "{expression}" {" ".join(values)})' if values else f'"{expression}"'
    return f'{{{{ with query {query} }}}}{{{{ first . | value | printf "%.0f" }}}}{{{{ end }}}}000'
