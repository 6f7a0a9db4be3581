"""Thresholds, months and carried rests, CSV cells, periods, spellings of a number."""

from datetime import date

import pytest

from gateway.rules import credits, periods, retention, spreadsheets
from modem.pdu import Address


@pytest.mark.parametrize(
    ("available", "full", "told", "expected"),
    [
        (21, 100, 100, None),
        (20, 100, 100, 20),
        (19, 100, 20, None),
        (5, 100, 20, 5),
        (0, 100, 5, 0),
        (0, 100, 0, None),
        (0, 100, 100, 0),  # one fall through all of them is one crossing
        (1, 3, 100, None),
        (0, 0, 100, 0),
    ],
)
def test_a_threshold_is_crossed_once(available, full, told, expected):
    assert credits.crossed(available, full, told) == expected


@pytest.mark.parametrize(
    ("before", "carry_over", "months", "monthly", "expected"),
    [
        ({"monthly": 10, "carried": 0, "used": 4}, 100, 1, 10, 6),
        ({"monthly": 10, "carried": 5, "used": 4}, 8, 1, 10, 8),
        ({"monthly": 10, "carried": 0, "used": 12}, 8, 1, 10, 0),
        ({"monthly": 10, "carried": 0, "used": 10}, 100, 3, 10, 20),
        ({"monthly": 10, "carried": 0, "used": 0}, 0, 5, 10, 0),
    ],
)
def test_an_unused_rest_is_carried_over_up_to_its_limit(before, carry_over, months, monthly, expected):
    assert credits.carried(before, carry_over, months, monthly) == expected


def test_months_turn_where_the_organisation_is():
    new_year = 1_767_222_000_000  # 2025-12-31 23:00 UTC
    assert (credits.month_of(new_year), credits.month_of(new_year, "Europe/Stockholm")) == ("2025-12", "2026-01")
    assert credits.next_month("2026-12") == "2027-01"
    assert credits.months_between("2025-11", "2026-02") == 3


@pytest.mark.parametrize("start", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_would_run_is_quoted(start):
    assert spreadsheets.harmless(start) == "'" + start
    assert spreadsheets.harmless("a" + start) == "a" + start
    assert spreadsheets.harmless(-1) == -1


def test_a_day_has_the_hours_that_the_zone_gives_it():
    hour = 3_600_000
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)):
        found = periods.days(day, day, "Europe/Stockholm")
        assert (found.end - found.start) // hour == hours
    months = periods.months(date(2026, 1, 15), date(2026, 3, 2), "UTC")
    assert [month for month, _ in months] == ["2026-01", "2026-02", "2026-03"]
    assert [earlier.end for _, earlier in months[:-1]] == [later.start for _, later in months[1:]]


@pytest.mark.parametrize("number", ["+46701740605", "+4670174060", "+12025550123", "+4915112345678", "0701740605", "701740605"])
def test_a_number_is_found_in_a_pdu_whatever_its_length(number):
    digits = number.removeprefix("+")
    hexed = Address.parse(number).encode().hex().upper()
    assert any(form in hexed for form in retention.semi_octets(digits))


def test_the_shortest_period_wins():
    policy = {"bodies_days": 200}
    rows = [{"iso": "DE", "bodies_days": 180}, {"iso": "FR", "bodies_days": 730}]
    assert retention.body_days(policy, rows) == {"DE": 180}
