"""Users & seats: works, anonymous, wrong role, bad input, stale, without a token."""

import csv
import io
import json
import re

import pytest
from werkzeug.test import TestResponse

from gateway.rules.permissions import LABELS, PERMISSIONS, ROLES, category_of
from gateway.store.database import Database
from tests.browser.furnished import organisation as furniture
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, Person, add_message, add_user, anonymous, app, people, store
from web.pages.users.words import CATEGORY_WORDS, RIGHT_WORDS, ROLE_WORDS

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

USERS = "/admin/users"
EVA = f"{USERS}/usr_recruiter"
PAGES = {
    f"{USERS}/new": {"admin"},
    EVA: {"admin"},
    f"{USERS}/people.csv": {"admin"},
    f"{USERS}/roles": {"admin"},
    f"{USERS}/seats": {"admin", "operator"},
    f"{USERS}/upload": {"admin"},
}
ACTS = {
    f"{USERS}/new": {"admin"},
    EVA: {"admin"},
    f"{EVA}/active": {"admin"},
    f"{EVA}/link": {"admin"},
    f"{EVA}/forget": {"admin"},
    f"{EVA}/rights": {"admin"},
    f"{EVA}/rights/rgt_x/take-back": {"admin"},
    f"{USERS}/roles/rights": {"admin"},
    f"{USERS}/roles/rights/rgt_x/take-back": {"admin"},
    f"{USERS}/seats/move": {"admin"},
    f"{USERS}/seats/licence": {"operator"},
    f"{USERS}/upload": {"admin"},
    f"{USERS}/upload/take": {"admin"},
}


def row(store: Database, user_id: str) -> dict[str, object]:
    with store.read() as view:
        found = view.one("SELECT * FROM app_user WHERE id = ?", user_id)
    assert found is not None
    return dict(found)


def field(person: Person, page: str, name: str = "shown") -> str:
    found = re.search(rf'name="{name}"[^>]*value="(\w+)"', person.get(page).text)
    assert found is not None
    return found.group(1)


def edit(person: Person, page: str = EVA, **changed: object) -> TestResponse:
    """Send the form of a person as a browser would, with changes."""
    text = person.get(page).text
    name = re.search(r'name="name"[^>]*value="([^"]*)"', text)
    unit = re.search(r'<option selected value="([^"]*)"', text)
    ticked = re.findall(r'name="roles" value="([^"]+)"[^>]* checked', text)
    assert name is not None
    assert unit is not None
    form = {"shown": field(person, page), "name": name.group(1), "unit": unit.group(1), "roles": ticked, **changed}
    if re.search(r'id="seat"[^>]*checked|checked[^>]*id="seat"', text) and "seat" not in changed:
        form["seat"] = "y"
    form = {key: value for key, value in form.items() if value is not None}
    return person.client.post(page, data={"csrf_token": person.token(page), **form}, headers={"Origin": person.origin})


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


def test_the_list_is_for_who_sees_people_and_leads_the_operator_to_the_seats(
    people: dict[str, Person], anonymous: Person
) -> None:
    answers = {role: person.get(USERS).status_code for role, person in people.items()}

    assert answers == {**dict.fromkeys(people, 403), "admin": 200, "operator": 303}
    assert people["operator"].get(USERS).location == f"{USERS}/seats"
    assert "Recruiter Person" not in people["operator"].get(f"{USERS}/seats").text
    assert anonymous.get(USERS).location.startswith("/admin/login")


# --- the list --------------------------------------------------------------------------------------------------------


