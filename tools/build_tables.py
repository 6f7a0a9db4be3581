"""Builds the offline tables that Ringpost ships, from libraries it does not need at run time. Run by hand; the result is kept.

    python tools/build_tables.py [FIRST_YEAR LAST_YEAR]

config/holidays.toml    public holidays per country and state, from the `holidays` library
config/area_codes.toml  area codes of +1 per state and province, from the names in `phonenumbers`
"""

import sys
from datetime import date
from pathlib import Path

import holidays
from phonenumbers.geodata import GEOCODE_DATA

import config

HERE = Path(config.__file__).parent
STATES = {
    "Alabama": "US-AL",
    "Alaska": "US-AK",
    "Arizona": "US-AZ",
    "Arkansas": "US-AR",
    "California": "US-CA",
    "Colorado": "US-CO",
    "Connecticut": "US-CT",
    "Delaware": "US-DE",
    "Florida": "US-FL",
    "Georgia": "US-GA",
    "Hawaii": "US-HI",
    "Idaho": "US-ID",
    "Illinois": "US-IL",
    "Indiana": "US-IN",
    "Iowa": "US-IA",
    "Kansas": "US-KS",
    "Kentucky": "US-KY",
    "Louisiana": "US-LA",
    "Maine": "US-ME",
    "Maryland": "US-MD",
    "Massachusetts": "US-MA",
    "Michigan": "US-MI",
    "Minnesota": "US-MN",
    "Mississippi": "US-MS",
    "Missouri": "US-MO",
    "Montana": "US-MT",
    "Nebraska": "US-NE",
    "Nevada": "US-NV",
    "New Hampshire": "US-NH",
    "New Jersey": "US-NJ",
    "New Mexico": "US-NM",
    "New York": "US-NY",
    "North Carolina": "US-NC",
    "North Dakota": "US-ND",
    "Ohio": "US-OH",
    "Oklahoma": "US-OK",
    "Oregon": "US-OR",
    "Pennsylvania": "US-PA",
    "Rhode Island": "US-RI",
    "South Carolina": "US-SC",
    "South Dakota": "US-SD",
    "Tennessee": "US-TN",
    "Texas": "US-TX",
    "Utah": "US-UT",
    "Vermont": "US-VT",
    "Virginia": "US-VA",
    "Washington State": "US-WA",
    "Washington D.C.": "US-DC",
    "West Virginia": "US-WV",
    "Wisconsin": "US-WI",
    "Wyoming": "US-WY",
    "Alberta": "CA-AB",
    "British Columbia": "CA-BC",
    "British Colombia": "CA-BC",
    "Manitoba": "CA-MB",
    "New Brunswick": "CA-NB",
    "Newfoundland and Labrador": "CA-NL",
    "Nova Scotia/Prince Edward Island": "CA-NS",
    "Northwest Territories/Nunavut/Yukon": "CA-NT",
    "Ontario": "CA-ON",
    "Quebec": "CA-QC",
    "Saskatchewan": "CA-SK",
}
CITIES = {
    "IL": "US-IL",
    "CA": "US-CA",
    "QC": "CA-QC",
    "NY": "US-NY",
    "FL": "US-FL",
    "PA": "US-PA",
    "TX": "US-TX",
    "ON": "CA-ON",
}
WITH_STATES = ("US", "CA", "DE", "AT", "CH", "AU", "GB")


def area_codes() -> str:
    """Area code → state, one line per state."""
    found: dict[str, list[str]] = {}
    for prefix, names in GEOCODE_DATA.items():
        if len(prefix) == 4 and prefix.startswith("1") and "en" in names:
            name = names["en"]
            state = STATES.get(name) or CITIES[name.rpartition(", ")[2]]
            found.setdefault(state, []).append(prefix[1:])
    lines = [
        "# Area codes of +1 by state and province. Made by tools/build_tables.py from the place names in phonenumbers.",
        "# A code that stands nowhere here may be in any zone of its country: then the window must be open in all of them.",
        "# CA-NS stands for Nova Scotia and Prince Edward Island, CA-NT for the three northern territories: they share a code.",
        "",
    ]
    lines += [f"{state} = [{', '.join(sorted(codes))}]" for state, codes in sorted(found.items())]
    return "\n".join([*lines, ""])


def calendars(first: int, last: int) -> str:
    """Days per country and year, and what a state adds to its country's."""
    years = range(first, last + 1)
    lines = [
        f"# Public holidays, {first} to {last}. Made by tools/build_tables.py from the library holidays {holidays.__version__}.",
        "# An administrator may add days per country; a row of a state holds what it adds to its country's.",
        "",
        f'version = "holidays {holidays.__version__}"',
        f"until = {last}-12-31",
    ]
    for row in config.table("countries.toml")["country"]:
        iso = row["iso"]
        national = holidays.country_holidays(iso, years=years)
        lines += _table(iso, set(national), years)
        if iso in WITH_STATES:
            for state in sorted(type(national).subdivisions):
                if state.isupper() and len(state) <= 3:
                    more = set(holidays.country_holidays(iso, subdiv=state, years=years)) - set(national)
                    if more:
                        lines += _table(f"{iso}-{state}", more, years)
    return "\n".join([*lines, ""])


def _table(name: str, days: set[date], years: range) -> list[str]:
    told = ["", f"[{name}]"]
    for year in years:
        of_year = sorted(day for day in days if day.year == year)
        told.append(f'{year} = "{" ".join(f"{day:%m-%d}" for day in of_year)}"')
    return told


if __name__ == "__main__":
    first, last = (int(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else (2026, 2028)
    (HERE / "area_codes.toml").write_text(area_codes(), encoding="utf-8")
    (HERE / "holidays.toml").write_text(calendars(first, last), encoding="utf-8")
