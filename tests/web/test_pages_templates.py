"""The pages of templates: works, anonymous, wrong role, bad input, without a token; and what S12 to S14 promise of them."""

from html import unescape

import pytest

from gateway.store.database import Database, Row
from modem.segments import analyse
from tests.browser.furnished import templates as furniture
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, Person, anonymous, app, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

LIST = "/admin/templates"
SEES = {"recruiter", "admin", "compliance"}
FORM = {
    "name": "Call me back",
    "kind": "contact",
    "channel": "sms",
    "language": "en",
    "max_segments": "4",
    "body": "Hello {{candidate.first_name}}, {{company}} here. Reply STOP to opt out.",
}


@pytest.fixture
def furnished(store: Database, clock: ManualClock) -> None:
    """Templates to look at."""
    furniture.furnish(store, clock)


def stored(store: Database, name: str) -> Row | None:
    with store.read() as view:
        return view.one("SELECT * FROM template WHERE name = ?", name)


def made(people: dict[str, Person], store: Database, **more: str) -> str:
    """A template written on the page; its address."""
    answer = people["admin"].post(f"{LIST}/new?unit={ORG}", {**FORM, **more}, page=f"{LIST}/new")
    assert answer.status_code == 303, answer.text
    return answer.location.split("?")[0]


@pytest.mark.parametrize("path", ["", f"/{furniture.INVITE}", f"/{furniture.INVITE}/versions/2"])
def test_each_page_opens_for_who_may_see_templates(
    path: str, people: dict[str, Person], anonymous: Person, furnished: None
) -> None:
    answers = {role: person.get(LIST + path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in SEES else 403 for role in people}
    assert anonymous.get(LIST + path).location.startswith("/admin/login")


@pytest.mark.parametrize("path", ["/new", f"/{furniture.INVITE}/edit"])
def test_the_editor_opens_for_who_may_edit_there(
    path: str, people: dict[str, Person], anonymous: Person, furnished: None
) -> None:
    answers = {role: person.get(LIST + path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role == "admin" else 403 for role in people}
    assert anonymous.get(LIST + path).location.startswith("/admin/login")


@pytest.mark.parametrize("act", [f"/new?unit={ORG}", *(f"/{furniture.INVITE}/{act}" for act in ("edit", "archive", "copy"))])
def test_changes_are_refused_to_strangers_wrong_roles_and_without_a_token(
    act: str, people: dict[str, Person], anonymous: Person, furnished: None, store: Database
) -> None:
    form = {**FORM, "to": "tpl-se"}

    assert anonymous.post(LIST + act, form, page="/admin/login").location.startswith("/admin/login")
    for role in ("recruiter", "operator", "compliance", "viewer", "nobody"):
        assert people[role].post(LIST + act, form, page="/admin/account").status_code == 403
    bare = people["admin"].client.post(LIST + act, data=form, headers={"Origin": "http://localhost"})
    assert bare.status_code == 400
    kept = stored(store, "Interview invitation")
    assert kept is not None
    assert kept["archived_at"] is None
    assert (row := stored(store, "Call me back")) is None or row["id"] == "tpl_emoji"


@pytest.mark.parametrize("query", ["channel=fax", "kind=nonsense", "q=%00", "q=" + "x" * 101])
def test_the_list_refuses_a_filter_it_does_not_know(query: str, people: dict[str, Person]) -> None:
    assert people["admin"].get(f"{LIST}?{query}").status_code == 400
    assert people["admin"].get(f"{LIST}?unit=org_other").status_code == 404


def test_the_list_shows_what_a_unit_has_and_inherits_and_filters_it(people: dict[str, Person], furnished: None) -> None:
    admin = people["admin"]
    unit = admin.get(f"{LIST}?unit=tpl-se").text

    assert "tpl_invite_sv_se" in unit
    assert "tpl_invite_sv?" not in unit
    assert "inherited from Acme" in unit
    assert "Interview invitation (SMS)" in unit
    assert "Interview invitation (WhatsApp)" in unit
    assert "Rejection (Email)" in unit
    assert "tpl_old" not in unit
    assert "Interview invitation (SMS)" not in admin.get(f"{LIST}?channel=email").text
    assert "tpl_rejection" in admin.get(f"{LIST}?q=SOMEBODY+ELSE").text
    assert "No template fits" in admin.get(f"{LIST}?q=xylophone").text


def test_an_empty_list_says_what_to_do_for_whom(people: dict[str, Person]) -> None:
    assert "Write the first one" in people["admin"].get(LIST).text
    assert "Ask an administrator" in people["recruiter"].get(LIST).text


def test_a_template_is_written_changed_copied_and_archived(people: dict[str, Person], store: Database, furnished: None) -> None:
    admin = people["admin"]
    page = made(people, store, name="Parking", field0_name="gate", field0_type="number", field0_sample="4")
    shown = admin.get(page + "/edit").text
    assert 'value="gate"' in shown
    fingerprint = shown.split('name="shown" value="')[1].split('"')[0]

    changed = {**FORM, "name": "Parking", "body": FORM["body"] + " Gate {{gate}}.", "shown": fingerprint}
    lost = admin.post(page + "/edit", changed, page=page + "/edit")
    assert lost.status_code == 422  # the field's row was left out
    assert "There is no field {{gate}}" in lost.text
    fields = {"field0_name": "gate", "field0_type": "number", "field0_sample": "4"}
    assert admin.post(page + "/edit", {**changed, **fields}, page=page + "/edit").status_code == 303
    found = stored(store, "Parking")
    assert found is not None
    assert found["version"] == 2
    assert "Gate {{gate}}." in admin.get(page + "/versions/2").text

    copied = admin.post(page + "/copy", {"to": "tpl-se"}, page=page)
    assert copied.status_code == 303
    assert copied.location.endswith("/edit")
    assert admin.post(page + "/copy", {"to": "tpl-se"}, page=page).status_code == 409

    assert admin.post(page + "/archive", page=page).status_code == 303
    assert "archived" in admin.get(page).text
    assert admin.get(page + "/edit").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "Give it a name."),
        ({"name": "x" * 101}, "1 to 100 characters"),
        ({"body": ""}, "Write a text."),
        ({"body": "   "}, "A template has 1 to"),
        ({"body": "a\x00b"}, "no text may have"),
        ({"body": "Hi {{nobody}}"}, "no field {{nobody}}. Declare it"),
        ({"body": "Hi {{candidate.first_nam}}"}, "Did you mean {{candidate.first_name}}?"),
        ({"body": "Hi {{candidate.first_name"}, "Line 1: {{ has no partner"),
        ({"body": "Hi {% if x %}"}, "only fields in double braces"),
        ({"body": "x" * 700}, "needs 5 parts"),
        ({"kind": "interview_invite"}, "needs the field {{interview_link}}"),
        ({"kind": "rejection"}, "never go by this channel"),
        ({"kind": "zzz"}, "Not a valid choice"),
        ({"channel": "fax"}, "Not a valid choice"),
        ({"language": "swedish"}, "sv, en or pt-BR"),
        ({"max_segments": "11"}, "from 1 to 10"),
        ({"max_segments": "many"}, "Not a valid integer"),
        ({"field0_name": "Bad Name", "field0_sample": "x"}, "named like note"),
        ({"body": "We regret to inform you that it is over"}, "reads like a rejection"),
    ],
)
def test_a_wrong_form_is_shown_again_with_what_was_typed(
    wrong: dict[str, str], words: str, people: dict[str, Person], store: Database
) -> None:
    answer = people["admin"].post(f"{LIST}/new?unit={ORG}", {**FORM, **wrong}, page=f"{LIST}/new")

    assert answer.status_code == 422
    assert words in unescape(answer.text)
    assert unescape(wrong.get("name", FORM["name"]))[:100] in answer.text
    assert stored(store, FORM["name"]) is None


