"""The tables that Ringpost ships: documented configuration, demo, countries, keywords. Data only, read by name.

ringpost.toml   every key of the configuration, documented
demo.toml       what `ringpost demo` applies, and its sample people
countries.toml  hours, zones and suggested opt-in per country, each row with source and date (requirements §3.4)
texts.toml      the texts that the box sends by itself, per language, and those of the consent pages
intents.toml    what replies seem to say, per language, each row with source and date
retention.toml  how long what is kept (requirements §3.6)
kinds.toml      what templates of a kind must hold, phrases of a rejection per language (requirements S9, S11)
holidays.toml    public holidays per country and state, made by tools/build_tables.py
area_codes.toml  area codes of +1 per state and province, made by the same
interviews.toml what the box says about interviews per language: acknowledgements, slot lists, words of the page (S52, S53)
keywords.toml   STOP, START and HELP per language, each row with source and date (requirements §3.3)
"""

import tomllib
from importlib.resources import files
from typing import Any


def text(name: str) -> str:
    """One of these files as text."""
    return (files(__name__) / name).read_text(encoding="utf-8")


def table(name: str) -> dict[str, Any]:
    """One of these files as tables."""
    return tomllib.loads(text(name))
