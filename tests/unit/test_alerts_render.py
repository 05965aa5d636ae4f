"""`logsync alerts render`, and the file of thresholds."""

from __future__ import annotations

import re

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from typer.testing import CliRunner

from dashboards.generate import FOLDER, stale, write
from dashboards.pipeline_alerts import pipeline_alerts
from dashboards.rules import rule_files, service_alerts
from dashboards.thresholds import Thresholds, read_thresholds, seconds
from logsync_streams import metrics
from logsync_streams.cli import alerts
from logsync_streams.cli.commands import application
from logsync_streams.errors import ConfigurationError
from tests.documents import ROOT

ALERTS = service_alerts(Thresholds()) + pipeline_alerts(Thresholds())
PROMETHEUS_OWN = {"up"}


def exposed_names() -> set[str]:
    names = set()
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (described,) = metric.describe()
            ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
            names |= {described.name + end for end in ends.get(described.type, [""])}
    return names


def test_every_metric_in_a_rule_is_in_the_vocabulary():
    named = {name for alert in ALERTS for name in re.findall(r"\b(?:log(?:sync)?_\w+|up)\b", alert.expression)}

    assert named - exposed_names() == PROMETHEUS_OWN


def test_every_alert_has_a_runbook():
    headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)

    assert [alert.name for alert in ALERTS if alert.name not in headings] == []


def test_the_originals_threshold_is_the_default():
    (alert,) = [alert for alert in ALERTS if alert.name == "ServiceErrorRateHigh"]

    assert "sum by (service) (rate(log_errors_total[5m])) > 10" == alert.expression


def test_a_service_may_have_a_threshold_of_its_own_or_none():
    thresholds = read_thresholds({"services": {"a.b": {"error_ratio": 0.5}, "c": {"error_ratio": None}}})
    (alert,) = [alert for alert in service_alerts(thresholds) if alert.name == "ServiceErrorRatioHigh"]

    assert 'service!~"a\\\\.b|c"' in alert.expression
    assert 'service=~"a\\\\.b"' in alert.expression
    assert 'service=~"c"' not in alert.expression


def test_the_example_of_a_file_shows_the_defaults():
    example = read_thresholds(yaml.safe_load((FOLDER / "prometheus" / "thresholds.example.yml").read_text()))

    assert Thresholds() == example.model_copy(update={"services": {}})


def test_an_alert_that_nobody_wants_is_left_out():
    thresholds = read_thresholds({"defaults": {"spike_factor": None}})

    assert "ServiceErrorSpike" not in [alert.name for alert in service_alerts(thresholds)]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (
            {"defaults": {"errors_per_secnd": 1}},
            "defaults.errors_per_secnd: no such threshold; did you mean errors_per_second?",
        ),
        (
            {"services": {"a": {"spike_facto": 1}}},
            "services.a.spike_facto: no such threshold; did you mean spike_factor?",
        ),
        ({"pipeline": {"zzz": 1}}, "pipeline.zzz: no such threshold"),
        ({"default": {}}, "default: no such threshold; did you mean defaults?"),
        ({"defaults": {"silent_after": 5}}, "defaults.silent_after: a duration such as 90s, 15m"),
        ({"services": {"a": {"silent_after": 5}}}, "services.a.silent_after: a duration such as 90s, 15m"),
        ({"services": {"auth": {"silent_after": "soon"}}}, "services.auth.silent_after: a duration such as"),
        ({"services": {"auth": {"error_ratio": 2}}}, "services.auth.error_ratio"),
        ({"pipeline": {"lag_records": 0}}, "pipeline.lag_records"),
        (["no", "mapping"], "dictionary"),
    ],
)
def test_a_mistake_in_the_thresholds_is_named(content, named):
    with pytest.raises(ConfigurationError) as caught:
        read_thresholds(content)

    assert named in "\n".join(caught.value.problems)


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("15m", 900), ("26h", 93_600), ("7d", 604_800)])
def test_durations(text, expected):
    assert expected == seconds(text)


def test_render_writes_the_rules_with_the_files_thresholds(tmp_path):
    file = tmp_path / "thresholds.yml"
    file.write_text("page_url: https://logs.example.org/\ndefaults: {errors_per_second: 3}\n")
    done = CliRunner().invoke(application, ["alerts", "render", "--thresholds", str(file), "-o", str(tmp_path / "out")])

    assert 0 == done.exit_code
    (first, *_) = yaml.safe_load((tmp_path / "out" / "services.yml").read_text())["groups"][0]["rules"]
    assert first["expr"].endswith("> 3")
    assert first["annotations"]["search_url"].startswith("https://logs.example.org/?q=service%3A")


def test_render_prints_yaml_documents_without_a_folder(capsys):
    alerts.render(None, None)

    printed = re.split(r"^---\n", capsys.readouterr().out, flags=re.MULTILINE)

    assert list(rule_files(Thresholds()).values()) == printed


def test_render_says_which_addresses_only_the_operator_knows(capsys, tmp_path):
    alerts.render(None, None)
    unset = capsys.readouterr().err
    file = tmp_path / "thresholds.yml"
    file.write_text("page_url: https://logs.example.org\nrunbook_url: https://git.example.org/operations.md\n")
    alerts.render(file, None)

    assert ["page_url", "runbook_url"] == re.findall(r"(\w+) is not set in --thresholds", unset)
    assert "" == capsys.readouterr().err


def test_where_a_scheduler_runs_the_retention_its_absence_is_no_alert():
    thresholds = read_thresholds({"pipeline": {"retention_succeeds_within": None}})

    assert "RetentionMissing" not in [alert.name for alert in pipeline_alerts(thresholds)]


def test_a_file_of_thresholds_that_is_wrong_is_named(tmp_path):
    file = tmp_path / "thresholds.yml"
    file.write_text("pipeline: {lag: 5}\n")
    with pytest.raises(ConfigurationError) as caught:
        alerts.render(file, None)

    assert f"{file}: pipeline.lag" in caught.value.problems[0]


def test_the_generated_files_are_as_their_sources_say():
    assert stale() == [], "run `make dashboards`"


def test_a_generated_file_that_was_edited_or_is_missing_is_stale(tmp_path):
    assert set(write(tmp_path)) == set(stale(tmp_path / "nothing here"))
    assert stale(tmp_path) == []
    path = next(path for path in tmp_path.rglob("*.yml"))
    path.write_text("edited")

    assert [path.relative_to(tmp_path)] == stale(tmp_path)
    assert FOLDER != tmp_path
