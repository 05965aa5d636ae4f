"""Geo and user agent, whose libraries are extras: without them a line says what was not tested."""

from __future__ import annotations

import importlib
import os

import pytest

from agents.enrich import configured_enrichments
from agents.enrichments.geo import geo
from agents.enrichments.user_agent import user_agent
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import ProcessSettings
from tests.unit.samples import event


def needs(library: str) -> None:
    try:
        importlib.import_module(library)
    except ImportError:
        if os.environ.get("LOGSYNC_REQUIRE_REAL") == "1":
            raise
        pytest.skip(f"{library} is not installed: an enrichment that needs it was not tested")


def located(step, **source):
    one = event(source=source)
    step(one)
    return one.fields["source"]


@pytest.fixture
def databases(tmp_path):
    needs("maxminddb")
    needs("mmdb_writer")
    from mmdb_writer import MMDBWriter
    from netaddr import IPSet

    city, asn = tmp_path / "city.mmdb", tmp_path / "asn.mmdb"
    writer = MMDBWriter(6, "Test-City", ipv4_compatible=True)
    place = {
        "country": {"iso_code": "DE"},
        "city": {"names": {"en": "Berlin", "de": "Berlin"}},
        "subdivisions": [{"names": {"en": "Land Berlin"}}],
        "location": {"latitude": 52.5, "longitude": 13.4},
    }
    writer.insert_network(IPSet(["81.2.69.0/24"]), place)
    writer.to_db_file(str(city))
    writer = MMDBWriter(6, "Test-ASN", ipv4_compatible=True)
    network = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net"}
    writer.insert_network(IPSet(["81.2.69.0/24"]), network)
    writer.to_db_file(str(asn))
    return city, asn


def test_place_and_network_of_a_public_address(databases):
    assert {
        "ip": "81.2.69.142",
        "geo": {
            "country_iso_code": "DE",
            "region_name": "Land Berlin",
            "city_name": "Berlin",
            "location": {"lat": 52.5, "lon": 13.4},
        },
        "as": {"number": 64500, "organization": {"name": "Example Net"}},
    } == located(geo(*databases), ip="81.2.69.142")


@pytest.mark.parametrize("ip", ["10.0.0.1", "127.0.0.1", "192.168.1.1", "fd00::1", "::1", "169.254.1.1"])
def test_a_private_address_is_named_as_such(databases, ip):
    assert {"name": "private"} == located(geo(*databases), ip=ip)["geo"]


def test_an_address_that_is_nowhere_gets_nothing_and_the_senders_own_place_wins(databases):
    step = geo(*databases)

    assert {"ip": "8.8.8.8"} == located(step, ip="8.8.8.8")
    assert {"country_iso_code": "FR"} == located(step, ip="81.2.69.142", geo={"country_iso_code": "FR"})["geo"]


def test_databases_in_each_others_place_are_refused(databases):
    city, asn = databases
    with pytest.raises(ConfigurationError, match="a database of Test-ASN: City or Country is expected"):
        geo(asn, city)


def test_a_file_that_is_no_database_or_not_there_is_named_with_its_setting(databases, tmp_path):
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"nothing" * 100)
    with pytest.raises(ConfigurationError, match="GEO_CITY_FILE"):
        geo(broken, None)
    with pytest.raises(ConfigurationError, match="GEO_CITY_FILE"):
        geo(tmp_path / "none.mmdb", None)


def test_without_a_database_the_country_is_that_of_the_registries():
    needs("iptocc")

    assert {"country_iso_code": "US"} == located(geo(None, None), ip="8.8.8.8")["geo"]


def test_a_user_agent_is_taken_apart():
    needs("ua_parser")
    original = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"
    one, labelled = event(user_agent={"original": original}), event(labels={"User-Agent": original})
    for each in (one, labelled):
        user_agent()(each)

    assert ("Firefox", "139.0", "Ubuntu") == (
        one.fields["user_agent"]["name"],
        one.fields["user_agent"]["version"],
        one.fields["user_agent"]["os"]["name"],
    )
    assert one.fields["user_agent"] == labelled.fields["user_agent"]


def test_an_event_without_a_user_agent_is_left_alone():
    needs("ua_parser")
    one = event(message="x", labels={"a": "b"})
    user_agent()(one)

    assert {"message": "x", "labels": {"a": "b"}} == one.fields


def test_all_problems_of_all_files_come_together(tmp_path):
    settings = ProcessSettings(
        messages_file=tmp_path / "m", catalogue_file=tmp_path / "c", geo=True, geo_city_file=tmp_path / "g"
    )
    with pytest.raises(ConfigurationError) as error:
        configured_enrichments(settings)

    assert 3 == len(error.value.problems)