def test_people_are_searched_filtered_and_paged_by_key(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        for number in range(70):
            add_user(tx, f"x{number:02}", ["viewer"], clock.now_ms())
            tx.flush()
            tx.execute("UPDATE app_user SET name = ?, seat = ? WHERE id = ?", f"Åke {number:02}", number % 2, f"usr_x{number:02}")
    admin = people["admin"]

    first = admin.get(f"{USERS}?q=åKE").text
    after = re.search(r"after=(usr_\w+)", first)

    assert "70 people" in first
    assert "Åke 49" in first
    assert "Åke 50" not in first
    assert after is not None
    second = admin.get(f"{USERS}?q=åke&after={after.group(1)}").text
    assert "Åke 50" in second
    assert "Åke 49" not in second
    assert "35 people" in admin.get(f"{USERS}?q=åke&seat=with").text
    assert "Recruiter Person" in admin.get(f"{USERS}?role=recruiter").text
    assert "Åke" not in admin.get(f"{USERS}?role=recruiter").text
    assert "Nobody fits" in admin.get(f"{USERS}?state=off").text
    for bad in ("role=king", "seat=maybe", "state=x", "q=" + "a" * 300):
        assert admin.get(f"{USERS}?{bad}").status_code == 400
    assert admin.get(f"{USERS}?unit=org_other").status_code == 404


def test_an_administrator_of_a_unit_sees_and_changes_their_own_people_only(
    people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    with store.write() as tx:
        furniture.add_units(tx, clock.now_ms())
        tx.execute("UPDATE app_user SET unit_id = 'org_u_se' WHERE id IN ('usr_admin', 'usr_recruiter')")
    admin = people["admin"]

    page = admin.get(USERS).text

    assert "Recruiter Person" in page
    assert "Viewer Person" not in page
    assert "people.csv" not in page
    assert admin.get(f"{USERS}/people.csv").status_code == 403
    assert admin.get(EVA).status_code == 200
    assert admin.get(f"{USERS}/usr_viewer").status_code == 404
    assert admin.post(f"{USERS}/usr_viewer/active", {"active": "no"}, page=USERS + "/new").status_code == 404
    assert row(store, "usr_viewer")["active"] == 1


def test_the_gauge_says_how_many_seats_are_used(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE organisation SET seats_total = 15 WHERE id = ?", ORG)
        tx.execute("UPDATE app_user SET seat = 1 WHERE id IN ('usr_recruiter', 'usr_admin')")

    assert "2 of 15 seats used" in people["admin"].get(USERS).text


# --- one person ------------------------------------------------------------------------------------------------------


def test_somebody_is_added_and_gets_a_password_link(people: dict[str, Person], anonymous: Person, store: Database) -> None:
    admin = people["admin"]
    form = {"name": "Nora Ny", "email": "nora@acme.example", "unit": ORG, "roles": "recruiter", "seat": "y"}

    made = admin.post(f"{USERS}/new", form, page=f"{USERS}/new")

    assert made.status_code == 303
    page = admin.get(made.location).text
    assert "has no password yet" in page
    link = admin.post(f"{made.location}/link", page=made.location)
    url = re.search(r'value="[^"]*(/admin/password/[^"]+)"', link.text)
    assert url is not None
    assert "nora@acme.example" in anonymous.get(url.group(1)).text
    again = admin.post(f"{made.location}/link", page=made.location)
    assert again.status_code == 200
    replaced = anonymous.get(url.group(1))
    assert (replaced.status_code, "Ask for a new one" in replaced.text) == (404, True)
    found = row(store, made.location.rsplit("/", 1)[1])
    assert (found["seat"], found["roles"], found["unit_id"]) == (1, '["recruiter"]', ORG)


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"email": "recruiter@acme.example"}, 409, "Somebody has this e-mail address already"),
        ({"email": "no address"}, 422, "no e-mail address"),
        ({"email": ""}, 422, "Enter their e-mail address"),
        ({"name": ""}, 422, "Enter a name"),
        ({"name": " "}, 422, "A name has 1 to 200 characters"),
        ({"unit": "org_other"}, 422, "Not a valid choice"),
        ({"roles": "king"}, 422, "There is no such role"),
        ({"roles": "operator"}, 403, "Only an operator gives this"),
        ({"roles": "credits.grant"}, 403, "Only an operator gives this"),
        ({"seat": "y"}, 409, "All 0 seats are taken"),
    ],
)
def test_a_wrong_new_person_is_told_why_and_nobody_is_added(
    changed: dict[str, str], status: int, words: str, people: dict[str, Person], store: Database
) -> None:
    with store.write() as tx:
        tx.execute("UPDATE organisation SET seats_total = 0 WHERE id = ?", ORG)
    form = {"name": "Nora Ny", "email": "nora@acme.example", "unit": ORG, "roles": "recruiter", **changed}

    answer = people["admin"].post(f"{USERS}/new", form, page=f"{USERS}/new")

    assert (answer.status_code, words in answer.text) == (status, True)
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM app_user WHERE name LIKE 'Nora%'") == 0


