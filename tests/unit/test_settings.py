from __future__ import annotations

import re

import pytest

from logsync_streams.configuration import described, load
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import Settings, is_quotable


def problems(**environment: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        load(environment)
    return str(error.value)


def test_a_value_of_the_wrong_kind_is_quoted_with_its_name():
    assert "LOGSYNC_KAFKA__PARTITIONS: 'abc'" in problems(LOGSYNC_KAFKA__PARTITIONS="abc")


def test_all_mistakes_are_reported_together():
    found = problems(LOGSYNC_KAFKA__PARTITIONS="abc", LOGSYNC_WEB__PORT="70000")

    assert "PARTITIONS" in found
    assert "WEB__PORT" in found


def test_a_misspelt_setting_is_refused_and_the_right_one_suggested():
    assert "did you mean LOGSYNC_KAFKA__BOOTSTRAP?" in problems(LOGSYNC_KAFKA__BOOTSTRP="x")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "logs.example.com"])
@pytest.mark.parametrize("name", ["COLLECTOR__HTTP_HOST", "COLLECTOR__SYSLOG_HOST", "QUERY__HOST", "WEB__HOST"])
def test_listening_elsewhere_than_on_loopback_is_refused(name, host):
    assert "a loopback address is expected" in problems(**{f"LOGSYNC_{name}": host})


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / "logsync.yaml"
    file.write_text("kafka: {partitions: 7, bootstrap: 'a:1'}\n")
    settings = load({"LOGSYNC_CONFIG": str(file), "LOGSYNC_KAFKA__PARTITIONS": "9"})

    assert (9, ["a:1"]) == (settings.kafka.partitions, settings.kafka.bootstrap)


def test_a_password_never_shows_in_a_message_or_a_dump():
    settings = load({"LOGSYNC_STORE__PASSWORD": "hunter2-canary"})

    assert "hunter2-canary" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    "text",
    [
        "store: {elasticsearch_urls: 'https://u:hunter2-canary@es:9200'}",
        "store: {password: [hunter2-canary]}",
        "collector: {forward_shared_key: [hunter2-canary]}",
        "retention: {s3_endpoint_url: ['https://u:hunter2-canary@s3']}",
        "retention: {s3_endpoint_url: 'https://u:hunter2-canary@s3'}",
        "store: [hunter2-canary]",
        "store: {pasword: hunter2-canary}",
    ],
)
def test_what_may_be_a_secret_is_not_quoted_when_it_is_wrong(text, tmp_path):
    file = tmp_path / "logsync.yaml"
    file.write_text(text)
    found = problems(LOGSYNC_CONFIG=str(file))

    assert "LOGSYNC_" + text.partition(":")[0].upper() in found
    assert "hunter2-canary" not in found


def test_every_setting_that_is_a_url_is_never_quoted():
    groups = [Settings, *(type(info.default) for info in Settings.model_fields.values())]
    fields = {name: info for group in groups for name, info in getattr(group, "model_fields", {}).items()}
    urls = {name for name in fields if re.search(r"_urls?$", name)}

    assert {"elasticsearch_urls", "s3_endpoint_url"} <= urls
    assert [] == [name for name in urls if is_quotable(fields[name])]


def test_rules_that_are_no_json_are_named_and_a_whole_group_is_no_setting():
    name = "LOGSYNC_PROCESS__FILTER_RULES"

    assert f"{name}: '[bad': JSON is expected" in problems(LOGSYNC_PROCESS__FILTER_RULES="[bad")
    assert "LOGSYNC_STORE: no such setting; did you mean LOGSYNC_STORE__KIND?" == problems(LOGSYNC_STORE="{canary")


def test_more_copies_in_sync_than_there_are_is_refused():
    expected = "LOGSYNC_KAFKA__MIN_INSYNC_REPLICAS: 2: at most LOGSYNC_KAFKA__REPLICATION_FACTOR (1) is expected"

    assert expected == problems(LOGSYNC_KAFKA__REPLICATION_FACTOR="1")
    assert load({"LOGSYNC_KAFKA__REPLICATION_FACTOR": "1", "LOGSYNC_KAFKA__MIN_INSYNC_REPLICAS": "1"})


def test_a_password_in_a_url_is_refused():
    assert "password_file" in problems(LOGSYNC_STORE__ELASTICSEARCH_URLS="http://u:p@h:9200")


def test_every_setting_says_what_it_is_for():
    assert [] == [name for name, _, text in described() if not text]
