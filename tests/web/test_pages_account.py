"""One's own account: looks, notices, sessions, the second step; signing in by two steps; an administrator's help."""

import json
import re
from typing import Any

import pytest
from flask import Flask

from gateway.flows import sign_in
from gateway.rules import totp
from gateway.store.database import Database
from tests.support import ManualClock
from tests.web.pages_fixtures import PASSWORD, Person, anonymous, app, email, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

ACCOUNT, STEP = "/admin/account", "/admin/account/second-step"
FORMS = [
    f"{ACCOUNT}/looks",
    f"{ACCOUNT}/notices",
    f"{ACCOUNT}/sessions/abc/end",
    STEP,
    f"{STEP}/codes",
    f"{STEP}/off",
    f"{ACCOUNT}/people/usr_recruiter/second-step",
]


def actions(store: Database) -> list[str]:
    with store.read() as view:
        return [row["action"] for row in view.all("SELECT action FROM audit ORDER BY position")]


def user(store: Database, role: str) -> dict[str, Any]:
    with store.read() as view:
        row = view.one("SELECT * FROM app_user WHERE id = ?", f"usr_{role}")
    assert row is not None
    return dict(row)


def secret_on(page: str) -> bytes:
    """The secret that the page offers to be typed."""
    found = re.search(r'class="secret">(.*?)</p>', page, re.DOTALL)
    assert found is not None
    return totp.from_base32("".join(re.findall(r"<span>(\w+)</span>", found[1])))


