"""The pages of settings and API keys: works, anonymous, wrong role, bad input, without a token."""

import json

import pytest

from gateway.store.database import Database
from tests.browser.furnished import settings as furniture
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, Person, anonymous, app, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

HERE = "/admin/settings"
FORM = {"name": "Acme AB", "zone": "Europe/Paris", "language": "sv", "region": "SE", "sms_enabled": "1"}
KEY = {"name": "ATS 2", "scopes": "messages:write", "allow": "192.168.1.0/24", "per_minute": "60"}
ACTS = ["/organisation", "/notices", "/clock", "/restore", "/keys/new", "/keys/key_1/revoke"]


def shown(admin: Person) -> str:
    return admin.get(HERE).text.split('name="shown" value="')[1].split('"')[0]


@pytest.mark.parametrize("path", ["", "/keys", "/keys/new"])
def test_each_page_opens_for_administrators_only(path: str, people: dict[str, Person], anonymous: Person) -> None:
    answers = {role: person.get(HERE + path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role == "admin" else 403 for role in people}
    assert anonymous.get(HERE + path).location.startswith("/admin/login")


@pytest.mark.parametrize("path", ACTS)
def test_each_act_is_refused_to_strangers_wrong_roles_and_without_a_token(
    path: str, people: dict[str, Person], anonymous: Person, store: Database
) -> None:
    form = {**FORM, **KEY}
    assert anonymous.post(HERE + path, form, page="/admin/login").location.startswith("/admin/login")
    for role in set(people) - {"admin"}:
        assert people[role].post(HERE + path, form, page="/admin/account").status_code == 403
    assert people["admin"].client.post(HERE + path, data=form, headers={"Origin": "http://localhost"}).status_code == 400
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM api_key") == 0
        assert view.value("SELECT name FROM organisation WHERE id = ?", ORG) == "Acme"


def test_the_organisation_is_changed_and_a_stale_form_is_not(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]
    form = {**FORM, "shown": shown(admin)}

    assert admin.post(f"{HERE}/organisation", form, page=HERE).status_code == 303
    assert admin.post(f"{HERE}/organisation", {**form, "name": "Other"}, page=HERE).status_code == 409

    with store.read() as view:
        row = view.one("SELECT name, zone, language, region FROM organisation WHERE id = ?", ORG)
    assert row is not None
    assert dict(row) == {"name": "Acme AB", "zone": "Europe/Paris", "language": "sv", "region": "SE"}


@pytest.mark.parametrize("wrong", [{"name": ""}, {"zone": "Mars/Olympus"}, {"language": "swedish"}, {"region": "Sweden"}])
def test_a_wrong_organisation_changes_nothing(wrong: dict[str, str], people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]

    assert admin.post(f"{HERE}/organisation", {**FORM, **wrong, "shown": shown(admin)}, page=HERE).status_code == 422

    with store.read() as view:
        assert view.value("SELECT name FROM organisation WHERE id = ?", ORG) == "Acme"


def test_a_country_and_a_language_that_no_list_knows_stay_until_somebody_chooses(
    people: dict[str, Person], store: Database
) -> None:
    admin = people["admin"]
    with store.write() as tx:
        tx.execute("UPDATE organisation SET region = 'XX', language = 'eo' WHERE id = ?", ORG)

    page = admin.get(HERE).text
    assert '<option selected value="XX">XX</option>' in page
    assert '<option selected value="eo">eo</option>' in page
    form = {**FORM, "region": "XX", "language": "eo", "shown": shown(admin)}
    assert admin.post(f"{HERE}/organisation", form, page=HERE).status_code == 303

    with store.read() as view:
        row = view.one("SELECT name, region, language FROM organisation WHERE id = ?", ORG)
    assert tuple(row or ()) == ("Acme AB", "XX", "eo")


def test_sms_is_switched_off_and_the_page_says_so(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]
    admin.post(f"{HERE}/organisation", {**FORM, "sms_enabled": "0", "shown": shown(admin)}, page=HERE)
    with store.read() as view:
        assert view.value("SELECT sms_enabled FROM organisation WHERE id = ?", ORG) == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "Give it a name"),
        ({"name": "x" * 101}, "1 to 100 characters"),
        ({"name": "ATS"}, "A key with this name is in use"),
        ({"scopes": ""}, "valid choice"),
        ({"scopes": "operator:write"}, "valid choice"),
        ({"scopes": "*"}, "valid choice"),
        ({"allow": "everywhere"}, "networks such as"),
        ({"per_minute": "-1"}, "from 0 to"),
    ],
)
def test_a_wrong_key_is_shown_again(
    wrong: dict[str, str], words: str, people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    furniture.furnish(store, clock)

    answer = people["admin"].post(f"{HERE}/keys/new", {**KEY, **wrong}, page=f"{HERE}/keys/new")

    assert answer.status_code == 422
    assert words in answer.text
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM api_key") == 3


def test_a_key_is_shown_once_and_revoked(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]
    assert admin.post(f"{HERE}/keys/new", KEY, page=f"{HERE}/keys/new").location == f"{HERE}/keys"
    first, second = admin.get(f"{HERE}/keys").text, admin.get(f"{HERE}/keys").text
    assert "rp_" in first
    assert "rp_" not in second
    with store.read() as view:
        key_id = view.value("SELECT id FROM api_key")
    assert admin.post(f"{HERE}/keys/{key_id}/revoke", page=f"{HERE}/keys").status_code == 303
    assert admin.post(f"{HERE}/keys/{key_id}/revoke", page=f"{HERE}/keys").status_code == 404
    assert "Revoked keys" in admin.get(f"{HERE}/keys").text


def test_notices_clock_and_restore(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    admin, now = people["admin"], clock.now_ms()
    assert admin.post(f"{HERE}/notices", {"replies": "daily"}, page=HERE).status_code == 303
    assert admin.post(f"{HERE}/notices", {"replies": "hourly"}, page=HERE).status_code == 422
    assert admin.post(f"{HERE}/clock", page=HERE).status_code in (303, 409)
    assert admin.post(f"{HERE}/restore", {"queue": "maybe"}, page=HERE).status_code == 400
    assert admin.post(f"{HERE}/restore", {"queue": "send"}, page=HERE).status_code == 409
    with store.write() as tx:
        tx.insert(
            "setting", name="restore.pending", value=json.dumps({"backup_at": now, "restored_at": now, "lists_read_at": now})
        )
    assert "restored from a backup" in admin.get(HERE).text
    assert admin.post(f"{HERE}/restore", {"queue": "send"}, page=HERE).status_code == 303
    assert "restored from a backup" not in admin.get(HERE).text
