"""Organisation and its Credits: works, anonymous, wrong role, bad input, stale, without a token."""

import csv
import io

import pytest

from gateway.flows import people as people_flow
from gateway.flows.rights import acting
from gateway.flows.vouchers import new_keys, sign, trust
from gateway.store.database import Database
from tests.browser.furnished import organisation as furniture
from tests.support import ManualClock, questions
from tests.web.pages_fixtures import (
    ORG,
    Person,
    add_ledger,
    add_user,
    anonymous,
    app,
    message_id,
    people,
    store,
)

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

CREDITS = "/admin/organisation/credits"
PAGES = {
    "/admin/organisation": {"admin", "operator", "compliance"},
    f"/admin/organisation/{ORG}": {"admin", "operator", "compliance"},
    f"/admin/organisation/{ORG}/settings": {"admin"},
    CREDITS: {"admin", "operator"},
    f"/admin/organisation/{ORG}/credits": {"admin", "operator"},
    f"{CREDITS}/ledger.csv": {"admin", "operator"},
    f"/admin/organisation/{ORG}/allowances": {"admin", "operator"},
    f"/admin/organisation/{ORG}/chargeback": {"admin", "compliance"},
    f"/admin/organisation/{ORG}/chargeback.csv": {"admin", "compliance"},
}
ACTS = {
    f"/admin/organisation/{ORG}/units": {"admin"},
    f"/admin/organisation/{ORG}/settings": {"admin"},
    f"/admin/organisation/{ORG}/allowance": {"admin"},
    f"/admin/organisation/{ORG}/allowance/remove": {"admin"},
    f"{CREDITS}/grant": {"operator"},
    f"{CREDITS}/ask": {"admin", "operator"},
    f"{CREDITS}/voucher": {"admin", "operator"},
    f"{CREDITS}/warnings": {"admin"},
    f"{CREDITS}/policy": {"operator"},
    f"{CREDITS}/requests/gnt_x": {"admin", "operator"},
}


@pytest.fixture
def units(store: Database, clock: ManualClock) -> None:
    """The tree below Acme."""
    with store.write() as tx:
        furniture.add_units(tx, clock.now_ms())


def balance(store: Database) -> int:
    with store.read() as view:
        return int(view.value("SELECT available FROM balance WHERE organisation_id = ?", ORG) or 0)


