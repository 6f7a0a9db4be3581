"""Signing in, sessions, throttling, CSRF and Origin, with the clock in the test's hand."""

import json
from pathlib import Path

import pytest
from flask import Flask

from gateway.flows import sign_in
from gateway.rules.permissions import PERMISSIONS, ROLES, SEND_SMS, may, permissions_of
from gateway.store.database import Database
from tests.support import ManualClock
from tests.web import pages_app
from tests.web.pages_fixtures import (
    PASSWORD,
    Person,
    add_user,
    anonymous,
    app,
    email,
    message_id,
    people,
    store,
)

__all__ = ["anonymous", "app", "people", "store"]  # fixtures


def actions(store: Database) -> list[str]:
    with store.read() as view:
        return [row["action"] for row in view.all("SELECT action FROM audit ORDER BY position")]


# Signing in and out


def test_signing_in_opens_the_pages_and_signing_out_closes_them(anonymous: Person, store: Database) -> None:
    answer = anonymous.sign_in("recruiter")

    assert (answer.status_code, answer.location) == (303, "/admin")
    assert anonymous.get("/admin/messages").status_code == 200
    assert anonymous.get("/admin/login").location == "/admin"

    assert anonymous.post("/admin/logout", page="/admin/account").location == "/admin/login"
    assert anonymous.get("/admin/messages").status_code == 303
    assert "You have signed out" in anonymous.get("/admin/login").text
    assert actions(store) == ["auth.login", "auth.logout"]


def test_an_e_mail_address_is_taken_in_any_case_and_with_blanks(anonymous: Person) -> None:
    form = {"email": " Recruiter@ACME.example ", "password": PASSWORD}

    assert anonymous.post("/admin/login", form, page="/admin/login").status_code == 303


def test_login_leads_back_to_the_page_that_was_asked_for(anonymous: Person) -> None:
    wanted = anonymous.get("/admin/messages?state=problems").location

    answer = anonymous.sign_in("recruiter", query=wanted.partition("login")[2])

    assert answer.location == "/admin/messages?state=problems"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/admin", "/admin\\@evil.example", "javascript:alert(1)", "/\tadmin", "/api/v1"],
)
def test_login_never_leads_to_another_site(target: str, anonymous: Person) -> None:
    path = "/admin/login"
    data = {"csrf_token": anonymous.token(path), "email": email("recruiter"), "password": PASSWORD}

    answer = anonymous.client.post(path, query_string={"next": target}, data=data, headers={"Origin": anonymous.origin})

    assert answer.location == "/admin"


