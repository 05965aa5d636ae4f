"""The command line: quick, helpful, and never a traceback for what the user can mend."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
import yaml


def logsync(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOGSYNC_")}
    return subprocess.run(
        [sys.executable, "-m", "logsync_streams.cli", *arguments],
        env={**clean, "COLUMNS": "120", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_lists_every_subcommand():
    done = logsync("--help")

    assert done.returncode == 0
    for name in ("dev", "collect", "query", "topics", "check-config", "config", "send", "search"):
        assert name in done.stdout


@pytest.mark.parametrize(
    "command", [["dev"], ["collect"], ["query"], ["topics", "create"], ["topics", "check"], ["send"], ["search"]]
)
def test_every_subcommand_has_help(command):
    done = logsync(*command, "--help")

    assert done.returncode == 0, done.stderr
    assert "Usage: logsync " + " ".join(command) in done.stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['logsync', '--help']\n"
        "from logsync_streams.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'aiokafka', 'faust', 'elasticsearch', 'tantivy', 'starlette', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.splitlines()[-1] == "[]"


def test_every_wrong_setting_is_named_on_a_line_of_its_own():
    done = logsync(
        "check-config",
        environment={"LOGSYNC_WEB__PORT": "many", "LOGSYNC_KAFKA__BOOTSTRP": "x", "LOGSYNC_ROLES": "run"},
    )

    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 3, done.stderr
    assert any("LOGSYNC_WEB__PORT" in line and "'many'" in line for line in lines)
    assert any("did you mean LOGSYNC_KAFKA__BOOTSTRAP?" in line for line in lines)
    assert any("LOGSYNC_ROLES" in line for line in lines)


@pytest.mark.parametrize("command", [["dev"], ["collect"], ["query"], ["topics", "create"]])
def test_no_command_answers_wrong_settings_with_a_traceback(command):
    done = logsync(*command, environment={"LOGSYNC_QUERY__PORT": "-1"})

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("logsync: LOGSYNC_QUERY__PORT")


def test_check_config_reads_the_files_that_settings_name(tmp_path):
    (tmp_path / "policies.json").write_text('{"retention_policies": {"a": {"retention_days": "long"}}}')
    (tmp_path / "catalogue.yaml").write_text("- no mapping\n")
    done = logsync(
        "check-config",
        environment={
            "LOGSYNC_RETENTION__POLICIES_FILE": str(tmp_path / "policies.json"),
            "LOGSYNC_PROCESS__CATALOGUE_FILE": str(tmp_path / "catalogue.yaml"),
        },
    )

    assert done.returncode == 2
    assert "retention_days" in done.stderr
    assert "catalogue.yaml" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {
                "STORE__USERNAME": "logsync",
                "STORE__PASSWORD_FILE": "/nope/1",
                "STORE__CA_FILE": "/nope/2",
                "COLLECTOR__FORWARD_SHARED_KEY_FILE": "/nope/3",
                "COLLECTOR__TLS_CERTIFICATE_FILE": "/nope/4",
            },
            [
                "COLLECTOR__TLS_CERTIFICATE_FILE: '/nope/4': ",
                "COLLECTOR__FORWARD_SHARED_KEY_FILE: '/nope/3': ",
                "STORE__PASSWORD_FILE: '/nope/1' cannot be read: ",
                "STORE__CA_FILE: '/nope/2': ",
            ],
        ),
        (
            {"STORE__USERNAME": "logsync", "COLLECTOR__FORWARD_TLS": "true"},
            ["COLLECTOR__FORWARD_TLS: needs ", "STORE__USERNAME: 'logsync': a password is expected, too"],
        ),
        ({"STORE__PASSWORD_FILE": "/nope/1"}, ["STORE__PASSWORD_FILE: '/nope/1' cannot be read: "]),
    ],
)
def test_check_config_reads_the_secrets_and_certificates_that_settings_name(given, said):
    done = logsync("check-config", environment={f"LOGSYNC_{name}": value for name, value in given.items()})
    lines = done.stderr.splitlines()

    assert done.returncode == 2
    assert len(lines) == len(said), done.stderr
    for line, beginning in zip(lines, said, strict=True):
        assert line.startswith(f"logsync: LOGSYNC_{beginning}")


def test_check_config_says_so_when_all_is_well():
    done = logsync("check-config")

    assert (done.returncode, done.stdout) == (0, "the settings are good\n")


def test_config_show_blacks_out_secrets():
    done = logsync("config", "show", environment={"LOGSYNC_STORE__PASSWORD": "hunter2", "LOGSYNC_WEB__PORT": "7000"})

    assert done.returncode == 0
    assert "hunter2" not in done.stdout
    assert yaml.safe_load(done.stdout)["web"]["port"] == 7000


def test_config_show_can_be_read_back(tmp_path):
    file = tmp_path / "logsync.yaml"
    file.write_text(logsync("config", "show").stdout)

    assert logsync("config", "show", environment={"LOGSYNC_CONFIG": str(file)}).stdout == file.read_text()


def test_an_unreachable_broker_is_one_sentence():
    done = logsync("topics", "create", environment={"LOGSYNC_KAFKA__BOOTSTRAP": "127.0.0.1:1"})

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "logsync: LOGSYNC_KAFKA__BOOTSTRAP: '127.0.0.1:1': no broker answers there: start Kafka, or correct the address"
    )
    assert "Traceback" not in done.stderr


def test_a_store_that_is_away_is_one_sentence_with_its_setting():
    done = logsync("retention", "plan", environment={"LOGSYNC_STORE__ELASTICSEARCH_URLS": "http://127.0.0.1:1"})

    assert done.returncode == 2
    assert done.stderr == (
        "logsync: LOGSYNC_STORE__ELASTICSEARCH_URLS: 'http://127.0.0.1:1': the store cannot be reached: "
        "start Elasticsearch, or correct the address\n"
    )


def test_a_query_api_that_is_away_is_one_sentence_and_its_address_may_be_in_the_environment():
    done = logsync("alerts", "backtest", environment={"LOGSYNC_URL": "http://127.0.0.1:1"})

    assert done.returncode == 2
    assert done.stderr.startswith("logsync: http://127.0.0.1:1 cannot be asked")
    assert len(done.stderr.splitlines()) == 1


def test_a_port_of_the_retentions_metrics_that_is_taken_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = logsync("retention", "serve", environment={"LOGSYNC_RETENTION__METRICS_PORT": port})

    assert done.returncode == 2
    assert done.stderr.startswith(f"logsync: LOGSYNC_RETENTION__METRICS_PORT: 127.0.0.1:{port} cannot be listened on")
    assert len(done.stderr.splitlines()) == 1


def test_a_data_folder_that_cannot_be_used_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    done = logsync("dev", environment={"LOGSYNC_DATA_DIR": str(tmp_path / "file")})

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "LOGSYNC_DATA_DIR" in done.stderr


def test_version_is_printed():
    assert logsync("--version").stdout.startswith("logsync-streams ")