def test_saving_changes_name_roles_rights_and_seat(people: dict[str, Person], store: Database) -> None:
    answer = edit(people["admin"], name="Rita", roles=["viewer", "templates.edit"], seat="y")

    assert answer.status_code == 303
    found = row(store, "usr_recruiter")
    assert (found["name"], found["seat"], json.loads(str(found["roles"]))) == ("Rita", 1, ["templates.edit", "viewer"])
    page = people["admin"].get(EVA).text
    assert re.search(r'value="templates.edit"[^>]*checked', page)
    assert "ticked alone, at Acme" in page


def test_saving_beyond_the_licence_is_refused_at_the_seat(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE organisation SET seats_total = 1 WHERE id = ?", ORG)
        tx.execute("UPDATE app_user SET seat = 1 WHERE id = 'usr_viewer'")

    answer = edit(people["admin"], seat="y")

    assert (answer.status_code, "All 1 seats are taken" in answer.text) == (409, True)
    assert row(store, "usr_recruiter")["seat"] == 0


def test_a_stale_edit_shows_both_versions_and_keeping_mine_saves_it(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]
    old = field(admin, EVA)
    assert edit(admin, name="Theirs", seat="y").status_code == 303

    answer = edit(admin, shown=old, name="Mine", roles=["viewer"], seat=None)

    assert answer.status_code == 409
    for words in ("Somebody was faster", "Theirs", "Mine", ">Recruiter</td>", ">Reader</td>", ">Acme</td>"):
        assert words in answer.text
    assert row(store, "usr_recruiter")["name"] == "Theirs"
    again = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text))
    again["seat"] = "no"
    assert admin.client.post(EVA, data=again, headers={"Origin": admin.origin}).status_code == 303
    found = row(store, "usr_recruiter")
    assert (found["name"], found["seat"], found["roles"]) == ("Mine", 0, '["viewer"]')


def test_the_last_administrator_stays_one(people: dict[str, Person], store: Database) -> None:
    answer = edit(people["admin"], f"{USERS}/usr_admin", roles=["viewer"])

    assert (answer.status_code, "last administrator" in answer.text) == (409, True)
    assert json.loads(str(row(store, "usr_admin")["roles"])) == ["admin"]


def test_an_administrator_makes_nobody_the_operator_and_removes_none(people: dict[str, Person], store: Database) -> None:
    admin, operator = people["admin"], f"{USERS}/usr_operator"

    assert edit(admin, roles=["recruiter", "operator"]).status_code == 403
    assert edit(admin, operator, roles=["viewer"]).status_code == 403
    assert admin.post(f"{operator}/link", page=operator).status_code == 403
    forget = admin.post(f"{operator}/forget", page=operator)
    assert (forget.status_code, "Only an operator" in forget.text) == (403, True)
    assert (row(store, "usr_operator")["roles"], row(store, "usr_operator")["active"]) == ('["operator"]', 1)


def test_an_account_is_switched_off_and_on(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]

    off = admin.post(f"{EVA}/active", {"active": "no"}, page=EVA)

    assert off.status_code == 303
    assert people["recruiter"].get("/admin/account").status_code == 303  # signed out
    assert "switched off" in admin.get(EVA).text
    assert admin.post(f"{EVA}/active", {"active": "yes"}, page=EVA).status_code == 303
    assert row(store, "usr_recruiter")["active"] == 1
    assert admin.post(f"{EVA}/active", {"active": "maybe"}, page=EVA).status_code == 400