def test_wrong_unknown_and_switched_off_get_the_same_answer(anonymous: Person, store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        add_user(tx, "gone", ["admin"], clock.now_ms(), active=0)
        add_user(tx, "fresh", ["admin"], clock.now_ms())
        tx.flush()
        tx.execute("UPDATE app_user SET password_hash = NULL WHERE id = 'usr_fresh'")

    wrong = anonymous.sign_in("admin", "not the password")
    others = [anonymous.sign_in("nosuch"), anonymous.sign_in("gone"), anonymous.sign_in("fresh")]

    assert wrong.status_code == 403
    assert "do not match an account" in wrong.text
    assert {other.status_code for other in others} == {403}
    with store.read() as view:
        rows = view.all("SELECT data, subject FROM audit WHERE action = 'auth.fail' ORDER BY position")
    assert [json.loads(row["data"])["reason"] for row in rows] == ["password", "unknown", "inactive", "password"]
    assert "acme.example" not in "".join(row["subject"] for row in rows)


@pytest.mark.parametrize("form", [{}, {"email": "", "password": ""}, {"email": "a" * 300, "password": "x"}])
def test_an_incomplete_login_form_is_shown_again(form: dict[str, str], anonymous: Person, store: Database) -> None:
    answer = anonymous.post("/admin/login", form, page="/admin/login")

    assert answer.status_code == 422
    assert "invalid-feedback" in answer.text
    assert actions(store) == []


def test_a_very_long_password_is_refused_without_hashing_it() -> None:
    user = {"password_hash": sign_in.hash_password("x" * 300)}

    assert not sign_in.matches(user, "x" * 300)


def test_a_password_typed_in_another_unicode_form_is_the_same() -> None:
    assert sign_in.matches({"password_hash": sign_in.hash_password("Ångström 12345")}, "A\u030angstro\u0308m 12345")


# Throttling


def test_five_wrong_passwords_lock_the_account_for_a_quarter_of_an_hour(
    anonymous: Person, store: Database, clock: ManualClock
) -> None:
    for _ in range(4):
        assert anonymous.sign_in("admin", "wrong").status_code == 403
        clock.advance(10)
    fifth = anonymous.sign_in("admin", "wrong")
    assert fifth.status_code == 429
    assert "Try again in 15 minutes" in fifth.text  # 14 min 20 s: the first of the five is forgotten then

    right = anonymous.sign_in("admin")
    assert right.status_code == 429
    assert int(right.headers["Retry-After"]) == 15 * 60 - 40
    assert anonymous.sign_in("recruiter").status_code == 303  # another account is not touched
    assert actions(store).count("auth.lockout") == 1

    clock.advance(15 * 60 - 40)
    assert Person(anonymous.client).get("/admin/login").status_code == 302  # signed in as recruiter
    assert anonymous.client.application.test_client().get("/admin/login").status_code == 200
    fresh = Person(anonymous.client.application.test_client())
    assert fresh.sign_in("admin").status_code == 303


def test_a_right_password_clears_the_count(anonymous: Person) -> None:
    for _ in range(3):
        for _ in range(4):
            assert anonymous.sign_in("admin", "wrong").status_code == 403
        assert anonymous.sign_in("admin").status_code == 303
        anonymous.post("/admin/logout", page="/admin/account")


def test_an_address_that_tries_many_accounts_is_locked_out(app: Flask, store: Database) -> None:
    person = Person(app.test_client())
    answers = [person.sign_in(f"guess{number}", "wrong").status_code for number in range(20)]
    assert answers == [403] * 19 + [429]

    assert person.sign_in("admin").status_code == 429

    elsewhere = Person(app.test_client())
    elsewhere.client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert elsewhere.sign_in("admin").status_code == 303


def test_a_right_guess_in_a_burst_that_crossed_the_limit_is_refused(store: Database, clock: ManualClock) -> None:
    now = clock.now_ms()
    with store.read() as view:  # six requests read before any has written
        accounts = [sign_in.look_up(view, email("admin"), "192.0.2.1", now) for _ in range(6)]

    for account in accounts[:5]:
        with store.write() as tx:
            sign_in.settle(tx, account, False, "192.0.2.1", now)
    with store.write() as tx:
        outcome = sign_in.settle(tx, accounts[5], True, "192.0.2.1", now)

    assert outcome == sign_in.TurnedAway(now + sign_in.WINDOW_MS)


def test_failures_stamped_by_a_clock_that_was_stepped_back_lock_nobody_out(anonymous: Person, clock: ManualClock) -> None:
    for _ in range(5):
        anonymous.sign_in("admin", "wrong")

    clock.step_wall(-86_400)

    assert anonymous.sign_in("admin").status_code == 303


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_attempts_are_counted_by_network(address: str, counted_as: str) -> None:
    assert sign_in.network(address) == counted_as


# Sessions


def test_the_cookie_is_random_hidden_from_scripts_and_stored_as_a_hash(anonymous: Person, store: Database) -> None:
    cookie = next(c for c in anonymous.sign_in("admin").headers.getlist("Set-Cookie") if c.startswith("ringpost="))
    token = cookie.partition("=")[2].partition(";")[0]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # plain HTTP: it would never come back
    assert len(token) == 43
    with store.read() as view:
        assert view.value("SELECT token_hash FROM web_session") == sign_in.session_name(token)
        assert token not in str([dict(row) for row in view.all("SELECT * FROM web_session")])


@pytest.mark.parametrize("way", ["tls here", "tls in a proxy"])
def test_over_tls_both_cookies_are_secure_and_bound_to_the_host(
    way: str, store: Database, clock: ManualClock, tmp_path: Path
) -> None:
    proxied = way == "tls in a proxy"
    app = pages_app.create(store, clock, tmp_path, public_url="https://localhost/" if proxied else None)
    base, path = "http://localhost" if proxied else "https://localhost", "/admin/login"
    client = app.test_client()
    form = Person(client)
    page = client.get(path, base_url=base)
    token = page.text.partition('name="csrf_token" type="hidden" value="')[2].partition('"')[0]
    cookie = page.headers["Set-Cookie"].partition(";")[0].partition("=")[2]

    answer = app.test_client(use_cookies=False).post(
        path,
        base_url=base,
        data={"csrf_token": token, "email": email("admin"), "password": PASSWORD},
        headers={"Origin": "https://localhost", "Cookie": f"ringpost_form={cookie}"},
    )

    assert form.origin
    assert answer.status_code == 303
    names = {c.partition("=")[0]: c for c in [*answer.headers.getlist("Set-Cookie"), page.headers["Set-Cookie"]]}
    assert "Secure" in names["__Host-ringpost"]
    assert "Path=/" in names["__Host-ringpost"]
    assert "Secure" in page.headers["Set-Cookie"]


def test_a_session_ends_after_half_an_hour_without_use(people: dict[str, Person], clock: ManualClock) -> None:
    admin = people["admin"]
    for _ in range(4):
        clock.advance(29 * 60)
        assert admin.get("/admin/messages").status_code == 200

    clock.advance(30 * 60)

    assert admin.get("/admin/messages").status_code == 303


def test_a_session_ends_after_twelve_hours_of_use(people: dict[str, Person], clock: ManualClock) -> None:
    for _ in range(12 * 3 - 1):
        clock.advance(20 * 60)
        assert people["admin"].get("/admin/account").status_code == 200

    clock.advance(20 * 60)

    assert people["admin"].get("/admin/account").status_code == 303


def test_a_page_left_open_does_not_keep_the_session_alive(people: dict[str, Person], clock: ManualClock) -> None:
    for _ in range(29):
        clock.advance(60)
        assert people["admin"].get("/admin/modems/live").status_code == 200

    clock.advance(60)

    assert people["admin"].get("/admin/modems/live").status_code == 401


def test_a_switched_off_account_is_out_at_once_and_new_rights_count_at_once(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE app_user SET active = 0 WHERE id = 'usr_admin'")
        tx.execute("UPDATE app_user SET roles = '[\"operator\"]' WHERE id = 'usr_nobody'")

    assert people["admin"].get("/admin/messages").status_code == 303
    assert people["nobody"].get("/admin/modems").status_code == 200


@pytest.mark.parametrize("cookie", ["", "x", "a" * 3900, "\u00e5\u00e4", "' OR 1=1"])
def test_a_made_up_token_is_nobody(cookie: str, app: Flask) -> None:
    client = app.test_client()
    client.set_cookie("ringpost", cookie)

    assert client.get("/admin/messages").status_code == 303


def change(person: Person, current: str, fresh: str, again: str | None = None) -> int:
    form = {"current": current, "fresh": fresh, "again": fresh if again is None else again}
    return person.post("/admin/account/password", form, page="/admin/account").status_code


def test_a_new_password_signs_the_others_out(app: Flask, store: Database) -> None:
    here, elsewhere = Person(app.test_client()), Person(app.test_client())
    here.sign_in("admin")
    elsewhere.sign_in("admin")

    assert change(here, PASSWORD, "five other plain words here") == 303

    assert "One other session was ended" in here.get("/admin/account").text
    assert elsewhere.get("/admin/account").status_code == 303
    assert elsewhere.sign_in("admin").status_code == 403
    assert elsewhere.sign_in("admin", "five other plain words here").status_code == 303
    assert "auth.password" in actions(store)


@pytest.mark.parametrize(
    ("fresh", "again", "words"),
    [
        ("short", "short", "at least 12"),
        ("x" * 201, "x" * 201, "at most 200"),
        ("abababababababab", "abababababababab", "different characters"),
        ("admin@acme.example", "admin@acme.example", "e-mail address"),
        ("a good long password", "a good long passwort", "differ"),
        ("", "", "Enter a new password"),
    ],
)
def test_a_weak_or_mistyped_new_password_is_refused(fresh: str, again: str, words: str, people: dict[str, Person]) -> None:
    form = {"current": PASSWORD, "fresh": fresh, "again": again}

    answer = people["admin"].post("/admin/account/password", form, page="/admin/account")

    assert answer.status_code == 422
    assert words in answer.text


def test_guessing_the_current_password_is_throttled_too(people: dict[str, Person]) -> None:
    answers = [change(people["admin"], "wrong", "five other plain words here") for _ in range(5)]

    assert answers == [422] * 4 + [429]
    assert change(people["admin"], PASSWORD, "five other plain words here") == 429


def test_other_sessions_can_be_ended_by_hand(people: dict[str, Person], app: Flask) -> None:
    other = Person(app.test_client())
    other.sign_in("admin")

    assert people["admin"].post("/admin/account/sessions", page="/admin/account").status_code == 303

    assert other.get("/admin/account").status_code == 303
    assert people["admin"].get("/admin/account").status_code == 200


# Forged forms

FORMS = [
    "/admin/login",
    "/admin/logout",
    "/admin/account/password",
    "/admin/account/sessions",
    f"/admin/messages/{message_id(2)}/cancel",
    f"/admin/messages/{message_id(10)}/resolve",
]


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_a_token_is_refused(path: str, people: dict[str, Person], store: Database) -> None:
    for data in ({}, {"csrf_token": "forged"}):
        answer = people["admin"].client.post(path, data=data, headers={"Origin": "http://localhost"})
        assert answer.status_code == 400
        assert "This form is too old" in answer.text
    assert actions(store) == []


def test_a_token_of_another_browser_is_refused(people: dict[str, Person]) -> None:
    token = people["recruiter"].token("/admin/account")

    answer = people["admin"].client.post("/admin/logout", data={"csrf_token": token}, headers={"Origin": "http://localhost"})

    assert answer.status_code == 400


def test_a_token_from_before_the_login_is_refused_after_it(anonymous: Person) -> None:
    before = anonymous.token("/admin/login")
    anonymous.sign_in("admin")

    answer = anonymous.client.post("/admin/logout", data={"csrf_token": before}, headers={"Origin": "http://localhost"})

    assert answer.status_code == 400


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:8081"},
        {"Origin": "https://localhost"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
)
def test_a_form_from_elsewhere_is_refused_even_with_a_token(
    path: str, headers: dict[str, str], people: dict[str, Person], store: Database
) -> None:
    data = {"csrf_token": people["admin"].token("/admin/account")}

    answer = people["admin"].client.post(path, data=data, headers=headers)

    assert answer.status_code == 403
    assert "came from another site" in answer.text
    assert actions(store) == []


def test_a_proxy_named_by_public_url_counts_as_here(store: Database, clock: ManualClock, tmp_path: Path) -> None:
    person = Person(pages_app.create(store, clock, tmp_path, public_url="https://SMS.acme.example/").test_client())
    person.origin = "https://sms.acme.example"

    assert person.sign_in("admin").status_code == 303


def test_pages_are_never_cached(people: dict[str, Person], anonymous: Person) -> None:
    assert people["admin"].get("/admin/messages").headers["Cache-Control"] == "no-store"
    assert anonymous.get("/admin/login").headers["Cache-Control"] == "no-store"


def test_no_page_holds_inline_script_or_style(people: dict[str, Person], anonymous: Person) -> None:
    pages = [
        anonymous.get("/admin/login"),
        *(people["admin"].get(f"/admin/{name}") for name in ("messages", "organisation/credits")),
    ]
    pages += [people["admin"].get(path) for path in ("/admin/modems", "/admin/account", f"/admin/messages/{message_id(1)}")]
    for page in pages:
        assert page.status_code == 200
        assert " style=" not in page.text
        assert "<style" not in page.text
        assert " onclick=" not in page.text
        assert "<script>" not in page.text.replace("&lt;script&gt;", "")
        assert "//cdn" not in page.text


def test_an_unclear_message_is_resolved_by_a_person(people: dict[str, Person], store: Database) -> None:
    page = f"/admin/messages/{message_id(10)}"
    assert "Treat as sent" in people["recruiter"].get(page).text
    assert "Treat as sent" not in people["compliance"].get(page).text

    assert people["recruiter"].post(f"{page}/resolve", {"choice": "nonsense"}, page=page).status_code == 422
    assert people["compliance"].post(f"{page}/resolve", {"choice": "send_again"}, page=page).status_code == 403
    assert people["recruiter"].post(f"{page}/resolve", {"choice": "send_again"}, page=page).status_code == 303
    assert people["recruiter"].post(f"{page}/resolve", {"choice": "send_again"}, page=page).status_code == 409

    with store.read() as view:
        assert view.value("SELECT state FROM message WHERE id = ?", message_id(10)) == "queued"


# Rights


def test_roles_grant_what_they_say_and_nothing_else() -> None:
    assert may(["recruiter"], SEND_SMS)
    assert not may(["admin"], SEND_SMS)  # S31: an administrator grants it, to themselves too
    assert not may(["admin"], "credits.grant")  # S17
    assert not may(["operator"], "messages.view")
    assert may('["viewer", "organisation.credits.view"]', "organisation.credits.view")
    assert permissions_of(["nonsense", "messages.nonsense"]) == frozenset()
    assert permissions_of("[]") == frozenset()
    assert frozenset().union(*ROLES.values()) == PERMISSIONS
