"""The pages of compliance: works, anonymous, wrong role, bad input, without a token; a refusal changes nothing."""

from html import unescape

import pytest

from gateway.store.database import Database
from tests.browser.furnished import compliance as furniture
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, Person, anonymous, app, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

HERE = "/admin/compliance"
SEES, EDITS = {"admin", "operator", "compliance"}, {"admin", "compliance"}
PAGES = {
    "": SEES,
    "?show=all&channel=whatsapp": SEES,
    "/countries/SE": SEES,
    "/texts": SEES,
    "/texts/help/sv": SEES,
    "/keywords": SEES,
    "/kinds": SEES,
    "/senders": SEES,
    "/senders/snd_cmp": {"admin"},
    "/tasks": EDITS,
    "/forgetting": EDITS,
    "/retention": SEES,
    "/responsibility": SEES,
    "/countries.csv": SEES,
    "/countries.json": SEES,
}
ACTS = {
    "/finish": (EDITS, {}),
    "/countries/SE/checklist": (EDITS, {"item": "law_read"}),
    "/countries/DE/test": ({"operator"}, {"number": "+4917139200"}),
    "/countries/SE/opt-in": (EDITS, {"opt_in": "single"}),
    "/countries/SE/hours": (EDITS, {"mode": "always"}),
    "/countries/SE/rule": (EDITS, {"owner": "x"}),
    "/countries/SE/holidays": (EDITS, {"day": "2026-12-24"}),
    "/countries/SE/holidays/2026-06-19/drop": (EDITS, {}),
    "/publish": (EDITS, {}),
    "/times": (EDITS, {"reminder_hours": "x"}),
    "/texts": (EDITS, {"kind": "help", "language": "pl"}),
    "/texts/help/sv": (EDITS, {"body": "x"}),
    "/texts/identification/sv/drop": (EDITS, {}),
    "/keywords": (EDITS, {"word": "NOG", "kind": "stop"}),
    "/keywords/kw_none/remove": (EDITS, {}),
    "/kinds": (EDITS, {"kind": "contact", "channel": "sms", "allowed": "n"}),
    "/phrases/sv": (EDITS, {"phrases": "tyvärr"}),
    "/senders/snd_cmp": ({"admin"}, {"countries": "SE"}),
    "/tasks/tsk_cmp0": (EDITS, {"outcome": "resume"}),
    "/forgetting/erase": (EDITS, {"ref": "cmp-0"}),
    "/forgetting/hold": (EDITS, {"ref": "cmp-0", "reason": "x", "on": "y"}),
    "/retention": ({"admin"}, {"raw_days": "7"}),
}