def test_somebody_is_forgotten_for_good(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]

    assert admin.post(f"{EVA}/forget", page=EVA).status_code == 303

    assert "Recruiter Person" not in admin.get(USERS).text
    assert admin.get(EVA).status_code == 404
    assert str(row(store, "usr_recruiter")["name"]).startswith("former user")


# --- rights ----------------------------------------------------------------------------------------------------------


def test_every_right_has_a_label_and_stands_in_its_category(people: dict[str, Person]) -> None:
    assert set(RIGHT_WORDS) == PERMISSIONS
    assert set(ROLE_WORDS) == set(ROLES)
    assert {category_of(right) for right in PERMISSIONS} <= set(CATEGORY_WORDS)
    assert {right: RIGHT_WORDS[right][0] for right in LABELS} == LABELS
    page = people["admin"].get(f"{USERS}/roles").text
    assert page.index("Candidate Management") < page.index("Recruitment - SMS") < page.index("See messages")


def test_a_right_is_given_at_a_unit_and_taken_back(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        furniture.add_units(tx, clock.now_ms())
    admin = people["admin"]
    gift = {"permission": "reports.view", "unit": "acme/se"}

    assert admin.post(f"{EVA}/rights", gift, page=EVA).status_code == 303
    again = admin.post(f"{EVA}/rights", gift, page=EVA)
    beyond = admin.post(f"{EVA}/rights", {**gift, "permission": "credits.grant"}, page=EVA)
    unknown = admin.post(f"{EVA}/rights", {**gift, "permission": "x.y"}, page=EVA)
    nowhere = admin.post(f"{EVA}/rights", {**gift, "unit": "org_other"}, page=EVA)

    assert [answer.status_code for answer in (again, beyond, unknown, nowhere)] == [409, 403, 422, 404]
    page = admin.get(EVA).text
    assert "at Sverige and below" in page
    assert "given singly at Sverige" in page
    with store.read() as view:
        grant = view.value("SELECT id FROM right_grant")
    back = {"unit": "org_u_se"}
    assert admin.post(f"{EVA}/rights/{grant}/take-back", back, page=EVA).status_code == 303
    assert admin.post(f"{EVA}/rights/{grant}/take-back", back, page=EVA).status_code == 303
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM right_grant") == 0


def test_a_right_is_given_to_a_role_at_a_unit(people: dict[str, Person], store: Database) -> None:
    admin, path = people["admin"], f"{USERS}/roles"
    gift = {"permission": "reports.view", "unit": "self", "role": "recruiter"}

    assert people["recruiter"].get("/admin/reports").status_code == 403
    assert admin.post(f"{path}/rights", gift, page=path).status_code == 303
    assert admin.post(f"{path}/rights", {**gift, "role": "king"}, page=path).status_code == 422
    assert admin.post(f"{path}/rights", {**gift, "role": ""}, page=path).status_code == 422

    assert "for the role Recruiter at Acme" in admin.get(path).text
    assert people["recruiter"].get("/admin/reports").status_code == 200
    with store.read() as view:
        grant = view.value("SELECT id FROM right_grant")
    assert admin.post(f"{path}/rights/{grant}/take-back", {"unit": "self"}, page=path).status_code == 303
    assert people["recruiter"].get("/admin/reports").status_code == 403


def test_whether_somebody_may_send_is_explained_term_by_term(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]
    without = admin.get(f"{EVA}?case=job-7").text
    with store.write() as tx:
        tx.execute("UPDATE app_user SET seat = 1 WHERE id = 'usr_recruiter'")
    having = admin.get(f"{EVA}?case=job-7").text
    stranger = admin.get(f"{USERS}/usr_viewer?case=job-7").text

    assert without.count('class="lacks"') == 1
    assert "There is no seat" in without
    assert 'class="lacks"' not in having
    assert "Nothing stands in the way" in having
    assert stranger.count('class="lacks"') == 3
    assert "Not on the hiring team" in stranger
    assert "There is no case" in admin.get(f"{EVA}?case=job-99").text


# --- seats -----------------------------------------------------------------------------------------------------------


def test_a_seat_moves_in_one_act_with_what_waits(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        tx.execute("UPDATE app_user SET seat = 1 WHERE id = 'usr_recruiter'")
        add_message(tx, 400, "held", clock.now_ms())
    admin, page = people["admin"], f"{USERS}/seats"

    done = admin.post(f"{page}/move", {"giver": "usr_recruiter", "taker": "viewer@acme.example"}, page=page)

    assert done.status_code == 303
    told = admin.get(page).text
    assert "Viewer Person has the seat of Recruiter Person now" in told
    assert "waiting messages went to Viewer Person" in told
    assert (row(store, "usr_recruiter")["seat"], row(store, "usr_viewer")["seat"]) == (0, 1)


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"taker": "nobody-here@acme.example"}, 404, "Nobody here has this address"),
        ({"taker": ""}, 422, "Enter the e-mail address"),
        ({"giver": "usr_viewer"}, 422, "Not a valid choice"),
        ({"taker": "admin@acme.example"}, 409, "has a seat already"),
        ({"taker": "recruiter@acme.example"}, 422, "from one person to another"),
        ({"owner": "compliance@acme.example"}, 409, "needs a seat"),
    ],
)
def test_a_wrong_move_is_told_why_and_moves_nothing(
    changed: dict[str, str], status: int, words: str, people: dict[str, Person], store: Database
) -> None:
    with store.write() as tx:
        tx.execute("UPDATE app_user SET seat = 1 WHERE id IN ('usr_recruiter', 'usr_admin')")
    page = f"{USERS}/seats"

    form = {"giver": "usr_recruiter", "taker": "viewer@acme.example", **changed}
    answer = people["admin"].post(f"{page}/move", form, page=page)

    assert (answer.status_code, words in answer.text) == (status, True)
    assert (row(store, "usr_recruiter")["seat"], row(store, "usr_viewer")["seat"]) == (1, 0)


