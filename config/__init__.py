"""The tables that Ringpost ships: documented configuration, demo, countries, keywords. Data only, read by name.

ringpost.toml   every key of the configuration, documented
demo.toml       what `ringpost demo` applies, and its sample people
countries.toml  hours, zones and suggested opt-in per country, each row with source and date (requirements §3.4)
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
