"""The quiet hours of a candidate: country row, shipped tables, added holidays and zones made into what rules.quiet_hours judges.

    hours = quiet_hours(view, candidate, "sms")
    next_opening(hours, now)

The shipped tables (config/countries.toml, holidays.toml, area_codes.toml) are read once per process.
"""

import json
from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from typing import Any
from zoneinfo import available_timezones

import config
from gateway.errors import Refused
from gateway.flows.facts import country_of, kept_all, organisation
from gateway.rules.quiet_hours import ALWAYS, QuietHours, Week
from gateway.rules.zones import HOURS_OF, subdivision_of, zones_of
from gateway.store.database import Row, View


@cache
def country_table() -> Mapping[str, Mapping[str, Any]]:
    """The shipped row of every country, by ISO code."""
    return {row["iso"]: row for row in config.table("countries.toml")["country"]}


@cache
def unknown_country() -> Mapping[str, Any]:
    """What holds for a country that has no row."""
    row: Mapping[str, Any] = config.table("countries.toml")["unknown"]
    return row


@cache
def _state_table() -> Mapping[str, Mapping[str, Any]]:
    return {row["code"]: row for row in config.table("countries.toml")["subdivision"]}


@cache
def area_codes() -> Mapping[str, str]:
    """Area code of +1 → state or province."""
    return {f"{code}": state for state, codes in config.table("area_codes.toml").items() for code in codes}


@cache
def calendar() -> Mapping[str, Any]:
    """The shipped holidays: `version`, `until`, and a table per country and state."""
    return config.table("holidays.toml")


@lru_cache(maxsize=128)
def shipped_holidays(iso: str) -> frozenset[date]:
    """The public holidays of a country or state, as far as the table reaches."""
    years = calendar().get(iso, {})
    return frozenset(date.fromisoformat(f"{year}-{day}") for year, days in years.items() for day in days.split())


def check_zone(zone: str) -> None:
    """Raises Refused `invalid_timezone` for what is no IANA zone."""
    if "/" not in zone or zone not in available_timezones():
        raise Refused("invalid_timezone", 422, "A time zone is written like Europe/Stockholm.", field="zone")


def where(e164: str | None, iso: str | None) -> str | None:
    """The subdivision that a number tells."""
    return subdivision_of(e164, iso, area_codes())


def quiet_hours(view: View, candidate: Row, channel: str) -> QuietHours:
    """When this candidate may be written to on this channel."""
    iso = candidate["country"] or ""
    country = country_of(view, iso, channel)
    stored = '"default"' if country is None else country["hours"]
    if stored == '"always"':
        return ALWAYS
    own_zone = organisation(view, candidate["organisation_id"])["zone"]
    added = tuple(row["day"] for row in kept_all(view, ("holidays", iso), "SELECT day FROM holiday WHERE iso = ?", iso))
    return _hours(stored, iso, candidate["subdivision"], candidate["phone"], candidate["zone"], own_zone, added)


def links_are_forbidden(view: View, iso: str | None, channel: str) -> bool:
    """Whether texts to this country may hold no web address: as its row says, else as the shipped table does."""
    if channel != "sms":
        return False
    country = country_of(view, iso, channel)
    own = None if country is None else country["links"]
    return bool((own or country_table().get(iso or "", {}).get("links", "allowed")) == "forbidden")


def hours_of_country(stored: str, iso: str, sim_zone: str, added: tuple[str, ...] = ()) -> QuietHours:
    """The hours of a country as such, for showing them: every zone it has."""
    return _hours(stored, iso, None, None, None, sim_zone, added)


@lru_cache(maxsize=2048)
def _hours(
    stored: str, iso: str, subdivision: str | None, e164: str | None, told_zone: str | None, sim_zone: str, added: tuple[str, ...]
) -> QuietHours:
    own = json.loads(stored)
    if own == "always":
        return ALWAYS
    row = country_table().get(HOURS_OF.get(iso, iso))
    weeks = [Week.read(own if isinstance(own, dict) else row if row is not None else unknown_country())]
    state = _state_table().get(subdivision or "")
    if state is not None and not isinstance(own, dict):
        weeks.append(Week.read(state))
    listed = row["zones"] if row is not None and iso not in HOURS_OF else ()
    zones = (told_zone,) if told_zone else zones_of(e164, iso, subdivision, listed) or (sim_zone,)
    days = shipped_holidays(HOURS_OF.get(iso, iso)) | {date.fromisoformat(day) for day in added}
    if subdivision is not None:
        days |= shipped_holidays(subdivision)
    return QuietHours(tuple(weeks), zones, days)