def code(secret: bytes, clock: ManualClock, steps: int = 0) -> str:
    return totp.code_at(secret, clock.now_ms() // totp.STEP_MS + steps)


def enrol(person: Person, clock: ManualClock) -> tuple[bytes, list[str]]:
    """Switch the second step on; its secret and the recovery codes."""
    page = person.get(STEP).text
    secret = secret_on(page)
    ticket = re.search(r'name="ticket" value="([^"]+)"', page)
    assert ticket is not None
    answer = person.post(STEP, {"ticket": ticket[1], "code": code(secret, clock)}, page=STEP)
    assert answer.status_code == 200, answer.text
    return secret, re.findall(r"<code>(\w{5}-\w{5})</code>", answer.text)


def sign_in_with(app: Flask, role: str, *codes: str) -> tuple[Person, Any]:
    """A fresh browser after password and the last of these codes."""
    person = Person(app.test_client())
    answer = person.sign_in(role)
    assert answer.location.startswith("/admin/login/code")
    for typed in codes:
        answer = person.post("/admin/login/code", {"code": typed}, page="/admin/login/code")
    return person, answer


@pytest.mark.parametrize("path", [ACCOUNT, STEP])
def test_everybody_has_an_account_page_and_strangers_have_none(path: str, people: dict[str, Person], anonymous: Person) -> None:
    assert {person.get(path).status_code for person in people.values()} == {200}
    assert anonymous.get(path).location.startswith("/admin/login")


@pytest.mark.parametrize("path", FORMS)
def test_each_form_wants_its_token_and_somebody_signed_in(
    path: str, people: dict[str, Person], anonymous: Person, store: Database
) -> None:
    forged = people["admin"].client.post(path, data={}, headers={"Origin": "http://localhost"})
    assert forged.status_code == 400
    assert anonymous.post(path, page="/admin/login").location.startswith("/admin/login")
    assert actions(store) == []


# Language, zone, notices


def test_language_and_zone_are_ones_own_before_the_organisations(people: dict[str, Person], store: Database) -> None:
    form = {"language": "sv", "zone": "America/New_York"}
    assert people["admin"].post(f"{ACCOUNT}/looks", form, page=ACCOUNT).status_code == 303
    page = people["admin"].get(ACCOUNT).text
    assert '<html lang="sv"' in page
    assert "America/<wbr>New York" in people["admin"].get("/admin/messages").text
    assert '<html lang="en"' in people["recruiter"].get(ACCOUNT).text

    people["admin"].post(f"{ACCOUNT}/looks", {"language": "", "zone": " "}, page=ACCOUNT)
    assert (user(store, "admin")["language"], user(store, "admin")["zone"]) == (None, None)
    assert '<html lang="en"' in people["admin"].get(ACCOUNT).text


@pytest.mark.parametrize("form", [{"language": "", "zone": "Mars/Olympus"}, {"language": "xx", "zone": ""}])
def test_an_unknown_zone_or_language_is_refused_at_its_field(
    form: dict[str, str], people: dict[str, Person], store: Database
) -> None:
    answer = people["admin"].post(f"{ACCOUNT}/looks", form, page=ACCOUNT)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert user(store, "admin")["zone"] is None


def test_notices_by_mail_are_wished_for_here(people: dict[str, Person], store: Database) -> None:
    assert people["recruiter"].post(f"{ACCOUNT}/notices", {"replies": "daily"}, page=ACCOUNT).status_code == 303
    with store.read() as view:
        assert view.value("SELECT replies FROM notice_wish WHERE user_id = 'usr_recruiter'") == "daily"
    assert "has no mail server yet" in people["recruiter"].get(ACCOUNT).text
    assert people["recruiter"].post(f"{ACCOUNT}/notices", {"replies": "hourly"}, page=ACCOUNT).status_code == 422


# Sessions


def test_one_session_is_ended_and_the_others_stay(people: dict[str, Person], app: Flask, store: Database) -> None:
    others = [Person(app.test_client()) for _ in range(2)]
    for other in others:
        other.sign_in("admin")
    token = others[0].client.get_cookie("ringpost")
    assert token is not None
    path = f"{ACCOUNT}/sessions/{sign_in.session_name(token.value)}/end"

    assert people["admin"].post(path, page=ACCOUNT).status_code == 303
    assert "That session was ended" in people["admin"].get(ACCOUNT).text
    assert others[0].get(ACCOUNT).status_code == 303
    assert others[1].get(ACCOUNT).status_code == 200
    assert "auth.revoke" in actions(store)
    people["admin"].post(path, page=ACCOUNT)
    assert "had ended already" in people["admin"].get(ACCOUNT).text


def test_nobody_ends_anothers_session(people: dict[str, Person], app: Flask) -> None:
    other = Person(app.test_client())
    other.sign_in("admin")
    token = other.client.get_cookie("ringpost")
    assert token is not None
    people["recruiter"].post(f"{ACCOUNT}/sessions/{sign_in.session_name(token.value)}/end", page=ACCOUNT)
    assert other.get(ACCOUNT).status_code == 200


def test_a_session_ends_by_itself_after_half_an_hour_idle_and_twelve_hours_in_all(app: Flask, clock: ManualClock) -> None:
    person = Person(app.test_client())
    person.sign_in("admin")
    clock.advance(29 * 60 + 59)
    assert person.get(ACCOUNT).status_code == 200
    clock.advance(30 * 60 + 1)
    assert person.get(ACCOUNT).status_code == 303
    person.sign_in("admin")
    for _ in range(25):
        clock.advance(29 * 60)
        person.get(ACCOUNT)
    assert person.get(ACCOUNT).status_code == 303


def test_a_lockout_is_audited_with_its_end_and_without_the_address(app: Flask, store: Database) -> None:
    person = Person(app.test_client())
    for _ in range(5):
        person.sign_in("admin", "wrong")
    with store.read() as view:
        row = view.one("SELECT * FROM audit WHERE action = 'auth.lockout'")
    assert row is not None
    assert row["subject"] == "usr_admin"
    assert json.loads(row["data"])["until"] > row["at"]
    assert email("admin") not in row["data"]


# Switching the second step on


def test_the_picture_and_the_typed_secret_are_offered(people: dict[str, Person]) -> None:
    page = people["admin"].get(STEP).text
    assert '<svg viewBox="0 0' in page
    assert 'class="qr"' in page
    assert len(secret_on(page)) == 20


def test_switching_on_gives_ten_codes_once_and_ends_other_sessions(
    people: dict[str, Person], app: Flask, store: Database, clock: ManualClock
) -> None:
    other = Person(app.test_client())
    other.sign_in("admin")
    secret, codes = enrol(people["admin"], clock)
    assert len(set(codes)) == 10
    assert other.get(ACCOUNT).status_code == 303
    kept = str(user(store, "admin"))
    assert totp.base32(secret) not in kept
    with store.read() as view:
        hashes = str([dict(row) for row in view.all("SELECT * FROM recovery_code")])
    assert not any(each.replace("-", "") in hashes for each in codes)
    assert codes[0] not in people["admin"].get(STEP).text
    assert "auth.second_step_on" in actions(store)


@pytest.mark.parametrize("typed", ["", "000000", "12345", "abcdef", "٣٤٥٦٧٨"])
def test_a_wrong_first_code_keeps_the_picture(typed: str, people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    page = people["admin"].get(STEP).text
    ticket = re.search(r'name="ticket" value="([^"]+)"', page)
    assert ticket is not None
    answer = people["admin"].post(STEP, {"ticket": ticket[1], "code": typed}, page=STEP)
    assert answer.status_code == 422
    assert secret_on(answer.text) == secret_on(page)
    assert user(store, "admin")["totp_since"] is None


def test_somebody_elses_or_an_old_picture_is_refused(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    page = people["recruiter"].get(STEP).text
    ticket = re.search(r'name="ticket" value="([^"]+)"', page)
    assert ticket is not None
    form = {"ticket": ticket[1], "code": code(secret_on(page), clock)}
    assert people["admin"].post(STEP, form, page=STEP).status_code == 409
    clock.advance(16 * 60)
    form["code"] = code(secret_on(page), clock)
    assert people["recruiter"].post(STEP, form, page=STEP).status_code == 409
    assert people["admin"].post(STEP, {**form, "ticket": "made up"}, page=STEP).status_code == 409
    assert {user(store, role)["totp_since"] for role in ("admin", "recruiter")} == {None}


# Signing in by two steps


def test_password_then_code_opens_the_pages(people: dict[str, Person], app: Flask, store: Database, clock: ManualClock) -> None:
    secret, _ = enrol(people["admin"], clock)
    clock.advance(30)
    person = Person(app.test_client())
    answer = person.sign_in("admin", query="?next=/admin/modems")
    assert answer.location == "/admin/login/code?next=/admin/modems"
    assert person.get(ACCOUNT).status_code == 303  # half way is not in
    path = "/admin/login/code"
    data = {"csrf_token": person.token(path), "code": code(secret, clock)}
    done = person.client.post(answer.location, data=data, headers={"Origin": person.origin})
    assert done.location == "/admin/modems"
    assert person.get(ACCOUNT).status_code == 200
    with store.read() as view:
        told = view.value("SELECT data FROM audit WHERE action = 'auth.login'")
    assert json.loads(told or "{}") == {"second_step": "app"}


def test_a_code_counts_once(people: dict[str, Person], app: Flask, clock: ManualClock) -> None:
    secret, _ = enrol(people["admin"], clock)
    used_at_enrolment = code(secret, clock)
    _, answer = sign_in_with(app, "admin", used_at_enrolment)
    assert answer.status_code == 403
    clock.advance(30)
    assert sign_in_with(app, "admin", code(secret, clock))[1].status_code == 303
    assert sign_in_with(app, "admin", code(secret, clock))[1].status_code == 403


@pytest.mark.parametrize(("steps", "status"), [(-2, 403), (-1, 303), (0, 303), (1, 303), (2, 403)])
def test_a_phones_clock_may_be_half_a_minute_off(
    steps: int, status: int, people: dict[str, Person], app: Flask, clock: ManualClock
) -> None:
    secret, _ = enrol(people["admin"], clock)
    clock.advance(300)
    assert sign_in_with(app, "admin", code(secret, clock, steps))[1].status_code == status


def test_a_recovery_code_lets_in_once(people: dict[str, Person], app: Flask, store: Database, clock: ManualClock) -> None:
    _, codes = enrol(people["admin"], clock)
    person, answer = sign_in_with(app, "admin", codes[0].upper().replace("-", " "))
    assert answer.status_code == 303
    assert "9 recovery codes left" in person.get(ACCOUNT).text
    assert sign_in_with(app, "admin", codes[0])[1].status_code == 403
    assert sign_in_with(app, "admin", codes[1])[1].status_code == 303


def test_guessing_codes_locks_the_account_like_guessing_passwords(
    people: dict[str, Person], app: Flask, store: Database, clock: ManualClock
) -> None:
    secret, codes = enrol(people["admin"], clock)
    clock.advance(60)
    wrong = "000000" if "000000" not in [code(secret, clock, n) for n in (-1, 0, 1)] else "111111"
    person, answer = sign_in_with(app, "admin", *[wrong] * 5)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 800
    assert person.post("/admin/login/code", {"code": codes[0]}, page="/admin/login/code").status_code == 429
    assert Person(app.test_client()).sign_in("admin").status_code == 429
    with store.read() as view:
        reasons = [json.loads(row["data"])["reason"] for row in view.all("SELECT data FROM audit WHERE action = 'auth.fail'")]
    assert reasons == ["code"] * 5
    assert "auth.lockout" in actions(store)


def test_a_right_password_does_not_forgive_wrong_codes(people: dict[str, Person], app: Flask, clock: ManualClock) -> None:
    enrol(people["admin"], clock)
    statuses = [sign_in_with(app, "admin", "999999")[1].status_code for _ in range(4)]
    assert statuses == [403] * 4
    assert sign_in_with(app, "admin", "999999")[1].status_code == 429


def test_half_way_ends_after_five_minutes_or_with_a_new_password(
    people: dict[str, Person], app: Flask, store: Database, clock: ManualClock
) -> None:
    _, codes = enrol(people["admin"], clock)
    person, _ = sign_in_with(app, "admin")
    token = person.token("/admin/login/code")
    clock.advance(301)
    late = person.client.post(
        "/admin/login/code", data={"csrf_token": token, "code": codes[0]}, headers={"Origin": person.origin}
    )
    assert late.location.startswith("/admin/login")
    assert "took too long" in person.get("/admin/login").text
    other, _ = sign_in_with(app, "admin")
    form = {"current": PASSWORD, "fresh": "five other plain words here", "again": "five other plain words here"}
    people["admin"].post(f"{ACCOUNT}/password", form, page=ACCOUNT)
    assert other.get("/admin/login/code").location.startswith("/admin/login")


def test_nobody_reaches_the_second_step_without_the_first(anonymous: Person) -> None:
    assert anonymous.get("/admin/login/code").location.startswith("/admin/login")
    data = {"csrf_token": anonymous.token("/admin/login"), "code": "123456"}
    answer = anonymous.client.post("/admin/login/code", data=data, headers={"Origin": anonymous.origin})
    assert answer.status_code == 303
    assert anonymous.get(ACCOUNT).status_code == 303


# Fresh codes, switching off, help


def test_fresh_codes_and_switching_off_want_the_password(
    people: dict[str, Person], app: Flask, store: Database, clock: ManualClock
) -> None:
    _, codes = enrol(people["admin"], clock)
    for path in (f"{STEP}/codes", f"{STEP}/off"):
        assert people["admin"].post(path, {"password": "wrong"}, page=STEP).status_code == 422
        assert people["admin"].post(path, {}, page=STEP).status_code == 422
    fresh = people["admin"].post(f"{STEP}/codes", {"password": PASSWORD}, page=STEP)
    assert fresh.status_code == 200
    assert codes[0] not in fresh.text
    assert sign_in_with(app, "admin", codes[0])[1].status_code == 403
    assert people["admin"].post(f"{STEP}/off", {"password": PASSWORD}, page=STEP).status_code == 303
    assert Person(app.test_client()).sign_in("admin").location == "/admin"
    assert {"auth.recovery_codes", "auth.second_step_off"} <= set(actions(store))
    assert user(store, "admin")["totp_sealed"] is None


def test_an_administrator_takes_a_lost_second_step_away(
    people: dict[str, Person], app: Flask, store: Database, clock: ManualClock
) -> None:
    enrol(people["recruiter"], clock)
    path = f"{ACCOUNT}/people/usr_recruiter/second-step"
    assert "Take it away" in people["admin"].get(path).text
    assert people["admin"].post(path, page=path).status_code == 303
    assert people["recruiter"].get(ACCOUNT).status_code == 303
    assert Person(app.test_client()).sign_in("recruiter").location == "/admin"
    assert "It is off" in people["admin"].get(path).text
    with store.read() as view:
        row = view.one("SELECT actor, subject FROM audit WHERE action = 'auth.second_step_reset'")
    assert row is not None
    assert (row["actor"], row["subject"]) == ("user:usr_admin", "usr_recruiter")


def test_only_who_may_become_somebody_takes_their_second_step_away(
    people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    enrol(people["operator"], clock)
    path = f"{ACCOUNT}/people/usr_operator/second-step"
    for role in ("recruiter", "viewer", "compliance"):
        assert people[role].get(path).status_code == 403
        assert people[role].post(path, page=ACCOUNT).status_code == 403
    assert people["admin"].post(path, page=path).status_code == 403  # an administrator must not become the operator
    assert user(store, "operator")["totp_since"] is not None
    assert people["admin"].get(f"{ACCOUNT}/people/usr_nosuch/second-step").status_code == 404


def test_few_codes_left_are_told(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    enrol(people["admin"], clock)
    with store.write() as tx:
        tx.execute("UPDATE recovery_code SET used_at = 1 WHERE code_hash IN (SELECT code_hash FROM recovery_code LIMIT 8)")
    assert "Make fresh ones" in people["admin"].get(ACCOUNT).text
