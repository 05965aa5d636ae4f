from __future__ import annotations

import os
from pathlib import Path

import pytest

from agents.enrichments.catalogue import read_catalogue
from agents.enrichments.reloading import Reloading
from logsync_streams import metrics
from logsync_streams.errors import ConfigurationError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)  # as editors and configuration management do


def gauge() -> float | None:
    return metrics.REGISTRY.get_sample_value("logsync_config_last_reload_successful", {"file": "test"})


@pytest.fixture
def watched(tmp_path):
    path, clock = tmp_path / "catalogue.yaml", Clock()
    write(path, "auth: {owner: ada}\n")
    return path, clock, Reloading("test", path, read_catalogue, clock=clock, check_seconds=5)


def test_a_changed_file_is_in_force_at_the_next_look(watched):
    path, clock, catalogue = watched
    write(path, "auth: {owner: bob}\n")
    before = catalogue.value()
    clock.now = 5

    assert ("ada", "bob") == (before["auth"]["owner"], catalogue.value()["auth"]["owner"])


@pytest.mark.parametrize("text", ["auth: [", "auth: {ownr: x}", "- a"])
def test_a_wrong_file_leaves_the_old_one_in_force_and_says_so_until_it_is_right(watched, text):
    path, clock, catalogue = watched
    write(path, text)
    clock.now = 5
    old, failed = catalogue.value(), gauge()
    write(path, "auth: {owner: carol}\n")
    clock.now = 10

    assert ("ada", 0.0) == (old["auth"]["owner"], failed)
    assert ("carol", 1.0) == (catalogue.value()["auth"]["owner"], gauge())


def test_a_file_that_is_gone_leaves_the_old_one_in_force(watched):
    path, clock, catalogue = watched
    path.unlink()
    clock.now = 5

    assert ("ada", 0.0) == (catalogue.value()["auth"]["owner"], gauge())


def test_a_wrong_file_at_the_start_is_refused_with_its_line(tmp_path):
    path = tmp_path / "catalogue.yaml"
    write(path, "pay: {team: x}\nauth:\n  tier: 1\n  ownr: ada\n")
    with pytest.raises(ConfigurationError) as error:
        read_catalogue(path)

    assert "catalogue.yaml:4: auth.ownr: no such key" in str(error.value)