def fund(store: Database, amount: int, now: int) -> None:
    with store.write() as tx:
        tx.insert("balance", organisation_id=ORG, available=amount, reserved=0, full_at=amount)
        add_ledger(tx, "grant", amount, now, reference="PO-0")


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens_for_its_roles_only(path: str, people: dict[str, Person], anonymous: Person) -> None:
    answers = {role: person.get(path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in PAGES[path] else 403 for role in people}
    assert anonymous.get(path).location.startswith("/admin/login")


@pytest.mark.parametrize("path", ACTS)
def test_each_act_is_for_its_roles_only_and_needs_a_token(path: str, people: dict[str, Person], anonymous: Person) -> None:
    assert anonymous.post(path, page="/admin/login").location.startswith("/admin/login")
    for role, person in people.items():
        if role not in ACTS[path]:
            assert person.post(path, page="/admin/account").status_code == 403, role
        else:
            refused = person.client.post(path, data={}, headers={"Origin": person.origin})
            assert (refused.status_code, "too old" in refused.text) == (400, True)


def test_the_old_address_of_credits_leads_to_the_tab(people: dict[str, Person]) -> None:
    for person in people.values():
        answer = person.get("/admin/credits")
        assert (answer.status_code, answer.location) == (303, CREDITS)


# --- the tree --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("units")
def test_the_tree_shows_every_unit_with_its_people_and_cases(people: dict[str, Person]) -> None:
    page = people["admin"].get("/admin/organisation").text

    for words in ("Sverige", "Vård &amp; omsorg", "Deutschland", "6 people", "1 case", "acme/se"):
        assert words in page or words == "acme/se"
    assert page.index("Deutschland") < page.index("Rechtsschutz") < page.index("Sverige") < page.index("IT och teknik")


@pytest.mark.usefixtures("units")
def test_an_administrator_of_a_unit_sees_that_unit_and_below_only(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE app_user SET unit_id = 'org_u_se' WHERE id = 'usr_admin'")
    admin = people["admin"]

    page = admin.get("/admin/organisation").text

    assert "<h1>Sverige</h1>" in page
    assert "Deutschland" not in page
    assert f'href="/admin/organisation/{ORG}"' not in page
    assert admin.get("/admin/organisation/org_u_care").status_code == 200
    for hidden in (ORG, "org_u_de", "org_other", "org_nowhere"):
        assert admin.get(f"/admin/organisation/{hidden}").status_code == 404
    assert admin.get(CREDITS).status_code == 404
    assert admin.get(f"{CREDITS}/ledger.csv").status_code == 403
    add = {"name": "Elsewhere", "ref": "acme/x"}
    assert admin.post("/admin/organisation/org_u_de/units", add, page="/admin/organisation").status_code == 404


@pytest.mark.usefixtures("units")
def test_a_unit_is_added_and_its_reference_counts_once(people: dict[str, Person], store: Database) -> None:
    path, page = "/admin/organisation/org_u_se/units", "/admin/organisation/org_u_se"

    made = people["admin"].post(path, {"name": "Norr", "ref": "acme/se/norr"}, page=page)
    shown = people["admin"].get(made.location).text
    again = people["admin"].post(path, {"name": "Norr 2", "ref": "acme/se/norr"}, page=page)
    wrong = people["admin"].post(path, {"name": "", "ref": "not a reference!"}, page=page)

    assert made.status_code == 303
    assert "<h1>Norr</h1>" in shown
    assert "was added" in shown
    assert again.status_code == 409
    assert "has this reference already" in again.text
    assert 'value="Norr 2"' in again.text
    assert wrong.status_code == 422
    with store.read() as view:
        rows = view.all("SELECT name, parent_id, zone, region FROM organisation WHERE ref LIKE 'acme/se/norr%'")
    assert [tuple(row) for row in rows] == [("Norr", "org_u_se", "Europe/Stockholm", "SE")]


@pytest.mark.usefixtures("units")
def test_settings_are_saved_and_a_unit_moves(people: dict[str, Person], store: Database) -> None:
    page = "/admin/organisation/org_u_care/settings"
    form = shown_form(people["admin"], page)

    answer = people["admin"].post(page, {**form, "name": "Vård", "parent": "acme/de", "region": "DE"}, page=page)

    assert answer.status_code == 303
    with store.read() as view:
        row = view.one("SELECT name, parent_id, region, zone FROM organisation WHERE id = 'org_u_care'")
    assert tuple(row or ()) == ("Vård", "org_u_de", "DE", "Europe/Stockholm")


def shown_form(person: Person, page: str) -> dict[str, str]:
    """The fields of the settings as a browser would send them unchanged."""
    import re

    text = person.get(page).text
    found = dict(re.findall(r'<input[^>]* name="(\w+)"[^>]*? value="([^"]*)"', text))
    for name, options in re.findall(r'<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', text, re.DOTALL):
        chosen = re.search(r'<option selected value="([^"]*)"', options)
        found[name] = "" if chosen is None else chosen.group(1)
    found.pop("csrf_token", None)
    return {
        name: value
        for name, value in found.items()
        if name in ("shown", "name", "parent", "language", "zone", "region", "sms_enabled")
    }


@pytest.mark.usefixtures("units")
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": ""}, "Give it a name"),
        ({"zone": "Mars/Olympus"}, "This is no time zone"),
        ({"region": "Sweden"}, "Not a valid choice"),
        ({"parent": "acme/se/care"}, "Not a valid choice"),
        ({"language": "xx-klingon"}, "Not a valid choice"),
    ],
)
def test_wrong_settings_say_so_at_the_field_and_change_nothing(
    changed: dict[str, str], words: str, people: dict[str, Person], store: Database
) -> None:
    page = "/admin/organisation/org_u_care/settings"
    form = shown_form(people["admin"], page)

    answer = people["admin"].post(page, {**form, **changed}, page=page)

    assert answer.status_code == 422
    assert words in answer.text
    with store.read() as view:
        assert view.value("SELECT name FROM organisation WHERE id = 'org_u_care'") == "Vård & omsorg"


