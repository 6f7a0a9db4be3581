"""Telephone numbers: what an application holds becomes E.164 and a country, or says why not.

Pure, on libphonenumber's offline tables. A number counts as sendable when it is possible and may be a mobile; "valid" is too
strict, because libphonenumber lags behind numbering plans and refuses ranges kept for fiction (requirements §3.4).
Never import phonenumbers.geocoder: 100 MB.
"""

from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_NOT_MOBILE = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.VOIP,
        PhoneNumberType.PAGER,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
    }
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as found: `state` is ok, missing, invalid or not_mobile; `e164` and `country` are None unless it parsed."""

    raw: str
    state: str
    e164: str | None = None
    country: str | None = None


@lru_cache(maxsize=4096)
def normalise(raw: str, region: str | None) -> Number:
    """Read a number in any national or international form.

    `region` (ISO 3166 alpha-2) is what a national form is read in; without it only `+…` and `00…` forms can be read. It is
    never guessed.
    """
    text = raw.strip()
    if not text:
        return Number(raw, "missing")
    if text.startswith("00") and region is None:
        text = "+" + text[2:]
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return Number(raw, "invalid")
    if not phonenumbers.is_possible_number(parsed) or parsed.extension:
        return Number(raw, "invalid")
    e164 = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    country = phonenumbers.region_code_for_number(parsed)
    if country is None and parsed.country_code is not None:
        country = phonenumbers.region_code_for_country_code(parsed.country_code)
    if country in ("ZZ", "001"):
        return Number(raw, "invalid", e164)
    kind = phonenumbers.number_type(parsed)
    state = "ok" if kind in _MOBILE or kind not in _NOT_MOBILE else "not_mobile"
    return Number(raw, state, e164, country)


def tail(number: str) -> str:
    """The last 8 digits: what a status report's recipient is matched on, whatever form the network gives it back in."""
    return "".join(character for character in number if character.isdigit())[-8:]


def mask(number: str) -> str:
    """A number for logs: all but the last three digits hidden."""
    return "…" + number[-3:] if len(number) > 3 else "…"