def test_what_reads_like_a_rejection_is_saved_once_somebody_says_it_is_none(people: dict[str, Person], store: Database) -> None:
    body = "We regret to inform you that the lift is broken"
    answer = people["admin"].post(f"{LIST}/new?unit={ORG}", {**FORM, "body": body}, page=f"{LIST}/new")
    assert "This text is no rejection" in answer.text

    made(people, store, body=body, confirm_not_rejection="y")

    assert (row := stored(store, FORM["name"])) is not None
    assert row["body"] == body


def test_the_same_name_serves_several_channels_and_a_second_of_one_is_refused(people: dict[str, Person], store: Database) -> None:
    made(people, store)
    made(people, store, channel="email")

    again = people["admin"].post(f"{LIST}/new?unit={ORG}", FORM, page=f"{LIST}/new")

    assert again.status_code == 422
    assert "of that name, channel and language" in again.text


@pytest.mark.parametrize(
    "body",
    [
        "First line\r\nsecond line, {{company}} STOP",
        "مرحبا، {{company}} تدعوك STOP",
        "👋 😀 it’s {{company}} STOP",
        "  {{company}} keeps its blanks STOP  \r\n\r\n",
        "\r\n{{company}} begins with an empty line. STOP",
    ],
)
def test_a_text_is_kept_to_the_sign_and_counted_as_it_is_sent(body: str, people: dict[str, Person], store: Database) -> None:
    page = made(people, store, body=body)

    row = stored(store, FORM["name"])
    assert row is not None
    assert row["body"] == body.replace("\r\n", "\n")
    size = analyse(row["body"].replace("{{company}}", "Acme"))
    shown = people["admin"].get(page).text
    assert f"{size.units} places used, {size.room} left" in shown
    assert unescape(people["admin"].get(page + "/edit").text).replace("\r\n", "\n").count(row["body"]) >= 1