def test_the_operator_sets_the_licence_and_not_below_what_is_used(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE app_user SET seat = 1 WHERE id IN ('usr_recruiter', 'usr_admin')")
    operator, page = people["operator"], f"{USERS}/seats"

    shown = field(operator, page)
    done = operator.post(f"{page}/licence", {"shown": shown, "total": "10"}, page=page)
    stale = operator.post(f"{page}/licence", {"shown": shown, "total": "12"}, page=page)
    low = operator.post(f"{page}/licence", {"shown": field(operator, page), "total": "1"}, page=page)
    wrong = operator.post(f"{page}/licence", {"shown": field(operator, page), "total": "-1"}, page=page)

    assert [answer.status_code for answer in (done, stale, low, wrong)] == [303, 409, 409, 422]
    assert "2 seats are in use" in low.text
    assert "2 of 10 seats used" in operator.get(page).text
    assert 'name="total"' not in people["admin"].get(page).text
    unlimited = operator.post(f"{page}/licence", {"shown": field(operator, page), "total": ""}, page=page)
    assert unlimited.status_code == 303
    assert "no limit" in operator.get(page).text


# --- files -----------------------------------------------------------------------------------------------------------


def upload(person: Person, text: str | bytes) -> TestResponse:
    page = f"{USERS}/upload"
    octets = text.encode() if isinstance(text, str) else text
    data = {"csrf_token": person.token(page), "file": (io.BytesIO(octets), "people.csv")}
    return person.client.post(page, data=data, headers={"Origin": person.origin}, content_type="multipart/form-data")


def take(person: Person, text: str, agreed: str) -> TestResponse:
    return person.post(f"{USERS}/upload/take", {"text": text, "agreed": agreed}, page=f"{USERS}/upload")


def agreed(answer: TestResponse) -> str:
    found = re.search(r'name="agreed" value="(\w+)"', answer.text)
    assert found is not None
    return found.group(1)


def test_a_download_has_no_formula_and_goes_up_again_without_a_change(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE app_user SET name = '=HYPERLINK(\"x\")' WHERE id = 'usr_viewer'")
    admin = people["admin"]

    for delimiter in (",", ";"):
        file = admin.get(f"{USERS}/people.csv?delimiter={delimiter}")
        rows = {
            each["email"]: each for each in csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff")), delimiter=delimiter)
        }
        assert rows["viewer@acme.example"]["name"] == '\'=HYPERLINK("x")'
        assert "nothing to change" in upload(admin, file.data).text
    assert admin.get(f"{USERS}/people.csv?delimiter=x").status_code == 400


def test_a_dry_run_shows_every_difference_and_changes_nothing(people: dict[str, Person], store: Database) -> None:
    text = "email,name,roles,seat\nrecruiter@acme.example,Rita,recruiter viewer,yes\nnew@acme.example,Nils Ny,recruiter,no\n"

    page = upload(people["admin"], text)

    assert page.status_code == 200
    for words in (
        "Line 2",
        "<del>Recruiter Person</del>",
        "<ins>Rita</ins>",
        "Line 3",
        "Nils Ny",
        "0 → 1",
        "<del>no</del> → <ins>yes</ins>",
    ):
        assert words in page.text
    assert row(store, "usr_recruiter")["name"] == "Recruiter Person"
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM app_user WHERE email = 'new@acme.example'") == 0


def test_what_was_shown_is_taken_and_nothing_else(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]
    text = "email,name\nrecruiter@acme.example,Rita\nnew@acme.example,Nils Ny\n"
    shown = agreed(upload(admin, text))
    with store.write() as tx:
        tx.execute("UPDATE app_user SET name = 'Changed meanwhile' WHERE id = 'usr_recruiter'")

    late = take(admin, text, shown)

    assert (late.status_code, "Changed meanwhile" in late.text) == (409, True)
    assert row(store, "usr_recruiter")["name"] == "Changed meanwhile"
    done = take(admin, text, agreed(late))
    assert done.status_code == 303
    assert "One person was added, one was changed" in admin.get(USERS).text
    assert row(store, "usr_recruiter")["name"] == "Rita"


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("", 422, "Choose a file"),
        (b"\xff\xfe\x00", 422, "not UTF-8"),
        ("email,shoe\na@b.example,43\n", 422, "“shoe” is not known"),
        ("name\nRita\n", 422, "needs the column email"),
        ("email,seat\nrecruiter@acme.example,perhaps\nnobody,yes\n", 422, "Write yes or no"),
        ("email,seat\nrecruiter@acme.example,perhaps\nnobody,yes\n", 422, "This is no e-mail address"),
        ("email,roles\nrecruiter@acme.example,operator\n", 422, "Only an operator gives this"),
        ("email,seat\nrecruiter@acme.example,yes\nviewer@acme.example,yes\n", 409, "All 1 seats are taken, and this needs 2"),
        ("email,roles\nadmin@acme.example,viewer\n", 409, "last administrator"),
        ('email,name\nrecruiter@acme.example,"Rita\n', 422, "cannot be read as CSV"),
        ("email\nrecruiter@acme.example\nrecruiter@acme.example\n", 422, "another line already"),
    ],
)
def test_a_bad_file_is_told_line_by_line_and_changes_nothing(
    text: str | bytes, status: int, words: str, people: dict[str, Person], store: Database
) -> None:
    with store.write() as tx:
        tx.execute("UPDATE organisation SET seats_total = 1 WHERE id = ?", ORG)
    before = row(store, "usr_recruiter")

    answer = upload(people["admin"], text)

    assert (answer.status_code, words in answer.text) == (status, True)
    assert row(store, "usr_recruiter") == before


def test_a_bad_file_is_not_taken_either(people: dict[str, Person], store: Database) -> None:
    answer = take(people["admin"], "email,seat\nrecruiter@acme.example,perhaps\n", "x" * 32)

    assert answer.status_code == 422
    assert row(store, "usr_recruiter")["seat"] == 0
