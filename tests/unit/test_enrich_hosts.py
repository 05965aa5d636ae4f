from __future__ import annotations

from pathlib import Path

import pytest

from agents.enrichments.hosts import read_hosts, watched_hosts
from logsync_streams.errors import ConfigurationError
from logsync_streams.storage.mapping import FIELDS
from tests.unit.samples import event


def hosts(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    return path


def test_a_hosts_facts_are_added_and_the_senders_own_values_win(tmp_path):
    add = watched_hosts(hosts(tmp_path, "web-1: {cloud.region: eu-1, host.os.name: Debian, host.os.version: '12'}\n"))
    one = event(host={"name": "web-1", "os": {"version": "13"}})
    add(one)

    assert {"name": "web-1", "os": {"name": "Debian", "version": "13"}} == one.fields["host"]
    assert {"region": "eu-1"} == one.fields["cloud"]


def test_a_host_that_nobody_knows_passes_unchanged(tmp_path):
    add = watched_hosts(hosts(tmp_path, "web-1: {cloud.region: eu-1}\n"))
    unknown, nameless = event(host={"name": "web-2"}), event(message="x")
    add(unknown)
    add(nameless)

    assert ({"host": {"name": "web-2"}}, {"message": "x"}) == (unknown.fields, nameless.fields)


def test_two_events_of_a_host_share_nothing_that_one_could_change(tmp_path):
    add = watched_hosts(hosts(tmp_path, "web-1: {host.os.name: Debian}\n"))
    first, second = event(host={"name": "web-1"}), event(host={"name": "web-1"})
    add(first)
    first.fields["host"]["name"] = "changed"
    add(second)

    assert "web-1" == second.fields["host"]["name"]


def test_a_wrong_key_is_named_with_its_host_and_every_right_one_can_be_searched(tmp_path):
    with pytest.raises(ConfigurationError) as error:
        read_hosts(hosts(tmp_path, "web-1: {region: eu-1}\n"))

    assert "web-1.region: no such key" in str(error.value)
    assert [] == [
        key for key in str(error.value).rpartition("one of ")[2].split(" is ")[0].split(", ") if key not in FIELDS
    ]
