"""S26, S27: usage by user, country, both, case and month; its sums are the ledger's."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.ats import Box
from tests.processes import until

Unchanged = Callable[[], AbstractContextManager[None]]
COUNTS = ("sent", "delivered", "failed", "inbound", "segments", "credits", "opt_outs")
MORE = """
[[user]]
email = "ada@acme.example"
name = "@Ada"
roles = ["admin", "recruiter"]
seat = true
unit = "acme"
[[case]]
ref = "job-9"
title = "+Cook"
language = "sv"
unit = "acme/se"
team = ["ada@acme.example", "otto@acme.example"]
[[country]]
iso = "PR"
state = "active"
opt_in = "single"
acknowledgement = { text = "Without START", name = "Ann Ek", reference = "Legal advice 7/25", date = 2025-06-01 }
hours = "always"
price = 3
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that has sent, failed, heard and been told to stop, in Sweden and in Puerto Rico."""
    directory = tmp_path_factory.mktemp("reports")
    with Box(directory, credits=10_000) as made:
        more = directory / "more.toml"
        more.write_text((directory / "setup.toml").read_text() + MORE)
        made.site.ringpost("apply", str(more))
        yield made.serve()


def usage(box: Box, group_by: str, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = box.ats.get("/api/v1/reports/usage", group_by=group_by, **asked)
    return found


def settled(box: Box) -> None:
    """Every message has met its end, reports included."""
    until(lambda: box.ats.credits()[1] == 0, about="nothing is reserved")
    until(lambda: {row["state"] for row in box.ats.pages("/api/v1/messages")} <= {"delivered"}, about="all is delivered")


def ledger(box: Box) -> int:
    return sum(entry["charged"] for entry in box.ats.ledger())


@pytest.mark.requirement("S26", "S27")
def test_every_report_sums_to_the_ledger_exactly(box: Box) -> None:
    kim, ida = box.someone(), box.someone()
    pia = box.ats.candidate("+1 787 234 5678", region="US", language="es")
    for person, text, user, case in (
        (kim, "Hej", "eva@acme.example", "job-7"),
        (kim, "b" * 200, "eva@acme.example", "job-7"),
        (ida, "Hej", "otto@acme.example", "job-9"),
        (pia, "Hola", "ada@acme.example", "job-9"),
    ):
        sent = box.ats.accepted(person, text, user=user, case_ref=case)
        box.ats.until_state(sent["id"], "delivered")
    box.stick.control.deliver(kim.phone, "Vad bra!")
    box.stick.control.deliver(ida.phone, "STOP")
    box.stick.control.deliver("+4915112345678", "Wer sind Sie?")
    box.stick.control.deliver("12345", "Voting")
    until(lambda: usage(box, "country")["total"]["inbound"] == 4, about="four answers")
    until(lambda: box.ats.consent_status(ida.ref) == "revoked")
    settled(box)
    totals = [usage(box, group)["total"] for group in ("user", "country", "user,country", "case", "month")]
    assert all(total == totals[0] for total in totals), totals
    assert totals[0]["credits"] == ledger(box)
    assert totals[0]["segments"] == len(box.site.air("submit"))
    assert totals[0]["opt_outs"] == 1


@pytest.mark.requirement("S27")
def test_plus_1_787_is_puerto_rico_and_the_unknown_has_a_row(box: Box) -> None:
    rows = {row["country"]: row for row in usage(box, "country")["rows"]}
    assert rows["PR"]["sent"] >= 1
    assert rows["PR"]["credits"] == 3 * rows["PR"]["segments"]
    assert "US" not in rows
    assert rows["ZZ"]["inbound"] == 1
    assert rows["DE"]["inbound"] == 1
    crossed = {(row["user"], row["country"]): row for row in usage(box, "user,country")["rows"]}
    assert crossed[("@Ada", "PR")]["credits"] == rows["PR"]["credits"]
    assert crossed[("Otto Ek", "SE")]["opt_outs"] == 1
    assert crossed[("Eva Lind", "SE")]["inbound"] == 1


@pytest.mark.requirement("S26")
def test_csv_runs_no_formula_and_says_what_the_json_says(box: Box) -> None:
    answer = box.ats.http.get("/api/v1/reports/usage", params={"group_by": "user", "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert tuple(rows[0]) == ("user", "email", *COUNTS)
    assert {"'@Ada", "Eva Lind", "Otto Ek", "system"} == {row["user"] for row in rows}
    assert sum(int(row["credits"]) for row in rows) == ledger(box)
    cases = box.ats.http.get("/api/v1/reports/usage", params={"group_by": "case"}, headers={"accept": "text/csv"})
    assert "'+Cook" in {row["case_title"] for row in csv.DictReader(io.StringIO(cases.text))}


@pytest.mark.requirement("S26")
def test_bad_periods_groups_and_readers_are_refused(box: Box, unchanged: Unchanged) -> None:
    path = "/api/v1/reports/usage"
    settled(box)
    with unchanged():
        reversed_ = box.ats.http.get(path, params={"from": "2026-05-02", "to": "2026-05-01"})
        assert (reversed_.status_code, reversed_.json()["code"]) == (422, "period_reversed")
        assert box.ats.http.get(path, params={"from": "2026-05-02", "to": "2026-05-02"}).status_code == 200
        assert box.ats.http.get(path, params={"from": "yesterday"}).status_code == 422
        assert box.ats.http.get(path, params={"group_by": "phone"}).status_code == 422
        assert box.ats.http.get(path, params={"zone": "CET+1"}).json()["code"] == "invalid_timezone"
        assert box.ats.http.get(path, params={"from": "2001-01-01"}).json()["code"] == "period_too_long"
        refused = box.ats.http.get(path, params={"user": "eva@acme.example"})
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
        assert box.ats.http.get(path, params={"user": "ada@acme.example"}).status_code == 200


@pytest.mark.requirement("S27")
def test_a_day_begins_and_ends_in_the_zone_of_the_report(box: Box) -> None:
    settled(box)
    with box.site.store.read() as view:
        at = int(view.value("SELECT MAX(settled_at) AS t FROM message WHERE user_id IS NOT NULL AND credits > 0"))
        amount = int(view.value("SELECT SUM(charged) AS n FROM ledger WHERE at >= ? AND kind = 'settle'", at))
    for zone in ("Europe/Stockholm", "Pacific/Kiritimati", "Pacific/Niue", "UTC"):
        day = datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).date()
        on = usage(box, "user", **{"from": day, "to": day, "zone": zone})["total"]["credits"]
        after = usage(box, "user", **{"from": day + timedelta(days=1), "to": day + timedelta(days=1), "zone": zone})
        assert on >= amount
        assert (
            after["total"]["credits"]
            == ledger(box) - usage(box, "user", **{"from": day - timedelta(days=2), "to": day, "zone": zone})["total"]["credits"]
        )
    moment = datetime.fromtimestamp(at / 1000, UTC)
    assert usage(box, "month", **{"from": moment.date().replace(day=1), "to": moment.date(), "zone": "UTC"})["rows"][-1][
        "month"
    ] == moment.strftime("%Y-%m")


@pytest.mark.requirement("S26")
def test_a_deleted_user_is_shown_as_a_pseudonym_and_keeps_the_sums(box: Box) -> None:
    settled(box)
    before = usage(box, "user")
    otto = next(row for row in before["rows"] if row["user"] == "Otto Ek")
    assert box.ats.http.delete("/api/v1/users/otto@acme.example").status_code == 204
    after = usage(box, "user")
    gone = next(row for row in after["rows"] if row["user"].startswith("former user "))
    assert {name: gone[name] for name in COUNTS} == {name: otto[name] for name in COUNTS}
    assert gone["email"] is None
    assert after["total"] == before["total"]
    assert "Otto" not in box.ats.http.get("/api/v1/reports/usage", params={"group_by": "user", "format": "csv"}).text
    assert box.ats.http.delete("/api/v1/users/otto@acme.example").json()["code"] == "user_not_found"
