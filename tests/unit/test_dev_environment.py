"""The settings of the children of `logsync dev`."""

from __future__ import annotations

import pytest

from logsync_streams.configuration import load
from logsync_streams.dev.environment import embedded
from logsync_streams.errors import ConfigurationError


def test_the_children_run_on_the_embedded_parts(tmp_path):
    settings = load(embedded({"LOGSYNC_DATA_DIR": str(tmp_path)}))

    assert settings.kafka.embedded
    assert settings.kafka.replication_factor == 1
    assert settings.store.kind == "embedded"
    assert settings.data_dir == tmp_path


def test_the_users_own_settings_are_kept():
    settings = load(embedded({"LOGSYNC_QUERY__PORT": "9999", "LOGSYNC_KAFKA__BOOTSTRAP": "127.0.0.1:9393"}))

    assert (settings.query.port, settings.kafka.bootstrap) == (9999, ["127.0.0.1:9393"])


def test_a_settings_file_for_real_servers_does_not_keep_dev_from_its_own(tmp_path):
    file = tmp_path / "logsync.yaml"
    file.write_text("store: {kind: elasticsearch}\nlog_level: debug\n")

    settings = load(embedded({"LOGSYNC_CONFIG": str(file)}))

    assert (settings.store.kind, settings.log_level) == ("embedded", "debug")


@pytest.mark.parametrize("bootstrap", ["kafka.example:9092", "127.0.0.1:9092,127.0.0.1:9093", "127.0.0.1"])
def test_a_broker_that_is_not_ours_to_start_is_refused(bootstrap):
    with pytest.raises(ConfigurationError, match="LOGSYNC_KAFKA__BOOTSTRAP"):
        embedded({"LOGSYNC_KAFKA__BOOTSTRAP": bootstrap})


def test_other_variables_reach_the_children():
    assert embedded({"PATH": "/bin"})["PATH"] == "/bin"