@pytest.fixture
def furnished(store: Database, clock: ManualClock) -> None:
    """Countries and all."""
    furniture.furnish(store, clock)


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens_for_its_roles_only(path: str, people: dict[str, Person], anonymous: Person, furnished: None) -> None:
    answers = {role: person.get(HERE + path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in PAGES[path] else 403 for role in people}
    assert anonymous.get(HERE + path).location.startswith("/admin/login")


@pytest.mark.parametrize("path", ACTS)
def test_each_act_is_for_its_roles_only_and_needs_a_token(
    path: str, people: dict[str, Person], anonymous: Person, furnished: None, store: Database
) -> None:
    may, form = ACTS[path]
    for role in set(people) - may:
        assert people[role].post(HERE + path, form, page="/admin/account").status_code == 403, role
    assert anonymous.post(HERE + path, form, page="/admin/login").location.startswith("/admin/login")
    one = people[sorted(may)[0]]
    assert one.client.post(HERE + path, data=form, headers={"Origin": "http://localhost"}).status_code == 400
    assert one.post(HERE + path, form, page="/admin/account").status_code != 403


@pytest.mark.parametrize(
    ("path", "form", "status", "words"),
    [
        ("/find", {"iso": ""}, 422, "Write a code"),
        ("/find", {"iso": "QQ"}, 422, "No country has this code"),
        ("/find", {"iso": "FL"}, 422, "FI, LI, US-FL"),
        ("/find?channel=fax", {"iso": "SE"}, 400, ""),
        ("/countries/SE/state", {"state": "nonsense"}, 400, ""),
        ("/countries/SE/state", {"state": "testing"}, 409, "does not follow"),
        ("/countries/QQ/state", {"state": "requested"}, 404, ""),
        ("/countries/SE/opt-in", {"opt_in": "triple"}, 422, "Not a valid choice"),
        ("/countries/NO/opt-in", {"opt_in": "single", "name": "Åsa"}, 422, "Going without START needs"),
        ("/countries/SE/holidays", {"day": "soon"}, 422, "Not a valid date"),
        ("/countries/SE/holidays", {"day": "2026-06-19"}, 409, "in the calendar already"),
        ("/countries/SE/holidays/2026-01-01/drop", {}, 404, ""),
        ("/countries/SE/holidays/never/drop", {}, 404, ""),
        ("/texts/help/sv", {"body": ""}, 422, "Write a text"),
        ("/texts/help/sv", {"body": "{{nobody}}"}, 409, ""),
        ("/texts/nonsense/sv", {"body": "x"}, 409, ""),
        ("/texts", {"kind": "help", "language": "<b>"}, 400, ""),
        ("/times", {"reminder_hours": "0", "expiry_days": "14", "grant_days": "365", "contact": ""}, 409, ""),
        ("/keywords", {"word": "1", "kind": "stop"}, 422, "2 to 60 characters"),
        ("/keywords", {"word": "START", "kind": "stop"}, 422, "already means something else (start)"),
        ("/keywords/STOP/remove", {}, 409, "shipped"),
        ("/kinds", {"kind": "rejection", "channel": "sms", "allowed": "y"}, 422, "does not go by this channel"),
        ("/senders/snd_none", {"countries": "SE"}, 404, ""),
        ("/tasks/tsk_none", {"outcome": "resume"}, 404, ""),
        ("/tasks/tsk_cmp0", {"outcome": "maybe"}, 422, ""),
        ("/tasks/tsk_cmp2", {"outcome": "resume"}, 409, "done already"),
        ("/forgetting/erase", {"ref": "", "reason": ""}, 422, "Write the reference"),
        ("/forgetting/erase", {"ref": "nobody", "reason": "x", "requested_on": "2026-03-01"}, 422, "Nobody has this reference"),
        ("/forgetting/erase", {"ref": "cmp-1", "reason": "x", "requested_on": "2026-03-01"}, 422, "legal hold"),
        ("/forgetting/erase", {"ref": "cmp-0", "reason": "x", "requested_on": "2030-01-01"}, 422, "lies in the future"),
        ("/retention", {"raw_days": "lots"}, 422, "Write a whole number"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(
    path: str, form: dict[str, str], status: int, words: str, people: dict[str, Person], furnished: None, store: Database
) -> None:
    before = _state(store)

    answer = people["admin"].post(HERE + path, form, page="/admin/account")

    assert (answer.status_code, words in unescape(answer.text)) == (status, True), answer.text
    assert _state(store) == before


def _state(store: Database) -> list[int]:
    tables = ("country_opt_in", "holiday", "wording", "keyword_addition", "kind_rule", "erasure", "setting")
    with store.read() as view:
        counts = [view.value(f"SELECT COUNT(*) AS n FROM {table}") for table in tables]
        return [*counts, view.value("SELECT COUNT(*) AS n FROM task WHERE state = 'done'")]


def test_windows_a_rule_a_number_and_periods_are_changed_and_a_stale_form_is_not(
    people: dict[str, Person], furnished: None, store: Database
) -> None:
    admin = people["admin"]
    for path, form, shown_on in (
        (
            "/countries/SE/hours",
            {"mode": "own", "weekdays": "09:00-17:00", "saturday": "hold", "sunday": "hold"},
            "/countries/SE",
        ),
        ("/countries/SE/rule", {"owner": "Eva", "source": "", "lead_time_days": "5", "price": "2", **POLICIES}, "/countries/SE"),
        ("/senders/snd_cmp", {"countries": "se no", "international": "0", "active": "1", "gap_seconds": "2", "day": "50"}, None),
        ("/retention", {**PERIODS, "raw_days": "9"}, None),
        ("/times", {"reminder_hours": "24", "expiry_days": "10", "grant_days": "100", "contact": "+46 8 123"}, "/texts"),
        ("/texts/help/sv", {"body": "{{company}}: ring {{contact}}"}, None),
    ):
        page = admin.get(HERE + (shown_on or path)).text
        at = page.index(f'action="{HERE}{path}')
        shown = page[at:].split('name="shown" value="')[1].split('"')[0]
        assert admin.post(HERE + path, {**form, "shown": shown}, page=HERE).status_code == 303, path
        stale = admin.post(HERE + path, {**form, "shown": shown}, page=HERE)
        assert stale.status_code == 409, path
        assert "Somebody was faster" in stale.text
        in_words = {"/countries/SE/hours": "in windows of our own", "/countries/SE/rule": "messages wait for it"}
        assert in_words.get(path, "") in stale.text
    wrong = {
        "mode": "own",
        "weekdays": "9-5",
        "saturday": "hold",
        "sunday": "hold",
        "shown": _shown(admin, "/countries/SE", "hours"),
    }
    answer = admin.post(f"{HERE}/countries/SE/hours", wrong, page=HERE)
    assert answer.status_code == 422
    assert "08:00-20:00" in answer.text
    with store.read() as view:
        row = view.one("SELECT hours, owner, lead_time_days FROM country WHERE iso = 'SE' AND channel = 'sms'")
        sender = view.one("SELECT countries, gap_ms, budgets FROM sender WHERE id = 'snd_cmp'")
    assert row is not None
    assert ("09:00-17:00" in row["hours"], row["owner"], row["lead_time_days"]) == (True, "Eva", 5)
    assert sender is not None
    assert (sender["countries"], sender["gap_ms"], sender["budgets"]) == ('["NO","SE"]', 2000, '{"day":50}')


POLICIES = {"links": "allowed", "international": "allow", "no_sender": "refuse", "sticky_down": "hold"}
PERIODS = {
    "bodies_days": "180",
    "metadata_months": "24",
    "consent_months": "36",
    "api_days": "7",
    "tokens_days": "30",
    "audit_months": "36",
    "backups_days": "35",
}


def _shown(admin: Person, path: str, form: str) -> str:
    page = admin.get(HERE + path).text
    return page[page.index(f"/{form}?") :].split('name="shown" value="')[1].split('"')[0]


def test_tasks_erasures_holds_words_and_kinds_are_dealt_with(people: dict[str, Person], furnished: None, store: Database) -> None:
    officer = people["compliance"]
    assert officer.post(f"{HERE}/tasks/tsk_cmp0", {"outcome": "opt_out"}, page=HERE).status_code == 303
    hold = {"ref": "cmp-1", "reason": "over", "on": "n"}
    assert officer.post(f"{HERE}/forgetting/hold", hold, page=HERE).status_code == 303
    erase = {"ref": "cmp-1", "reason": "asked", "requested_on": "2026-03-01"}
    assert officer.post(f"{HERE}/forgetting/erase", erase, page=HERE).status_code == 303
    assert officer.post(f"{HERE}/keywords", {"word": "NOG", "kind": "stop", "language": "sv"}, page=HERE).status_code == 303
    assert "NOG" in officer.get(f"{HERE}/keywords").text
    off = {"kind": "job_alert", "channel": "sms", "allowed": "n"}
    assert officer.post(f"{HERE}/kinds", off, page=HERE).status_code == 303
    assert officer.post(f"{HERE}/phrases/sv", {"phrases": "nej tack\n\nsorry"}, page=HERE).status_code == 303
    assert officer.post(f"{HERE}/texts/identification/sv/drop", page=HERE).status_code == 303
    with store.read() as view:
        assert view.value("SELECT outcome FROM task WHERE id = 'tsk_cmp0'") == "opt_out"
        assert view.value("SELECT COUNT(*) AS n FROM candidate WHERE id = 'cand_cmp1' AND erased_at IS NOT NULL") == 1
        assert view.value("SELECT allowed FROM kind_rule WHERE organisation_id = ? AND kind = 'job_alert'", ORG) == 0
        assert view.value("SELECT phrases FROM rejection_phrases WHERE language = 'sv'") == '["nej tack","sorry"]'


def test_a_table_for_counsel_runs_no_formula_and_is_audited(people: dict[str, Person], furnished: None, store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE country SET owner = '=1+1' WHERE iso = 'SE'")

    answer = people["compliance"].get(f"{HERE}/countries.csv")

    assert "'=1+1" in answer.text
    assert answer.headers["Content-Disposition"].startswith("attachment")
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM audit WHERE action = 'export.run'") == 1


def test_nobody_reads_messages_through_tasks_who_may_not_read_them(people: dict[str, Person], furnished: None) -> None:
    assert "found a job" in people["compliance"].get(f"{HERE}/tasks").text
    assert people["operator"].get(f"{HERE}/tasks").status_code == 403
    assert "/tasks" not in people["operator"].get(HERE).text
