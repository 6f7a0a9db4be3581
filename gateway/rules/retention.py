"""How long what is kept, and the forms in which a number may stand somewhere. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.rules.numbers import tail

DAY_MS: Final = 86_400_000
MONTH_MS: Final = 30 * DAY_MS + 10 * 3_600_000
"""A month of 30.42 days: periods of months here are deadlines, not calendar pages."""
LIMITS: Final[dict[str, tuple[int, int]]] = {
    "bodies_days": (1, 3_650),
    "metadata_months": (1, 240),
    "consent_months": (1, 240),
    "raw_days": (1, 90),
    "api_days": (4, 90),
    "tokens_days": (1, 365),
    "audit_months": (12, 240),
    "backups_days": (1, 365),
}
"""Setting → least and most. Webhooks are tried for 72 hours, so their bodies are kept for four days at least."""


def merged(shipped: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, int]:
    """The settings in force: the box's own where it has one."""
    return {name: int(own.get(name, shipped[name])) for name in LIMITS}


def body_days(policy: Mapping[str, int], countries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Days per country whose row is shorter than the policy: the shortest that applies wins."""
    return {row["iso"]: row["bodies_days"] for row in countries if row["bodies_days"] < policy["bodies_days"]}


def spellings(e164: str, raw: str = "") -> tuple[str, ...]:
    """Every way in which a number may stand in a text: international, national, as it was typed."""
    digits = "".join(character for character in e164 if character.isdigit())
    if not digits:
        return (raw,) if raw else ()
    found = [digits, tail(e164)]
    if len(raw) >= 6:
        found.append(raw)
    return tuple(dict.fromkeys(found))


def semi_octets(digits: str) -> tuple[str, ...]:
    """How the last eight digits of a number stand in a PDU's hex, for even and odd places of the digit before them.

    Source: 3GPP TS 23.040 §9.1.2.3: two digits to an octet, the first in the low half, an odd number filled up with F.
    """
    last = digits[-8:]
    even = "".join(last[index + 1] + last[index] for index in range(0, len(last) - 1, 2))
    odd = last[1:] + "F"
    shifted = "".join(odd[index + 1] + odd[index] for index in range(0, len(odd) - 1, 2))
    return (even.upper(), shifted.upper()) if len(last) == 8 else ()
