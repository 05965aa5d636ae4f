"""`source.geo.*` and `source.as.*`: where a public `source.ip` is, and whose network; a private one is named so.

From MaxMind databases that the user has (City or Country, and ASN); without them the country alone, out of the
registries' data in the library iptocc.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from logsync_streams.errors import ConfigurationError
from logsync_streams.events import Event

PRIVATE = "private"
_CACHED_ADDRESSES = 8192

# An address -> the fields to set below `source`, {} when nothing is known.
Lookup = Callable[[str], dict[str, Any]]


def geo(city_file: Path | None, asn_file: Path | None) -> Callable[[Event], None]:
    """The enrichment. Without files: the country only. Raises ConfigurationError: a file or a library is missing."""
    lookups = []
    if city_file is not None:
        lookups.append(_place(_database(city_file, "LOGSYNC_PROCESS__GEO_CITY_FILE", ("City", "Country"))))
    else:
        lookups.append(_country())
    if asn_file is not None:
        lookups.append(_network(_database(asn_file, "LOGSYNC_PROCESS__GEO_ASN_FILE", ("ASN",))))

    @lru_cache(maxsize=_CACHED_ADDRESSES)
    def known(ip: str) -> dict[str, Any]:
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return {}
        if not address.is_global:
            return {"geo": {"name": PRIVATE}}
        found: dict[str, Any] = {}
        for lookup in lookups:
            found |= lookup(ip)
        return found

    def add_geo(event: Event) -> None:
        source = event.fields.get("source")
        if source and (ip := source.get("ip")) and (found := known(ip)):
            event.fields["source"] = {**found, **source}  # the sender's own values win

    return add_geo


def _database(path: Path, setting: str, kinds: tuple[str, ...]) -> Any:
    try:
        import maxminddb
    except ImportError as error:
        raise ConfigurationError([f"{setting}: needs the extra: pip install 'logsync-streams[geo]'"]) from error
    try:
        database = maxminddb.open_database(str(path))
    except OSError as error:
        raise ConfigurationError([f"{setting}: {str(path)!r}: {error.strerror or error}"]) from error
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise ConfigurationError([f"{setting}: {str(path)!r} is no MaxMind database: {error}"]) from error
    kind = database.metadata().database_type
    if not any(word in kind for word in kinds):
        raise ConfigurationError(
            [f"{setting}: {str(path)!r} is a database of {kind}: {' or '.join(kinds)} is expected"]
        )
    return database


def _place(database: Any) -> Lookup:
    def lookup(ip: str) -> dict[str, Any]:
        record = _found(database, ip)
        country = record.get("country") or record.get("registered_country") or {}
        regions = record.get("subdivisions") or [{}]
        place = {
            "country_iso_code": country.get("iso_code"),
            "region_name": _english(regions[0]),
            "city_name": _english(record.get("city") or {}),
        }
        at = record.get("location") or {}
        if "latitude" in at and "longitude" in at:
            place["location"] = {"lat": at["latitude"], "lon": at["longitude"]}
        place = {name: value for name, value in place.items() if value}
        return {"geo": place} if place else {}

    return lookup


def _network(database: Any) -> Lookup:
    def lookup(ip: str) -> dict[str, Any]:
        record = _found(database, ip)
        network: dict[str, Any] = {}
        if record.get("autonomous_system_number"):
            network["number"] = record["autonomous_system_number"]
        if record.get("autonomous_system_organization"):
            network["organization"] = {"name": record["autonomous_system_organization"]}
        return {"as": network} if network else {}

    return lookup


def _country() -> Lookup:
    try:
        import iptocc
    except ImportError as error:
        raise ConfigurationError(
            ["LOGSYNC_PROCESS__GEO: needs GEO_CITY_FILE, or the extra: pip install 'logsync-streams[geo]'"]
        ) from error

    def lookup(ip: str) -> dict[str, Any]:
        code = iptocc.country_code(ip)
        return {"geo": {"country_iso_code": code}} if code else {}

    return lookup


def _found(database: Any, ip: str) -> dict[str, Any]:
    try:
        record = database.get(ip)
    except ValueError:  # an IPv6 address in a database of IPv4
        return {}
    return record if isinstance(record, dict) else {}


def _english(named: dict[str, Any]) -> str | None:
    name = (named.get("names") or {}).get("en")
    return name if isinstance(name, str) else None
