"""Countries, quiet hours, senders, budgets, the clock (S20, S21, S27–S30, S57; requirements §3.4, §3.5; design.md §4)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from modem.clock import FileClock
from tests.ats import Box, Person
from tests.processes import until

Unchanged = Callable[[], AbstractContextManager[None]]

STOCKHOLM = ZoneInfo("Europe/Stockholm")
MORE = """
[[user]]
email = "ann@acme.example"
name = "Ann Admin"
roles = ["admin"]
[[user]]
email = "olle@acme.example"
name = "Olle Operator"
roles = ["operator"]
[[user]]
email = "ulla@acme.example"
name = "Ulla Urgent"
roles = ["recruiter", "quiet_hours.override"]
seat = true
unit = "acme/se"
[[case]]
ref = "job-7"
team = ["eva@acme.example", "mia@acme.example", "ulla@acme.example"]
[[country]]
iso = "DE"
state = "active"
opt_in = "double"
hours = "always"
"""
ADMIN, OPERATOR = "ann@acme.example", "olle@acme.example"


@pytest.fixture(scope="module", autouse=True)
def people(box: Box) -> None:
    """An administrator, an operator, and a recruiter who may write at any hour."""
    file = box.site.directory / "more.toml"
    file.write_text(MORE)
    box.site.ringpost("apply", str(file))


@pytest.fixture(autouse=True)
def as_it_was(box: Box) -> Iterator[None]:
    """Every test leaves Sweden open at all hours and its card without budgets."""
    yield
    patch(box, "SE", hours="always", sticky_down="hold", no_sender="refuse", international="allow")
    none: dict[str, Any] = dict.fromkeys(("minute", "hour", "day", "month", "recipients"))
    assert box.ats.http.patch("/api/v1/senders/+46701740699", json={"budgets": none}).status_code == 200
    until(lambda: not under_way(box), about="nothing is on its way any more")


def under_way(box: Box) -> int:
    """How many messages are moving, or would by themselves."""
    with box.site.store.read() as view:
        return int(
            view.value(
                "SELECT COUNT(*) AS n FROM message WHERE state IN ('queued', 'sending', 'sent')"
                " OR (state = 'held' AND hold_reason IN ('quiet_hours', 'sim_budget'))"
            )
        )


def patch(box: Box, iso: str, user: str | None = None, **changes: Any) -> httpx.Response:
    """PATCH a country."""
    body = {**({} if user is None else {"user": user}), **changes}
    return box.ats.http.patch(f"/api/v1/countries/{iso}", json=body)


def known(box: Box) -> Person:
    """A candidate who has been written to: nothing goes before the next text any more."""
    person = box.someone()
    box.ats.until_state(box.ats.accepted(person, "Hej!")["id"], "delivered")
    return person


def advance(box: Box, seconds: float) -> None:
    """Move the clock, and see that the web has seen it."""
    target = box.now() + seconds * 1000
    box.advance(seconds)
    until(lambda: ms(box.ats.get("/api/v1/clock")["now"]) >= target, about="the web sees the new time")


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


def local(box: Box) -> datetime:
    """The box's time in Stockholm."""
    return datetime.fromtimestamp(box.now() / 1000, STOCKHOLM)


def closed_now(box: Box) -> dict[str, str]:
    """Own hours that are shut at this moment and for the next two hours, and open later today or tomorrow."""
    start = (local(box) + timedelta(hours=3)).hour
    window = f"{start:02d}:00-{start + 1:02d}:00"
    return {"weekdays": window, "saturday": window, "sunday": window}


