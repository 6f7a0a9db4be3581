"""Where a number's owner may be: subdivision and time zones from the number itself, by our own tables.

Pure. libphonenumber's zones are not used: it gives Bucharest for Estonia and one zone for area codes that span two. A mobile
number seldom tells a place, so whatever is possible counts, and quiet hours must be open in all of it.
"""

from collections.abc import Mapping, Sequence

Areas = Mapping[str, str]
"""Area code of +1 → state or province, `212` → `US-NY`."""

_EAST, _CENTRAL, _MOUNTAIN, _PACIFIC = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
_HAWAII, _ALASKA = "Pacific/Honolulu", "America/Anchorage"
COUNTRY_ZONES: Mapping[str, tuple[str, ...]] = {
    "US": (_EAST, _CENTRAL, _MOUNTAIN, _PACIFIC, "America/Phoenix", _ALASKA, "America/Adak", _HAWAII),
    "CA": (
        "America/St_Johns",
        "America/Halifax",
        "America/Toronto",
        "America/Winnipeg",
        "America/Regina",
        "America/Edmonton",
        "America/Vancouver",
    ),
    "GP": ("America/Guadeloupe",),
    "BL": ("America/Guadeloupe",),
    "MF": ("America/Guadeloupe",),
    "MQ": ("America/Martinique",),
    "GF": ("America/Cayenne",),
    "RE": ("Indian/Reunion",),
    "YT": ("Indian/Mayotte",),
    "PM": ("America/Miquelon",),
}
"""Countries that the table of hours names no zones for."""
HOURS_OF = {"GP": "FR", "BL": "FR", "MF": "FR", "MQ": "FR", "GF": "FR", "RE": "FR", "YT": "FR", "PM": "FR"}
"""French overseas departments keep the hours of France, each in its own zone."""

_STATES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("CT", "DC", "DE", "GA", "MA", "MD", "ME", "NC", "NH", "NJ", "NY", "OH", "PA", "RI", "SC"), (_EAST,)),
    **dict.fromkeys(("VA", "VT", "WV"), (_EAST,)),
    **dict.fromkeys(("AL", "AR", "IA", "IL", "LA", "MN", "MO", "MS", "OK", "WI"), (_CENTRAL,)),
    **dict.fromkeys(("CO", "MT", "NM", "UT", "WY"), (_MOUNTAIN,)),
    **dict.fromkeys(("CA", "NV", "WA"), (_PACIFIC,)),
    **dict.fromkeys(("FL", "IN", "KY", "MI", "TN"), (_EAST, _CENTRAL)),
    **dict.fromkeys(("KS", "ND", "NE", "SD", "TX"), (_CENTRAL, _MOUNTAIN)),
    "ID": ("America/Boise", _PACIFIC),
    "OR": (_PACIFIC, "America/Boise"),
    "AZ": ("America/Phoenix", _MOUNTAIN),
    "AK": (_ALASKA, "America/Adak"),
    "HI": (_HAWAII,),
}
_PROVINCES: Mapping[str, tuple[str, ...]] = {
    "NL": ("America/St_Johns", "America/Halifax"),
    "NS": ("America/Halifax",),
    "NB": ("America/Moncton",),
    "QC": ("America/Toronto", "America/Halifax"),
    "ON": ("America/Toronto", "America/Winnipeg"),
    "MB": ("America/Winnipeg",),
    "SK": ("America/Regina",),
    "AB": ("America/Edmonton",),
    "BC": ("America/Vancouver", "America/Edmonton"),
    "NT": ("America/Iqaluit", "America/Rankin_Inlet", "America/Edmonton", "America/Whitehorse"),
}
_AREAS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("239", "305", "321", "352", "386", "407", "561", "727", "754", "772", "786", "813", "863", "904"), (_EAST,)),
    **dict.fromkeys(("941", "954", "689"), (_EAST,)),
    **dict.fromkeys(("260", "317", "463", "765"), (_EAST,)),
    **dict.fromkeys(("502", "859"), (_EAST,)),
    **dict.fromkeys(("231", "248", "269", "313", "517", "586", "616", "734", "810", "947", "989"), (_EAST,)),
    **dict.fromkeys(("423", "865"), (_EAST,)),
    **dict.fromkeys(("615", "629", "731", "901"), (_CENTRAL,)),
    **dict.fromkeys(
        ("210", "214", "254", "281", "325", "346", "361", "409", "430", "469", "512", "682", "713", "726"), (_CENTRAL,)
    ),
    **dict.fromkeys(("737", "806", "817", "830", "832", "903", "936", "940", "945", "956", "972", "979"), (_CENTRAL,)),
    "915": (_MOUNTAIN,),
    **dict.fromkeys(("316", "402", "531"), (_CENTRAL,)),
    **dict.fromkeys(("503", "971"), (_PACIFIC,)),
    **dict.fromkeys(
        ("416", "437", "647", "905", "289", "365", "613", "343", "519", "226", "548", "705", "249"), ("America/Toronto",)
    ),
    **dict.fromkeys(("514", "438", "450", "579", "819", "873"), ("America/Toronto",)),
    **dict.fromkeys(("604", "778", "236", "672"), ("America/Vancouver",)),
}
"""Area codes that tell one zone of a state that has two."""
_FRENCH = (
    (("690", "691"), "America/Guadeloupe"),
    (("696", "697"), "America/Martinique"),
    (("694",), "America/Cayenne"),
    (("692", "693"), "Indian/Reunion"),
    (("639",), "Indian/Mayotte"),
)
"""Mobile ranges of the overseas departments, also where somebody wrote them with +33."""
_PORTUGUESE = ((("291",), "Atlantic/Madeira"), (("292", "295", "296"), "Atlantic/Azores"))


def subdivision_of(e164: str | None, iso: str | None, areas: Areas) -> str | None:
    """`US-NY` for +1 212 …, `CA-QC` for +1 514 …; None where the number does not tell."""
    if e164 is None or iso not in ("US", "CA"):
        return None
    state = areas.get(e164[2:5])
    return state if state is not None and state.startswith(f"{iso}-") else None


def zones_of(e164: str | None, iso: str | None, subdivision: str | None, listed: Sequence[str]) -> tuple[str, ...]:
    """Every zone in which the owner of a number may be; empty where nothing is known. `listed` are those of the country's row."""
    number = e164 or ""
    if number.startswith("+1") and number[2:5] in _AREAS:
        return _AREAS[number[2:5]]
    if subdivision is not None:
        country, _, state = subdivision.partition("-")
        found = {"US": _STATES, "CA": _PROVINCES}.get(country, {}).get(state)
        if found is not None:
            return found
    for prefix, ranges in (("+33", _FRENCH), ("+351", _PORTUGUESE)):
        if number.startswith(prefix):
            for starts, zone in ranges:
                if number.removeprefix(prefix).startswith(starts):
                    return (zone,)
    return tuple(listed) or COUNTRY_ZONES.get(iso or "", ())
