"""Names of countries in the reader's language; ZZ is what no country could be told for."""

from functools import lru_cache
from typing import Final

from web.pages.language import N_, _, chosen

UNKNOWN: Final = N_("Unknown country")


@lru_cache(maxsize=512)
def name_in(language: str, iso: str) -> str | None:
    """A country in the words of that language; None where it has none."""
    from babel import Locale  # only pages with countries need its tables

    found: str | None = Locale.parse(language).territories.get(iso)
    return found


def country_name(iso: str | None) -> str:
    """A country by its ISO code (`SE`, or `US-CA` of a part of one) in words; the code itself where there is no word."""
    if not iso or iso == "ZZ":
        return _(UNKNOWN)
    return name_in(chosen(), iso) or iso