@pytest.mark.usefixtures("units")
def test_a_stale_edit_shows_both_versions_and_saves_none(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    page = "/admin/organisation/org_u_care/settings"
    form = shown_form(people["admin"], page)
    with store.write() as tx:
        by = acting(tx, ORG, "user:usr_admin", None)
        unit = people_flow.find_unit(tx, ORG, "org_u_care")
        people_flow.change_unit(tx, by, unit, {"name": "Theirs"}, clock.now_ms())

    answer = people["admin"].post(page, {**form, "name": "Mine"}, page=page)

    assert answer.status_code == 409
    for words in ("Somebody was faster", "Theirs", "Mine", "differs"):
        assert words in answer.text
    with store.read() as view:
        assert view.value("SELECT name FROM organisation WHERE id = 'org_u_care'") == "Theirs"


def test_sms_is_switched_off_for_the_whole_organisation(people: dict[str, Person], store: Database) -> None:
    page = f"/admin/organisation/{ORG}/settings"
    form = shown_form(people["admin"], page)

    assert people["admin"].post(page, {**form, "sms_enabled": "no"}, page=page).status_code == 303

    with store.read() as view:
        assert view.value("SELECT sms_enabled FROM organisation WHERE id = ?", ORG) == 0


@pytest.mark.parametrize(("path", "sign"), [("/admin/organisation", "unit-29"), (CREDITS, "PO-0"), ("/admin/users", "person29@")])
def test_a_page_asks_the_store_no_more_for_a_larger_organisation(
    path: str, sign: str, people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    fund(store, 10, clock.now_ms())
    with questions() as few:
        assert people["admin"].get(path).status_code == 200
    with store.write() as tx:
        for number in range(30):
            node, ref = f"org_{number}", f"unit-{number}"
            tx.insert("organisation", id=node, root_id=ORG, parent_id=ORG, ref=ref, name=ref, created_at=clock.now_ms())
            tx.flush()
            add_user(tx, f"person{number}", ["admin"] if number % 2 else ["operator"], clock.now_ms())
            grant = {"holder": "role", "role": "viewer", "permission": "reports.view", "unit_id": node}
            tx.insert("right_grant", id=f"rgt_{number}", organisation_id=ORG, **grant, created_at=clock.now_ms())

    with questions() as many:
        page = people["admin"].get(path).text

    assert sign in page
    assert len(many) == len(few), sorted({each for each in many if many.count(each) > few.count(each)})


# --- credits ---------------------------------------------------------------------------------------------------------


def test_credits_show_balance_reserved_ledger_and_chart(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    now = clock.now_ms()
    with store.write() as tx:
        tx.insert("balance", organisation_id=ORG, available=1496, reserved=2)
        add_ledger(tx, "grant", 1500, now - 86_400_000, reference="PO-7")
        add_ledger(tx, "reserve", -4, now - 3_600_000, message_id=message_id(5), actor="user:usr_recruiter")
        add_ledger(tx, "settle", 0, now - 1000, message_id=message_id(5), charged=2, actor="gateway")

    page = people["admin"].get(CREDITS).text

    for words in ("1\u202f496", "PO-7", "+1\u202f500", "\u22124", "Recruiter Person", "(2)", "<polyline", "Charged"):
        assert words in page
    assert message_id(5) in page
    assert message_id(5) not in people["operator"].get(CREDITS).text  # may not read messages
    ninety = people["admin"].get(f"{CREDITS}?days=90").text
    assert "2025-12-03" in ninety
    only = people["admin"].get(f"{CREDITS}?only=grants").text
    assert "PO-7" in only
    assert "Recruiter Person" not in only


def test_credits_are_paged_by_key_and_refuse_a_bad_one(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        tx.insert("balance", organisation_id=ORG, available=60, reserved=0)
        for number in range(60):
            add_ledger(tx, "grant", 1, clock.now_ms(), reference=f"PO-{number:03}")
    admin = people["admin"]

    assert "PO-059" in admin.get(CREDITS).text
    assert "before=31" in admin.get(CREDITS).text
    assert "PO-009" in admin.get(f"{CREDITS}?before=11").text
    assert "PO-009" in admin.get(f"{CREDITS}?before=11&only=grants").text
    assert "No older entries" in admin.get(f"{CREDITS}?before=1").text
    for bad in ({"before": "x"}, {"before": "-1"}, {"before": "1" * 30}, {"before": "²"}, {"days": "31"}, {"only": "refunds"}):
        assert admin.client.get(CREDITS, query_string=bad).status_code == 400


def test_no_credits_say_what_to_do_for_whom(people: dict[str, Person]) -> None:
    assert "ringpost credit grant" in people["operator"].get(CREDITS).text
    assert "Ask the operator" in people["admin"].get(CREDITS).text
    assert "There are no credits left" in people["admin"].get(CREDITS).text


def test_who_lacks_the_right_is_told_whom_to_ask_and_never_the_balance(
    people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    fund(store, 4321, clock.now_ms())

    answer = people["recruiter"].get(CREDITS)

    assert answer.status_code == 403
    assert "Admin Person" in answer.text
    assert "admin@acme.example" in answer.text
    assert "321" not in answer.text


def test_the_operator_tops_up_once_per_reference(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    fund(store, 10, clock.now_ms())
    operator, path = people["operator"], f"{CREDITS}/grant"

    done = operator.post(path, {"amount": "500", "reference": "PO-7", "reason": "spring"}, page=CREDITS)
    told = operator.get(CREDITS).text
    again = operator.post(path, {"amount": "500", "reference": "PO-7"}, page=CREDITS)

    assert done.status_code == 303
    assert "500 credits were added" in told
    assert again.status_code == 409
    assert "an order counts once" in again.text
    assert 'value="PO-7"' in again.text
    for wrong in ("-5", "1.5", "0", "", "many", "1000000001"):
        answer = operator.post(path, {"amount": wrong, "reference": "PO-8"}, page=CREDITS)
        assert answer.status_code == 422, wrong
    assert operator.post(path, {"amount": "5", "reference": " "}, page=CREDITS).status_code == 422
    assert balance(store) == 510


def test_with_two_approvers_a_top_up_waits_for_somebody_else(
    people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    fund(store, 10, clock.now_ms())
    operator = people["operator"]
    operator.post(f"{CREDITS}/policy", {"two_approvers": "yes"}, page=CREDITS)

    operator.post(f"{CREDITS}/grant", {"amount": "40", "reference": "PO-20"}, page=CREDITS)

    assert "second person" in operator.get(CREDITS).text
    assert balance(store) == 10
    with store.read() as view:
        waiting = view.value("SELECT id FROM grant_request")
    same = operator.post(f"{CREDITS}/requests/{waiting}", {"choice": "approve"}, page=CREDITS)
    assert same.status_code == 403
    assert "somebody else must" in same.text
    assert people["admin"].post(f"{CREDITS}/requests/{waiting}", {"choice": "approve"}, page=CREDITS).status_code == 403
    assert balance(store) == 10
    operator.post(f"{CREDITS}/policy", {"two_approvers": "no"}, page=CREDITS)
    taken = operator.post(f"{CREDITS}/requests/{waiting}", {"choice": "refuse"}, page=CREDITS)
    assert taken.status_code == 303
    late = operator.post(f"{CREDITS}/requests/{waiting}", {"choice": "refuse"}, page=CREDITS)
    assert (late.status_code, "decided this already" in late.text) == (409, True)
    assert operator.post(f"{CREDITS}/requests/{waiting}", {"choice": "?"}, page=CREDITS).status_code == 400


def test_an_administrator_asks_and_the_operator_approves(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    fund(store, 10, clock.now_ms())
    wish = {"amount": "300", "reference": "PO-44", "reason": "Spring campaign"}

    people["admin"].post(f"{CREDITS}/ask", wish, page=CREDITS)

    page = people["operator"].get(CREDITS).text
    for words in ("Waiting for a yes", "+300", "PO-44", "Spring campaign", "Admin Person"):
        assert words in page
    assert "Approve" not in people["admin"].get(CREDITS).text
    assert balance(store) == 10
    with store.read() as view:
        waiting = view.value("SELECT id FROM grant_request")
    done = people["operator"].post(f"{CREDITS}/requests/{waiting}", {"choice": "approve"}, page=CREDITS)
    assert done.status_code == 303
    assert balance(store) == 310
    assert "approved" in people["admin"].get(CREDITS).text


def test_where_two_must_agree_a_customers_wish_is_no_approval(
    people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    fund(store, 10, clock.now_ms())
    operator = people["operator"]
    operator.post(f"{CREDITS}/policy", {"two_approvers": "yes"}, page=CREDITS)
    people["admin"].post(f"{CREDITS}/ask", {"amount": "300", "reference": "PO-44"}, page=CREDITS)
    with store.read() as view:
        waiting = view.value("SELECT id FROM grant_request")

    operator.post(f"{CREDITS}/requests/{waiting}", {"choice": "approve"}, page=CREDITS)
    again = operator.post(f"{CREDITS}/requests/{waiting}", {"choice": "approve"}, page=CREDITS)

    assert again.status_code == 403
    assert balance(store) == 10


def test_a_signed_voucher_counts_once(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    fund(store, 10, clock.now_ms())
    private, public = new_keys()
    admin, path = people["admin"], f"{CREDITS}/voucher"
    early = admin.post(path, {"voucher": "RPV1.a.b"}, page=CREDITS)
    with store.write() as tx:
        trust(tx, public, "cli:root", clock.now_ms())
    voucher = sign(private, ORG, 25, clock.now_ms())

    done = admin.post(path, {"voucher": voucher}, page=CREDITS)
    again = admin.post(path, {"voucher": voucher}, page=CREDITS)
    forged = admin.post(path, {"voucher": voucher[:-4] + "AAAA"}, page=CREDITS)
    nothing = admin.post(path, {"voucher": ""}, page=CREDITS)

    assert (early.status_code, "trusts no voucher key" in early.text) == (409, True)
    assert done.status_code == 303
    assert (again.status_code, "redeemed already" in again.text) == (409, True)
    assert (forged.status_code, "no voucher" in forged.text) == (422, True)
    assert nothing.status_code == 422
    assert balance(store) == 35


def test_warnings_are_told_at_percents_of_ones_own(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    from gateway.flows import credits, thresholds

    fund(store, 100, clock.now_ms())
    admin, path = people["admin"], f"{CREDITS}/warnings"
    for wrong in ("lots", "120", "10, 20, 30, 40, 50", "-3"):
        assert admin.post(path, {"thresholds": wrong}, page=CREDITS).status_code == 422, wrong

    assert admin.post(path, {"thresholds": "60 %, 10"}, page=CREDITS).status_code == 303

    with store.read() as view:
        assert thresholds.of(view, ORG) == (60, 10, 0)
    with store.write() as tx:
        credits.reserve(tx, ORG, message_id(1), 41, "user:usr_recruiter", clock.now_ms())
    with store.read() as view:
        assert view.value("SELECT told FROM balance WHERE organisation_id = ?", ORG) == 60
    page = admin.get(CREDITS).text
    assert "at 60 %" in page
    assert page.index("at 60 %") < page.index("told</span>") < page.index("at 10 %")
    assert 'value="60, 10"' in page


def test_the_ledger_of_a_month_is_a_file_without_formulas(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    fund(store, 100, clock.now_ms())
    with store.write() as tx:
        add_ledger(tx, "grant", 5, clock.now_ms(), reference="=1+1")
        add_ledger(tx, "reserve", -4, clock.now_ms(), message_id=message_id(5), actor="user:usr_recruiter")
        add_ledger(tx, "grant", 7, clock.now_ms(), reference="April", month="2026-04")
    answer = people["admin"].get(f"{CREDITS}/ledger.csv?month=2026-03")

    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))

    assert answer.headers["Content-Disposition"] == 'attachment; filename="ledger-2026-03.csv"'
    assert [(row["what"], row["credits"], row["reference"], row["by"]) for row in rows] == [
        ("grant", "100", "PO-0", "cli:root"),
        ("grant", "5", "'=1+1", "cli:root"),
        ("reserve", "-4", "", "Recruiter Person"),
    ]
    for bad in ("2026-13", "March", "2026-3"):
        assert people["admin"].get(f"{CREDITS}/ledger.csv?month={bad}").status_code == 400


def test_a_long_ledger_comes_in_pieces_and_loses_nothing(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        for number in range(2_300):
            add_ledger(tx, "grant", 1, clock.now_ms(), reference=f"PO-{number:05}")

    text = people["admin"].get(f"{CREDITS}/ledger.csv?month=2026-03").text

    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["reference"] for row in rows] == [f"PO-{number:05}" for number in range(2_300)]


# --- allowances ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("units")
def test_an_allowance_is_set_shown_as_a_gauge_and_removed(people: dict[str, Person], store: Database) -> None:
    admin, page, path = people["admin"], "/admin/organisation/org_u_se/allowances", "/admin/organisation/org_u_se/allowance"
    assert "No monthly allowances here" in admin.get(page).text
    shown = hidden(admin, page)

    assert admin.post(path, {"shown": shown, "monthly": "800", "carry_over": "50"}, page=page).status_code == 303

    text = admin.get(page).text
    for words in ("0 used, 800 left", "<meter", "800 a month", "up to 50 of a rest"):
        assert words in text
    assert "Sverige" in admin.get(f"/admin/organisation/{ORG}/allowances").text
    stale = admin.post(path, {"shown": shown, "monthly": "900", "carry_over": "0"}, page=page)
    assert (stale.status_code, "800" in stale.text, "900" in stale.text) == (409, True, True)
    for wrong in ("-1", "x", ""):
        assert admin.post(path, {"shown": hidden(admin, page), "monthly": wrong, "carry_over": "0"}, page=page).status_code == 422
    assert admin.post(f"{path}/remove", page=page).status_code == 303
    assert admin.post(f"{path}/remove", page=page).status_code == 303
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM allowance") == 0


def hidden(person: Person, page: str) -> str:
    import re

    found = re.search(r'name="shown"[^>]*value="(\w+)"', person.get(page).text)
    assert found is not None
    return found.group(1)


# --- chargeback ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("units")
def test_chargeback_sums_teams_and_cases_as_the_ledger_does(
    people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    now = clock.now_ms()
    with store.write() as tx:
        for unit, case, charged, month in (
            ("org_u_care", "case_1", 3, "2026-02"),
            ("org_u_it", None, 4, "2026-02"),
            ("org_u_de", None, 50, "2026-02"),
            ("org_u_care", "case_1", 100, "2026-01"),
        ):
            add_ledger(tx, "settle", 0, now, charged=charged, parts=charged, unit_id=unit, case_id=case, month=month)
    admin, path = people["admin"], f"/admin/organisation/{ORG}/chargeback"

    month = admin.get(path).text  # without months: the last one
    both = admin.get(f"{path}?from=2026-01&to=2026-02").text
    unit = admin.get("/admin/organisation/org_u_se/chargeback?from=2026-02").text
    file = admin.get(f"{path}.csv?from=2026-01&to=2026-02")

    assert "<dd>57</dd>" in month
    assert "<dd>157</dd>" in both
    assert "<dd>7</dd>" in unit
    assert "Deutschland" not in unit
    assert 'filename="chargeback-2026-01-2026-02.csv"' in file.headers["Content-Disposition"]
    assert sum(int(row["credits"]) for row in csv.DictReader(io.StringIO(file.text))) == 157
    wrong = admin.get(f"{path}?from=2026-03&to=2026-01")
    assert (wrong.status_code, "first month lies after the last" in wrong.text) == (422, True)
    assert admin.get(f"{path}.csv?from=2026-03&to=2026-01").status_code == 422
    assert admin.get(f"{path}?from=yesterday").status_code == 400


def test_somebody_elses_organisation_is_not_there(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        add_user(tx, "stranger", ["admin"], clock.now_ms(), org="org_other")
    for tab in ("", "/settings", "/credits", "/allowances", "/chargeback"):
        assert people["admin"].get(f"/admin/organisation/org_other{tab}").status_code == 404