def test_the_linter_answers_what_is_typed_and_its_buttons_work_without_a_script(
    people: dict[str, Person], store: Database
) -> None:
    admin, typed = people["admin"], {**FORM, "body": "It’s {{company}} – STOP"}
    fragment = admin.post(f"{LIST}/lint", typed, page=f"{LIST}/new")
    assert fragment.status_code == 200
    assert "Doubles the cost" in fragment.text
    assert 'value="2:&#39;"' in fragment.text
    assert "Nothing says how to stop" in admin.post(f"{LIST}/lint", {**typed, "body": "Hi {{company}}"}, page=f"{LIST}/new").text

    mended = admin.post(f"{LIST}/new?unit={ORG}", {**typed, "replace": "2:'"}, page=f"{LIST}/new")
    assert mended.status_code == 200
    assert "It's {{company}} – STOP" in unescape(mended.text)
    plain = admin.post(f"{LIST}/new?unit={ORG}", {**typed, "plainer": "1"}, page=f"{LIST}/new")
    assert "It's {{company}} - STOP" in unescape(plain.text)
    assert admin.post(f"{LIST}/new?unit={ORG}", {**typed, "check": "1"}, page=f"{LIST}/new").status_code == 200
    assert stored(store, FORM["name"]) is None


def test_two_who_edit_at_once_both_versions_are_shown(people: dict[str, Person], store: Database) -> None:
    admin, page = people["admin"], made(people, store)
    shown = admin.get(page + "/edit").text.split('name="shown" value="')[1].split('"')[0]
    assert admin.post(page + "/edit", {**FORM, "body": "Theirs {{company}} STOP", "shown": shown}, page=page).status_code == 303

    second = admin.post(page + "/edit", {**FORM, "body": "Mine {{company}} STOP", "shown": shown}, page=page)

    assert second.status_code == 409
    assert "Theirs {{company}} STOP" in second.text
    assert "Mine {{company}} STOP" in second.text
    assert (row := stored(store, FORM["name"])) is not None
    assert row["body"].startswith("Theirs")


def test_a_text_is_tried_only_on_candidates_of_ones_own_teams(
    people: dict[str, Person], furnished: None, store: Database
) -> None:
    page = f"{LIST}/{furniture.INVITE}"
    assert "Anna-Maria" in people["recruiter"].get(f"{page}?sample=thr_tpl").text
    with store.write() as tx:
        tx.execute("DELETE FROM case_member WHERE case_id = 'case_1'")

    assert "Anna-Maria" not in people["recruiter"].get(page).text
    assert people["recruiter"].get(f"{page}?sample=thr_tpl").status_code == 404


@pytest.mark.parametrize(
    "path", ["/tpl_nothing", "/tpl_nothing/edit", f"/{furniture.INVITE}/versions/9", f"/{furniture.INVITE}?unit=org_other"]
)
def test_what_is_not_there_is_a_404(path: str, people: dict[str, Person], furnished: None) -> None:
    assert people["admin"].get(LIST + path).status_code == 404