def ms(moment: str) -> int:
    """An RFC 3339 time in ms."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def audits(box: Box, action: str) -> int:
    """How many audit rows of an action there are."""
    with box.site.store.read() as view:
        return int(view.value("SELECT COUNT(*) AS n FROM audit WHERE action = ?", action))


# --- S20, S27: supported countries, and which country a number is of ---------------------------------------------------


@pytest.mark.requirement("S20")
def test_a_number_in_a_country_that_is_off_is_refused(box: Box, unchanged: Unchanged) -> None:
    oona = box.ats.candidate("+358401234567", region="FI")
    with unchanged():
        answer = box.ats.submit(oona, "Hei")
        assert code(answer) == (409, "country_disabled")
        assert answer.json()["country"] == "FI"


@pytest.mark.requirement("S20", "S27")
def test_plus_one_787_is_puerto_rico_and_states_have_their_own(box: Box, unchanged: Unchanged) -> None:
    ana = box.ats.candidate("+17872345678", region="PR")
    with unchanged():
        answer = box.ats.submit(ana, "Hola")
        assert code(answer) == (409, "country_disabled")
        assert answer.json()["country"] == "PR"
    joe = box.ats.candidate("+12125551234", region="US")
    phone = box.ats.get(f"/api/v1/candidates/{joe.ref}")["phone"]
    assert (phone["country"], phone["subdivision"]) == ("US", "US-NY")
    luc = box.ats.candidate("+15145551234", region="CA")
    assert box.ats.get(f"/api/v1/candidates/{luc.ref}")["phone"]["subdivision"] == "CA-QC"


@pytest.mark.requirement("S27")
def test_the_country_is_fixed_when_a_message_is_accepted(box: Box) -> None:
    kim = box.someone()
    sent = box.ats.accepted(kim, "Hej!")
    box.ats.until_state(sent["id"], "delivered")
    answer = box.ats.http.put(f"/api/v1/candidates/{kim.ref}", json={"phone": "+447700900123", "region": "GB"})
    assert answer.status_code == 200
    assert box.ats.message(sent["id"])["country"] == "SE"


# --- S21: senders ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S21")
def test_the_local_sim_writes_and_the_answer_names_it(box: Box) -> None:
    sent = box.ats.accepted(box.someone(), "Hej")
    assert sent["sender"] == "+46701740699"
    box.ats.until_state(sent["id"], "delivered")


@pytest.mark.requirement("S21")
def test_without_a_local_sim_the_country_decides(box: Box, unchanged: Unchanged) -> None:
    amy = box.ats.candidate("+447700900124", region="GB")
    assert patch(box, "GB", hours="always", international="deny").status_code == 200
    with unchanged():
        assert code(box.ats.submit(amy, "Hello")) == (409, "no_sender_for_country")
    assert patch(box, "GB", no_sender="hold").status_code == 200
    held = box.ats.accepted(amy, "Hello")
    assert (held["state"], held["hold"]["reason"], held["sender"]) == ("held", "no_modem", None)
    assert patch(box, "GB", international="allow").status_code == 200
    assert box.ats.until_state(held["id"], "sent", "delivered", "held", "queued")["id"] == held["id"]
    until(lambda: box.ats.message(held["id"])["sender"] == "+46701740699", about="the designated international takes it")


@pytest.mark.requirement("S21")
def test_a_sticky_modem_that_is_away_is_waited_for_or_replaced_as_the_country_says(tmp_path: Path) -> None:
    """Two cards; the one a candidate knows is pulled."""
    with Box(tmp_path, credits=100) as two:
        config = two.site.config
        config.write_text(config.read_text() + f'[[modem]]\nname = "stick2"\nport = "{two.site.directory / "tty-stick2"}"\n')
        first = two.site.simulator(latency_s=0.02, options=("--report-delay", "0.1"))
        second = two.site.simulator(latency_s=0.02, options=("--report-delay", "0.1"))
        with two.site.store.write() as tx:
            org = tx.value("SELECT organisation_id FROM sender")
            tx.execute("UPDATE sender SET iccid = ?", _iccid(first.program.command))
            tx.insert(
                "sender",
                id="snd_second",
                organisation_id=org,
                number="+46701740698",
                iccid=_iccid(second.program.command),
                countries='["SE"]',
                gap_ms=0,
                updated_at=0,
            )
        two.site.gateway()
        two.site.web()
        two.until_ready()
        until(lambda: all(sender["modem_ready"] for sender in two.ats.get("/api/v1/senders")["data"]), about="both ready")
        kim = two.someone()
        known = two.ats.accepted(kim, "Ett")
        two.ats.until_state(known["id"], "delivered")
        own = next(s for s in two.ats.get("/api/v1/senders")["data"] if s["number"] == known["sender"])
        stick = first if _iccid(first.program.command) == own["iccid"] else second
        modem = next(m for m in two.ats.get("/api/v1/modems")["data"] if m["sim"] and m["sim"]["iccid"] == own["iccid"])
        _park(two, modem["id"], "park")
        held = two.ats.accepted(kim, "Två")
        assert (held["state"], held["hold"]["reason"], held["sender"]) == ("held", "no_modem", known["sender"])
        assert patch(two, "SE", sticky_down="switch").status_code == 200
        moved = two.ats.accepted(kim, "Tre")
        assert moved["sender"] != known["sender"]
        with two.site.store.read() as view:
            told = view.value("SELECT data FROM audit WHERE subject = ? AND action = 'message.override'", moved["id"])
        assert "sender_from" in told
        assert patch(two, "SE", sticky_down="hold").status_code == 200
        _park(two, modem["id"], "unpark")
        two.ats.until_state(held["id"], "delivered")
        assert stick.program.alive


def _iccid(command: list[str]) -> str:
    return command[command.index("--iccid") + 1]


def _park(box: Box, modem_id: str, verb: str) -> None:
    answer = box.ats.post(f"/api/v1/modems/{modem_id}/commands", {"verb": verb})
    path = f"/api/v1/modems/{modem_id}/commands/{answer.json()['id']}"
    until(lambda: box.ats.get(path)["state"] == "done", about=verb)


@pytest.mark.requirement("S21")
def test_no_links_go_to_the_philippines_from_a_sim(box: Box, unchanged: Unchanged) -> None:
    assert patch(box, "PH", state="requested").status_code == 200
    with box.site.store.write() as tx:
        tx.execute("UPDATE country SET state = 'active', opt_in = 'single', hours = '\"always\"' WHERE iso = 'PH'")
    joy = box.ats.candidate("+639171234567", region="PH", language="en")
    with unchanged():
        for text in ("See https://acme.example/x", "Look at www.acme.example", "acme-jobs.com/7 has it"):
            assert code(box.ats.submit(joy, text)) == (422, "link_not_allowed")
    sent = box.ats.accepted(joy, "Call Eva. Answer 1 or 2")
    box.ats.until_state(sent["id"], "delivered")


# --- S28, S30: commissioning -------------------------------------------------------------------------------------------


@pytest.mark.requirement("S28", "S20")
def test_only_the_operator_activates_a_country_after_a_passed_test(box: Box, unchanged: Unchanged) -> None:
    assert patch(box, "NO", ADMIN, state="requested").json()["state"] == "requested"
    with unchanged():
        assert code(patch(box, "NO", ADMIN, state="active")) == (403, "permission_denied")
        assert code(patch(box, "NO", OPERATOR, state="active")) == (409, "not_tested")
        body = {"user": OPERATOR, "number": "+4791234567"}
        assert code(box.ats.post("/api/v1/countries/NO/test", body)) == (409, "wrong_state")
    assert patch(box, "NO", ADMIN, state="testing").status_code == 200
    with unchanged():
        assert code(box.ats.post("/api/v1/countries/NO/test", {**body, "number": "+46701740699"})) == (422, "invalid_number")
        assert code(box.ats.post("/api/v1/countries/NO/test", {**body, "user": ADMIN})) == (403, "permission_denied")
    test = box.ats.post("/api/v1/countries/NO/test", body)
    assert test.status_code == 202
    until(lambda: box.ats.get("/api/v1/countries/NO")["test"]["passed"], about="the test message arrives")
    assert [part.number for part in box.on_air("+4791234567")] == ["+4791234567"]
    answer = patch(box, "NO", OPERATOR, state="active")
    assert code(answer) == (409, "checklist_incomplete")
    missing = answer.json()["missing"]
    assert patch(box, "NO", ADMIN, checklist=dict.fromkeys(missing, True)).status_code == 200
    done = patch(box, "NO", OPERATOR, state="active").json()
    assert (done["state"], done["test"]["passed"]) == ("active", True)
    assert audits(box, "country.state") >= 3
    with unchanged():
        assert code(patch(box, "NO", ADMIN, state="requested")) == (409, "wrong_state")
    assert patch(box, "NO", ADMIN, state="suspended").json()["state"] == "suspended"


@pytest.mark.requirement("S30")
def test_a_request_shows_its_eta_and_its_papers(box: Box) -> None:
    france = patch(box, "FR", ADMIN, state="requested").json()
    assert ms(france["eta"]) - ms(france["requested_at"]) == 49 * 86_400_000
    assert france["sims"] == "off"
    assert "operator_consent" in france["checklist"]
    assert france["documents"]
    assert box.ats.get("/api/v1/countries/SE")["lead_time_days"] == 21
    edited = patch(box, "FR", ADMIN, lead_time_days=10).json()
    assert ms(edited["eta"]) - ms(edited["requested_at"]) == 10 * 86_400_000


@pytest.mark.requirement("S30")
def test_fl_is_no_country_code(box: Box, unchanged: Unchanged) -> None:
    with unchanged():
        answer = patch(box, "FL", ADMIN, state="requested")
        assert code(answer) == (422, "ambiguous_country")
        assert answer.json()["candidates"] == ["FI", "LI", "US-FL"]
        assert code(patch(box, "QQ", ADMIN, state="requested")) == (404, "country_not_found")


# --- S29: completeness -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S29")
def test_the_set_up_is_not_finished_while_a_german_text_is_missing(box: Box, unchanged: Unchanged) -> None:
    with unchanged():
        answer = box.ats.post("/api/v1/setup/finish", {"user": ADMIN})
        assert code(answer) == (422, "setup_incomplete")
        gaps = answer.json()["gaps"]
        assert {"what": "text", "country": "DE", "kind": "consent_optin", "language": "de"}.items() <= next(
            gap for gap in gaps if gap.get("country") == "DE"
        ).items()
        assert box.ats.get("/api/v1/setup")["complete"] is False
    file = box.site.directory / "texts.toml"
    words = 'body = "{{company}}: {{user.name}} schreibt wegen {{purpose}}. START, STOPP."'
    texts = [(gap["kind"], gap["language"]) for gap in gaps if gap["what"] == "text"]
    file.write_text("".join(f'[[text]]\nkind = "{kind}"\nlanguage = "{language}"\n{words}\n' for kind, language in set(texts)))
    box.site.ringpost("apply", str(file))
    assert box.ats.get("/api/v1/setup") == {"complete": True, "gaps": []}
    assert box.ats.post("/api/v1/setup/finish", {"user": ADMIN}).status_code == 200


# --- S57: who looks after the rules ------------------------------------------------------------------------------------


@pytest.mark.requirement("S57")
def test_the_country_page_shows_rule_source_date_and_owner_and_counsel_gets_all_of_it(box: Box) -> None:
    assert patch(box, "SE", ADMIN, owner="Legal").status_code == 200
    sweden = box.ats.get("/api/v1/countries/SE")
    assert sweden["source"]
    assert sweden["checked_at"]
    assert (sweden["owner"], sweden["review_due"]) == ("Legal", False)
    before = audits(box, "export.run")
    export = box.ats.get("/api/v1/countries/export")
    assert any(entry["action"] == "country.update" for row in export["countries"] for entry in row["history"])
    table = box.ats.http.get("/api/v1/countries.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert "Sweden" in table.text
    assert audits(box, "export.run") == before + 2


@pytest.mark.requirement("S57")
def test_a_rule_that_nobody_looked_at_for_180_days_is_told_once_and_sending_goes_on(box: Box) -> None:
    old = datetime.fromtimestamp(box.now() / 1000, UTC) - timedelta(days=181)
    assert patch(box, "DE", ADMIN, checked_at=old.isoformat()).json()["review_due"] is True
    advance(box, 61)
    told = until(lambda: [e for e in box.ats.pages("/api/v1/events") if e["type"] == "compliance.review_due"], about="the event")
    assert [event["data"]["country"] for event in told] == ["DE"]
    assert box.ats.accepted(known(box), "Hej")["state"] == "queued"
    assert patch(box, "DE", ADMIN, checked_at=box.moment(0)).json()["review_due"] is False


# --- §3.4: quiet hours -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S20")
def test_outside_the_window_a_message_is_held_and_leaves_when_it_opens(box: Box) -> None:
    kim = known(box)
    assert patch(box, "SE", hours=closed_now(box)).status_code == 200
    held = box.ats.accepted(kim, "Senare")
    assert (held["state"], held["hold"]["reason"]) == ("held", "quiet_hours")
    opens = ms(held["hold"]["not_before"])
    assert datetime.fromtimestamp(opens / 1000, STOCKHOLM).minute == 0
    assert opens > box.now()
    advance(box, (opens - box.now()) / 1000 + 1)
    box.ats.until_state(held["id"], "delivered")
    assert [part.text for part in box.on_air(kim.phone)][-1] == "Senare"


@pytest.mark.requirement("S20")
def test_a_window_that_shuts_while_a_message_waits_holds_it_again(box: Box) -> None:
    kim = known(box)
    box.park(True)
    try:
        queued = box.ats.accepted(kim, "Snart")
        assert queued["state"] == "queued"
        assert patch(box, "SE", hours=closed_now(box)).status_code == 200
    finally:
        box.park(False)
    seen = box.ats.until_state(queued["id"], "held")
    assert seen["hold"]["reason"] == "quiet_hours"
    assert "Snart" not in [part.text for part in box.on_air(kim.phone)]
    assert box.ats.explain(queued["id"])["waiting_for"] == "quiet_hours"
    assert patch(box, "SE", hours="always").status_code == 200
    box.ats.until_state(queued["id"], "delivered")


@pytest.mark.requirement("S20")
def test_who_wrote_half_an_hour_ago_may_be_answered_at_any_hour(box: Box) -> None:
    kim = known(box)
    assert patch(box, "SE", hours=closed_now(box)).status_code == 200
    box.stick.control.deliver(kim.phone, "Kan vi tala nu?")
    until(lambda: _heard(box, kim), about="the message is here")
    answer = box.ats.accepted(kim, "Ja!")
    assert answer["state"] == "queued"
    box.ats.until_state(answer["id"], "delivered")
    advance(box, 31 * 60)
    assert box.ats.accepted(kim, "Och nu?")["hold"]["reason"] == "quiet_hours"


def _heard(box: Box, person: Person) -> bool:
    with box.site.store.read() as view:
        return view.one("SELECT 1 AS yes FROM received WHERE candidate_id = ?", person.id) is not None


@pytest.mark.requirement("S20")
def test_an_urgent_message_needs_right_kind_and_reason_and_is_audited(box: Box, unchanged: Unchanged) -> None:
    kim = known(box)
    assert patch(box, "SE", hours=closed_now(box)).status_code == 200
    urgent = {"kind": "interview_reminder", "urgent": True, "reason": "Rummet är bytt"}
    with unchanged():
        assert code(box.ats.submit(kim, "Nytt rum", **urgent)) == (403, "permission_denied")
        who = {"user": "ulla@acme.example"}
        assert code(box.ats.submit(kim, "Nytt rum", **{**urgent, **who, "kind": "contact"})) == (422, "urgent_not_allowed")
        assert code(box.ats.submit(kim, "Jobb", **{**urgent, **who, "kind": "job_alert"})) == (422, "urgent_not_allowed")
        assert code(box.ats.submit(kim, "Nytt rum", **{**urgent, **who, "reason": " "})) == (422, "reason_missing")
    before = audits(box, "message.override")
    sent = box.ats.accepted(kim, "Nytt rum", **urgent, **who)
    assert sent["state"] == "queued"
    box.ats.until_state(sent["id"], "delivered")
    assert audits(box, "message.override") == before + 1


@pytest.mark.requirement("S20")
def test_a_stop_is_confirmed_at_any_hour_and_a_schedule_moves_to_the_next_opening(box: Box) -> None:
    kim, lea = known(box), known(box)
    windows = closed_now(box)
    assert patch(box, "SE", hours=windows).status_code == 200
    planned = box.ats.accepted(lea, "Planerat", send_at=box.moment(3600))
    assert planned["hold"]["reason"] == "scheduled"
    opens = datetime.fromtimestamp(ms(planned["hold"]["not_before"]) / 1000, STOCKHOLM)
    assert f"{opens:%H:%M}" == windows["weekdays"][:5]
    before = len(box.on_air(kim.phone))
    box.stick.control.deliver(kim.phone, "STOPP")
    until(lambda: len(box.on_air(kim.phone)) > before, about="the confirmation")


@pytest.mark.requirement("S20")
def test_a_zone_from_the_ats_and_an_added_holiday_count(box: Box, unchanged: Unchanged) -> None:
    kim = known(box)
    zone = "Pacific/Auckland"
    assert box.ats.http.put(f"/api/v1/candidates/{kim.ref}", json={"zone": zone}).json()["zone"] == zone
    with unchanged():
        bad = box.ats.http.put(f"/api/v1/candidates/{kim.ref}", json={"zone": "CET+1"})
        assert code(bad) == (422, "invalid_timezone")
    there = datetime.fromtimestamp(box.now() / 1000, ZoneInfo(zone))
    window = f"{there.hour:02d}:00-{there.hour + 1:02d}:00"
    assert (
        patch(box, "SE", hours={"weekdays": window, "saturday": window, "sunday": window, "holidays": "hold"}).status_code == 200
    )
    assert box.ats.accepted(kim, "Hej")["state"] == "queued"
    day = {"user": ADMIN, "day": f"{there:%Y-%m-%d}", "name": "Betriebsausflug"}
    assert box.ats.post("/api/v1/countries/SE/holidays", day).status_code == 201
    assert box.ats.post("/api/v1/countries/SE/holidays", day).status_code == 409
    assert box.ats.accepted(kim, "Hej igen")["hold"]["reason"] == "quiet_hours"
    assert box.ats.http.delete(f"/api/v1/countries/SE/holidays/{there:%Y-%m-%d}").status_code == 200


# --- §3.5: budgets -----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S21")
def test_a_card_warns_at_80_percent_and_holds_at_100_until_the_period_ends(box: Box) -> None:
    kim = known(box)
    used = box.ats.get("/api/v1/senders/+46701740699")["budgets"]["day"]["used"]
    body = {"user": ADMIN, "budgets": {"day": used + 5}}
    assert code(box.ats.http.patch("/api/v1/senders/+46701740699", json={**body, "user": "eva@acme.example"})) == (
        403,
        "permission_denied",
    )
    assert box.ats.http.patch("/api/v1/senders/+46701740699", json=body).status_code == 200
    for number in range(5):
        box.ats.until_state(box.ats.accepted(kim, f"Nr {number}")["id"], "delivered")
    told = [e["data"] for e in box.ats.pages("/api/v1/events") if e["type"] == "sender.budget" and e["data"]["period"] == "day"]
    assert told[-1]["percent"] == 100
    held = box.ats.accepted(kim, "En till")
    assert (held["state"], held["hold"]["reason"]) == ("held", "sim_budget")
    midnight = datetime.fromtimestamp(ms(held["hold"]["not_before"]) / 1000, STOCKHOLM)
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert box.ats.get("/api/v1/senders/+46701740699")["budgets"]["day"]["state"] == "full"
    assert box.ats.http.patch("/api/v1/senders/+46701740699", json={"budgets": {"day": used + 50}}).status_code == 200
    box.ats.until_state(held["id"], "delivered")


# --- design §4: the clock ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("S20")
def test_an_untrusted_clock_holds_what_needs_the_time_until_somebody_says_it_is_right(box: Box) -> None:
    file = box.site.clock_file
    assert file is not None
    kim, lea = known(box), known(box)
    FileClock.write(file, offset_s=box._offset_s - 7200, source="")
    until(lambda: not box.ats.get("/api/v1/clock")["trusted"], about="the box sees that its clock went back")
    assert box.ats.get("/api/v1/clock")["reason"] in ("before_newest", "jumped")
    free = box.ats.accepted(lea, "Utan klocka")
    assert free["state"] == "queued"
    box.ats.until_state(free["id"], "delivered")
    wide = "00:00-24:00"
    assert patch(box, "SE", hours={"weekdays": wide, "saturday": wide, "sunday": wide}).status_code == 200
    held = box.ats.accepted(kim, "Med klocka")
    assert (held["state"], held["hold"]["reason"]) == ("held", "clock_untrusted")
    planned = box.ats.accepted(kim, "Planerat", send_at=box.moment(60))
    assert planned["hold"]["reason"] == "clock_untrusted"
    before = len(box.on_air(lea.phone))
    box.stick.control.deliver(lea.phone, "STOPP")
    until(lambda: len(box.on_air(lea.phone)) > before, about="STOP is obeyed and confirmed")
    refused = box.ats.post("/api/v1/clock/confirm", {"user": "eva@acme.example"})
    assert code(refused) == (403, "permission_denied")
    assert box.ats.post("/api/v1/clock/confirm", {"user": ADMIN}).json()["trusted"] is True
    box.ats.until_state(held["id"], "delivered")
    assert box.ats.message(planned["id"])["hold"]["reason"] == "scheduled"
    assert code(box.ats.post("/api/v1/clock/confirm", {"user": ADMIN})) == (409, "clock_trusted")
    box.advance(0)
