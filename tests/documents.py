"""The tables of docs/reference.md, made from the code: `python -m tests.documents` writes them anew.

A test compares them, so a setting or a metric without its line there does not pass.
"""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from logsync_streams import metrics
from logsync_streams.configuration import described

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference.md"


def settings_table() -> str:
    rows = [f"| `{name}` | {_code(default)} | {_cell(text)} |" for name, default, text in described()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def metrics_table() -> str:
    rows = []
    for metric in vars(metrics).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        (described,) = metric.describe()
        name = described.name + {"counter": "_total", "info": "_info"}.get(described.type, "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        rows.append(f"| `{name}` | {described.type} | {labels} | {_cell(described.documentation)} |")
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows])


TABLES = {"settings": settings_table, "metrics": metrics_table}


def table_in(text: str, name: str) -> str:
    """What stands between the marks of a table. ValueError when the marks are missing."""
    found = re.search(_between(name), text, re.DOTALL)
    if found is None:
        raise ValueError(f"docs/reference.md has no place for the table of {name}")
    return found[2]


def with_tables(text: str) -> str:
    """The text with every table as the code has it."""
    for name, make in TABLES.items():
        before, _, rest = text.partition(f"<!-- {name}: ")
        mark, _, rest = rest.partition("\n")
        _, end, after = rest.partition(f"\n<!-- end of {name} -->")
        text = f"{before}<!-- {name}: {mark}\n{make()}{end}{after}"
    return text


def _between(name: str) -> str:
    return rf"(<!-- {name}: [^\n]* -->\n)(.*?)(\n<!-- end of {name} -->)"


def _code(text: str) -> str:
    return f"`{text}`" if text else "–"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    REFERENCE.write_text(with_tables(REFERENCE.read_text()))
