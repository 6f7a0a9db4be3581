"""Time zones to choose from, as the IANA table names them; what is accepted decides the flow."""

import zoneinfo
from functools import cache

_CONTINENTS = ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")


@cache
def zones() -> tuple[str, ...]:
    """Zones of places, by name."""
    return ("UTC", *sorted(name for name in zoneinfo.available_timezones() if name.startswith(_CONTINENTS)))
