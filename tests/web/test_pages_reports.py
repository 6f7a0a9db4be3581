"""Reports: works, anonymous, wrong role, bad input; and sums that are the ledger's."""

import csv
import io

import pytest

from gateway.store.database import Database
from tests.browser.furnished import organisation as units
from tests.browser.furnished import reports as furniture
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, Person, anonymous, app, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

REPORTS = "/admin/reports"
QUARTER = "from=2025-11-01&to=2026-03-31"
MAY = {"admin", "compliance"}


@pytest.fixture
def busy(store: Database, clock: ManualClock) -> None:
    """Three months of messages."""
    furniture.furnish(store, clock)


def rows(answer: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.removeprefix("\ufeff"))))


@pytest.mark.parametrize("path", [REPORTS, f"{REPORTS}/usage.csv"])
def test_each_page_opens_for_its_roles_only(path: str, people: dict[str, Person], anonymous: Person) -> None:
    answers = {role: person.get(path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in MAY else 403 for role in people}
    assert anonymous.get(path).location.startswith("/admin/login")


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("group", ["user", "country", "user,country", "case", "month"])
def test_each_report_sums_to_what_the_ledger_charged(group: str, people: dict[str, Person], store: Database) -> None:
    with store.read() as view:
        charged = int(view.value("SELECT SUM(charged) AS n FROM ledger WHERE organisation_id = ? AND kind = 'settle'", ORG) or 0)

    page = people["admin"].get(f"{REPORTS}?group_by={group}&{QUARTER}").text
    file = rows(people["admin"].get(f"{REPORTS}/usage.csv?group_by={group}&{QUARTER}").text)

    assert "The books agree" in page
    assert f"charged {charged} credits" in page
    assert sum(int(row["credits"]) for row in file) == charged
    assert ("<polyline" in page) == (group == "month")
    assert ('class="bar-of"' in page) == (group != "month")


@pytest.mark.usefixtures("busy")
def test_countries_have_names_and_none_is_dropped(people: dict[str, Person]) -> None:
    page = people["admin"].get(f"{REPORTS}?group_by=country&{QUARTER}").text

    for words in ("Sweden", "Puerto Rico", "Germany", "Unknown country"):
        assert words in page


@pytest.mark.usefixtures("busy")
def test_users_are_named_and_who_is_gone_has_a_pseudonym(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]
    admin.post("/admin/users/usr_recruiter/forget", page="/admin/users/usr_recruiter")

    page = admin.get(f"{REPORTS}?{QUARTER}").text

    assert "Compliance Person" in page
    assert "former user" in page
    assert "Recruiter Person" not in page
    assert "The box itself" in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("period=month", 'value="2026-03-01"'),
        ("period=last", 'value="2026-02-28"'),
        ("period=quarter", 'value="2026-01-01"'),
        ("period=year", 'value="2026-01-01"'),
        ("", 'value="2026-03-02"'),
    ],
)
def test_periods_have_names(query: str, words: str, people: dict[str, Person]) -> None:
    assert words in people["admin"].get(f"{REPORTS}?{query}").text


def test_a_reversed_or_endless_period_says_so(people: dict[str, Person]) -> None:
    reversed_, endless = "from=2026-03-02&to=2026-03-01", "from=1999-01-01&to=2026-01-01"

    for query, words in ((reversed_, "lies after the last"), (endless, "at most ten years")):
        answer = people["admin"].get(f"{REPORTS}?{query}")
        assert (answer.status_code, words in answer.text) == (422, True)
        assert people["admin"].get(f"{REPORTS}/usage.csv?{query}").status_code == 422


@pytest.mark.parametrize("query", ["group_by=shoe", "period=forever", "from=yesterday", "to=2026-02-30"])
def test_what_is_no_report_is_refused(query: str, people: dict[str, Person]) -> None:
    assert people["admin"].get(f"{REPORTS}?{query}").status_code == 400


def test_nothing_says_what_to_do(people: dict[str, Person]) -> None:
    assert "Choose other days" in people["admin"].get(f"{REPORTS}?from=2020-01-01&to=2020-01-31").text


def test_a_right_in_a_unit_alone_does_not_open_the_whole(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        units.add_units(tx, clock.now_ms())
        tx.execute("UPDATE app_user SET unit_id = 'org_u_se' WHERE id = 'usr_compliance'")

    answer = people["compliance"].get(REPORTS)

    assert (answer.status_code, "Chargeback" in answer.text) == (403, True)
    assert people["compliance"].get(f"{REPORTS}/usage.csv").status_code == 403


@pytest.mark.usefixtures("busy")
def test_a_name_like_a_formula_stays_text_in_the_file(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE app_user SET name = '=1+1' WHERE id = 'usr_recruiter'")

    file = rows(people["admin"].get(f"{REPORTS}/usage.csv?{QUARTER}").text)

    assert "'=1+1" in {row["user"] for row in file}
