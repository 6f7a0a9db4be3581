"""Days and lists in candidates' languages."""

from zoneinfo import ZoneInfo

import pytest

from gateway.rules.speech import day_text, list_text, moment_text

MIDNIGHT = 1_796_425_200_000
"""2026-12-05 00:00 in Stockholm, still the day before in London."""
STOCKHOLM, LONDON = ZoneInfo("Europe/Stockholm"), ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("language", "day", "both"),
    [
        ("en", "December 5, 2026", "SMS and WhatsApp"),
        ("sv", "5 december 2026", "SMS och WhatsApp"),
        ("de-AT", "5. Dezember 2026", "SMS und WhatsApp"),
        ("fr", "5 décembre 2026", "SMS et WhatsApp"),
        ("pt_BR", "5 de dezembro de 2026", "SMS e WhatsApp"),
        ("tlh", "December 5, 2026", "SMS and WhatsApp"),
    ],
)
def test_a_day_and_a_list_are_said_as_people_say_them(language: str, day: str, both: str) -> None:
    assert day_text(MIDNIGHT, STOCKHOLM, language) == day
    assert list_text(["SMS", "WhatsApp"], language) == both
    assert list_text(["SMS"], language) == "SMS"


def test_a_moment_belongs_to_the_day_of_its_zone() -> None:
    assert day_text(MIDNIGHT, LONDON, "en") == "December 4, 2026"
    assert moment_text(MIDNIGHT, STOCKHOLM, "sv").startswith("lör")
