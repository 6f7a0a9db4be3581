"""The first-run wizard: the code from the console, the first account, each step, and the gate that keeps sending off."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from gateway import keys
from gateway.errors import Refused
from gateway.flows import facts, setting_up
from gateway.store.database import Database
from tests.support import ManualClock
from tests.web import pages_app
from tests.web.pages_fixtures import Person, add_gateway, add_modem

PASSWORD = "four plain words here"
STEPS = ("organisation", "zone", "modem", "pin", "sender", "country", "test", "credits", "key", "backup", "finish")
ACCOUNT = {"name": "Eva Lind", "email": "Eva@acme.example", "language": "en", "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Database]:
    """A migrated store with nothing in it."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def app(store: Database, clock: ManualClock, tmp_path: Path) -> Flask:
    return pages_app.create(store, clock, tmp_path)


@pytest.fixture
def person(app: Flask) -> Person:
    return Person(app.test_client())


def new_code(store: Database, clock: ManualClock) -> str:
    with store.write() as tx:
        return setting_up.new_code(tx, "cli:root", clock.now_ms())


def value(store: Database, sql: str, *values: Any) -> Any:
    with store.read() as view:
        return view.value(sql, *values)


def open_up(person: Person, store: Database, clock: ManualClock) -> Person:
    """Type the code and make the account: signed in, at the first step."""
    typed = new_code(store, clock).lower().replace("-", " ")
    assert person.post("/setup/code", {"code": typed}, page="/setup/code").location == "/setup/account"
    assert person.post("/setup/account", ACCOUNT, page="/setup/account").location == "/setup"
    return person


def plug_in(store: Database, clock: ManualClock, tmp_path: Path, **columns: Any) -> bytes:
    """A gateway with a modem whose card is ready."""
    private = keys.gateway_key(tmp_path)
    with store.write() as tx:
        add_gateway(tx, clock.now_ms())
        tx.flush()
        tx.execute("UPDATE gateway SET pin_key = ?", keys.public_half(private))
        add_modem(tx, "stick-1", "ready", clock.now_ms(), **{"iccid": "8946071111", "operator": "Telia", **columns})
    return private


def step(person: Person, name: str, /, **form: str) -> Any:
    return person.post(f"/setup/{name}", form, page=f"/setup/{name}")


def walk(person: Person, store: Database, clock: ManualClock, tmp_path: Path, *, until: str = "finish") -> None:
    """Take the steps before `until`."""
    plug_in(store, clock, tmp_path)
    acts = {
        "organisation": lambda: step(person, "organisation", name="Nordrek AB", region="SE", language="en"),
        "zone": lambda: step(person, "zone", zone="Europe/Stockholm"),
        "sender": lambda: step(person, "sender", modem="mdm_stick-1", number="+46 70 174 06 99"),
        "country": lambda: country(person),
        "test": lambda: has_arrived(person, store, clock),
        "credits": lambda: step(person, "credits", amount="500"),
        "key": lambda: step(person, "key", name="ATS"),
        "backup": lambda: step(person, "backup", understood="yes"),
    }
    for name in STEPS[: STEPS.index(until)]:
        if name in acts:
            assert acts[name]().status_code in (200, 303), name


def country(person: Person, iso: str = "SE", **more: str) -> Any:
    page = person.get(f"/setup/country?iso={iso}").text
    texts = dict(re.findall(r'name="(text_\w+)"[^>]*>([^<]*)</textarea>', page))
    form = {"csrf_token": person.token("/setup/zone"), "iso": iso, **texts, **more}
    ticked = re.findall(r'name="checklist" value="(\w+)"', page)
    data = {**form, "checklist": ticked}
    data = {name: wanted for name, wanted in data.items() if wanted is not None}
    return person.client.post("/setup/country", data=data, headers={"Origin": person.origin})


def has_arrived(person: Person, store: Database, clock: ManualClock) -> Any:
    sent = step(person, "test", number="+46701740698")
    assert sent.status_code == 303
    with store.write() as tx:
        tx.execute("UPDATE message SET state = 'delivered', sent_at = ?, done_at = ?", clock.now_ms(), clock.now_ms())
    return person.post("/setup/test/activate", page="/setup/test")


# The code


def test_a_fresh_box_leads_every_stranger_to_the_code(person: Person) -> None:
    assert person.get("/admin/messages").location.startswith("/admin/login")
    assert person.get("/admin/login").location == "/setup"
    assert person.get("/setup").location == "/setup/code"
    assert person.get("/setup/account").location == "/setup/code"
    assert "ringpost setup-code" in person.get("/setup/code").text
    for name in STEPS:
        assert person.get(f"/setup/{name}").location.startswith("/admin/login")


def test_the_code_is_stored_as_a_hash_and_opens_once(person: Person, app: Flask, store: Database, clock: ManualClock) -> None:
    code = new_code(store, clock)
    assert code not in str(value(store, "SELECT value FROM setting WHERE name = 'setup.code'"))
    assert step(person, "code", code=code).location == "/setup/account"
    assert person.get("/setup/code").location == "/setup/account"
    other = Person(app.test_client())
    assert step(other, "code", code=code).status_code == 403
    assert other.get("/setup/account").location == "/setup/code"


def test_a_newer_code_makes_the_older_one_void_and_each_ends_after_a_day(
    person: Person, store: Database, clock: ManualClock
) -> None:
    older, newer = new_code(store, clock), new_code(store, clock)
    assert step(person, "code", code=older).status_code == 403
    clock.advance(24 * 3600)
    assert step(person, "code", code=newer).status_code == 403
    assert step(person, "code", code=new_code(store, clock)).status_code == 303


@pytest.mark.parametrize("code", ["", "AAAA-AAAA-AAAA", "x" * 41])
def test_a_wrong_code_is_refused_at_its_field(code: str, person: Person, store: Database, clock: ManualClock) -> None:
    new_code(store, clock)
    answer = step(person, "code", code=code)
    assert answer.status_code in (403, 422)
    assert 'aria-invalid="true"' in answer.text


def test_guessing_the_code_is_throttled_and_audited(person: Person, store: Database, clock: ManualClock) -> None:
    code = new_code(store, clock)
    answers = [step(person, "code", code="AAAA-AAAA-AAAA").status_code for _ in range(5)]
    assert answers == [403] * 4 + [429]
    late = step(person, "code", code=code)
    assert late.status_code == 429
    assert int(late.headers["Retry-After"]) > 0
    assert value(store, "SELECT COUNT(*) AS n FROM audit WHERE action = 'auth.lockout'") == 1
    fresh = new_code(store, clock)  # whoever has the console is not locked out
    assert step(person, "code", code=fresh).status_code == 303


def test_a_code_is_printed_once_by_whichever_process_comes_first(store: Database, clock: ManualClock) -> None:
    first = setting_up.announce(store, "gateway:box", clock.now_ms())
    assert first is not None
    assert setting_up.announce(store, "web", clock.now_ms() + 3000) is None
    assert setting_up.announce(store, "web", clock.now_ms() + 600_000) not in (None, first)
    assert "https://box:8443/setup" in setting_up.on_the_console(first, "https://box:8443")


def test_whoever_typed_the_code_has_an_hour_for_the_account(person: Person, store: Database, clock: ManualClock) -> None:
    step(person, "code", code=new_code(store, clock))
    token = person.token("/setup/account")
    clock.advance(3601)
    late = person.client.post("/setup/account", data={**ACCOUNT, "csrf_token": token}, headers={"Origin": person.origin})
    assert late.location == "/setup/code"
    assert value(store, "SELECT COUNT(*) AS n FROM app_user") == 0


# The account


def test_the_first_account_is_administrator_and_operator_and_signed_in(
    person: Person, store: Database, clock: ManualClock
) -> None:
    open_up(person, store, clock)
    with store.read() as view:
        row = view.one("SELECT * FROM app_user")
    assert row is not None
    assert (row["email"], row["roles"]) == ("eva@acme.example", '["admin","operator"]')
    assert person.get("/setup").location == "/setup/organisation"
    assert person.get("/admin").location == "/setup"
    assert person.get("/admin/messages").status_code == 200
    with store.write() as tx, pytest.raises(Refused):
        setting_up.new_code(tx, "cli:root", clock.now_ms())


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"email": "eva"},
        {"email": ""},
        {"password": "short", "again": "short"},
        {"again": "another"},
        {"language": "xx"},
    ],
)
def test_a_wrong_account_changes_nothing(wrong: dict[str, str], person: Person, store: Database, clock: ManualClock) -> None:
    step(person, "code", code=new_code(store, clock))
    assert step(person, "account", **{**ACCOUNT, **wrong}).status_code == 422
    assert value(store, "SELECT COUNT(*) AS n FROM app_user") == 0
    assert value(store, "SELECT COUNT(*) AS n FROM organisation") == 0


def test_a_box_that_apply_has_filled_counts_as_set_up(person: Person, store: Database, clock: ManualClock) -> None:
    from gateway.store import setup

    with store.write() as tx:
        org = setup.create_organisation(tx, ref="acme", name="Acme", actor="cli:root", now=clock.now_ms())
        setup.create_user(tx, org, email="eva@acme.example", name="Eva", roles=["recruiter"], actor="cli:root", now=0)
    open_up(person, store, clock)
    assert value(store, "SELECT roles FROM app_user") == '["admin","operator","recruiter"]'
    assert value(store, "SELECT COUNT(*) AS n FROM organisation") == 1
    assert person.get("/setup/zone").location == "/setup"
    assert person.get("/setup").location == "/admin"
    with store.read() as view:
        assert facts.is_set_up(view)


# The steps


@pytest.mark.parametrize("name", STEPS)
def test_every_step_opens_in_any_order_and_wants_its_token(
    name: str, person: Person, store: Database, clock: ManualClock
) -> None:
    open_up(person, store, clock)
    page = person.get(f"/setup/{name}")
    assert page.status_code == 200
    assert 'aria-current="step"' in page.text
    assert " style=" not in page.text
    before = value(store, "SELECT MAX(serial) FROM audit")
    answer = person.client.post(f"/setup/{name}", data={}, headers={"Origin": "http://localhost"})
    assert answer.status_code in (400, 405)
    assert value(store, "SELECT MAX(serial) FROM audit") == before


def test_colleagues_without_the_right_are_no_part_of_it(person: Person, app: Flask, store: Database, clock: ManualClock) -> None:
    from gateway.flows import sign_in
    from gateway.store import setup

    open_up(person, store, clock)
    with store.write() as tx:
        org = setup.the_organisation(tx, None)["id"]
        made = setup.create_user(tx, org, email="x@acme.example", name="X", roles=["recruiter"], actor="t", now=0)
        token = sign_in.open_session(tx, made, "127.0.0.1", clock.now_ms())
    other = Person(app.test_client())
    other.client.set_cookie("ringpost", token)
    for name in STEPS:
        assert other.get(f"/setup/{name}").status_code == 403
    assert other.get("/setup").location == "/admin"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("organisation", {"name": "", "region": "SE", "language": "en"}),
        ("organisation", {"name": "Nordrek", "region": "", "language": "en"}),
        ("organisation", {"name": "Nordrek", "region": "XX", "language": "en"}),
        ("zone", {"zone": "Mars/Olympus"}),
        ("zone", {"zone": ""}),
        ("sender", {"modem": "mdm_stick-1", "number": "hello"}),
        ("sender", {"modem": "mdm_nobody", "number": "+46701740699"}),
        ("country", {"iso": "SE"}),
        ("country", {"iso": "FL"}),
        ("test", {"number": ""}),
        ("credits", {"amount": "-1"}),
        ("credits", {"amount": "many"}),
        ("key", {"name": ""}),
        ("backup", {}),
        ("finish", {}),
    ],
)
def test_wrong_input_is_said_where_it_was_typed(
    name: str, form: dict[str, str], person: Person, store: Database, clock: ManualClock, tmp_path: Path
) -> None:
    open_up(person, store, clock)
    plug_in(store, clock, tmp_path)
    answer = person.post(f"/setup/{name}", form, page="/setup/zone")
    assert answer.status_code == 422, answer.text[-2000:]
    assert person.get("/setup").location == "/setup/organisation"


def test_the_whole_way_ends_with_sending_on(person: Person, store: Database, clock: ManualClock, tmp_path: Path) -> None:
    open_up(person, store, clock)
    walk(person, store, clock, tmp_path)
    with store.read() as view:
        assert not facts.is_set_up(view)
    assert person.get("/setup").location == "/setup/finish"
    assert step(person, "finish").location == "/setup/done"
    assert "Sending is on" in person.get("/setup/done").text
    with store.read() as view:
        assert facts.is_set_up(view)
        org = view.one("SELECT * FROM organisation")
        sender = view.one("SELECT * FROM sender")
    assert org is not None
    assert sender is not None
    assert (org["name"], org["region"], org["zone"]) == ("Nordrek AB", "SE", "Europe/Stockholm")
    assert (sender["number"], sender["iccid"], sender["countries"]) == ("+46701740699", "8946071111", '["SE"]')
    assert value(store, "SELECT state FROM country WHERE iso = 'SE'") == "active"
    assert value(store, "SELECT available FROM balance") == 500
    assert value(store, "SELECT COUNT(*) AS n FROM wording WHERE kind = 'consent_optin'") >= 1
    assert person.get("/setup/zone").location == "/setup"


def test_going_back_and_changing_a_step_keeps_the_others(
    person: Person, store: Database, clock: ManualClock, tmp_path: Path
) -> None:
    open_up(person, store, clock)
    walk(person, store, clock, tmp_path, until="test")
    assert 'href="/setup/country"' in person.get("/setup/test").text
    assert "Nordrek AB" in person.get("/setup/organisation").text
    step(person, "organisation", name="Nordrek & Co AB", region="SE", language="en")
    assert step(person, "sender", modem="mdm_stick-1", number="+46701740697").status_code == 303
    assert value(store, "SELECT COUNT(*) AS n FROM sender") == 1
    assert value(store, "SELECT number FROM sender") == "+46701740697"
    assert person.get("/setup").location == "/setup/test"


def test_the_zone_is_proposed_by_the_country(person: Person, store: Database, clock: ManualClock) -> None:
    open_up(person, store, clock)
    step(person, "organisation", name="Nordrek AB", region="SE", language="en")
    assert 'value="Europe/Stockholm"' in person.get("/setup/zone").text


def test_a_missing_text_or_tick_keeps_what_was_typed(person: Person, store: Database, clock: ManualClock, tmp_path: Path) -> None:
    open_up(person, store, clock)
    walk(person, store, clock, tmp_path, until="country")
    mine = "{{company}}: {{user.name}} vill skriva om {{purpose}}. Svara START!"
    data = {"csrf_token": person.token("/setup/zone"), "iso": "SE", "text_sv": mine, "checklist": ["law_read"]}
    answer = person.client.post("/setup/country", data=data, headers={"Origin": person.origin})
    assert answer.status_code == 422
    assert "Svara START!" in answer.text
    assert re.search(r'value="law_read" checked', answer.text)
    assert value(store, "SELECT COUNT(*) AS n FROM wording") == 0
    assert value(store, "SELECT COUNT(*) AS n FROM country WHERE state <> 'off'") == 0


def test_a_pin_is_asked_with_its_tries_and_sealed(person: Person, store: Database, clock: ManualClock, tmp_path: Path) -> None:
    open_up(person, store, clock)
    locked = {"state": "sim", "reason": "pin_required: no PIN is configured", "locked_iccid": "8946071111", "pin_tries": 3}
    private = plug_in(store, clock, tmp_path)
    with store.write() as tx:
        tx.execute(f"UPDATE modem SET {', '.join(f'{name} = ?' for name in locked)}", *locked.values())
    page = person.get("/setup/pin").text
    assert "3 tries are left" in page
    assert person.post("/setup/pin/mdm_stick-1", {"pin": "12"}, page="/setup/pin").status_code == 422
    assert person.post("/setup/pin/mdm_stick-1", {"pin": "4711"}, page="/setup/pin").location == "/setup/pin"
    assert keys.unseal_own(private, value(store, "SELECT sealed FROM sim_pin")) == "4711"
    assert "Trying the PIN" in person.get("/setup/pin/live").text
    with store.write() as tx:
        tx.execute("UPDATE modem SET state = 'ready', reason = '', pin_tries = NULL, locked_iccid = NULL")
    assert "The SIM card is open" in person.get("/setup/pin").text


def test_the_test_message_shows_its_report_and_opens_the_country_only_when_it_arrived(
    person: Person, store: Database, clock: ManualClock, tmp_path: Path
) -> None:
    open_up(person, store, clock)
    walk(person, store, clock, tmp_path, until="test")
    assert step(person, "test", number="+4917139200xx").status_code == 422
    assert step(person, "test", number="+491713920001").status_code == 422  # not a number of the country
    assert step(person, "test", number="+46701740698").status_code == 303
    assert "In the queue" in person.get("/setup/test/live").text
    assert step(person, "test", number="+46701740698").status_code == 409  # one at a time
    assert person.post("/setup/test/activate", page="/setup/test").status_code == 409
    with store.write() as tx:
        tx.execute("UPDATE message SET state = 'undelivered', done_at = 1")
    assert "It did not arrive" in person.get("/setup/test").text
    assert person.post("/setup/test/activate", page="/setup/test").status_code == 409
    assert value(store, "SELECT state FROM country WHERE iso = 'SE'") == "testing"
    assert has_arrived(person, store, clock).location == "/setup/credits"


def test_the_key_is_shown_once_with_a_line_to_try_it(person: Person, store: Database, clock: ManualClock, tmp_path: Path) -> None:
    open_up(person, store, clock)
    page = step(person, "key", name="Our ATS").text
    key = re.search(r"rp_[\w-]+", page)
    assert key is not None
    assert f"curl -sS http://localhost/api/v1/organisations/self/credits -H &#39;Authorization: Bearer {key[0]}&#39;" in page
    assert key[0] not in person.get("/setup/key").text
    answer = person.client.get("/api/v1/organisations/self/credits", headers={"Authorization": f"Bearer {key[0]}"})
    assert answer.status_code == 200
    assert key[0] not in str(value(store, "SELECT secret_hash FROM api_key"))


def test_credits_and_key_may_wait(person: Person, store: Database, clock: ManualClock) -> None:
    open_up(person, store, clock)
    for name in ("credits", "key"):
        assert person.post(f"/setup/{name}/later", page=f"/setup/{name}").status_code == 303
    with store.read() as view:
        assert setting_up.noted(view) == {"credits", "key"}
    assert person.post("/setup/zone/later", page="/setup/zone").status_code in (404, 405)


@pytest.mark.parametrize("left_out", ["test", "backup"])
def test_nothing_is_finished_before_the_checklist_is(
    left_out: str, person: Person, store: Database, clock: ManualClock, tmp_path: Path
) -> None:
    open_up(person, store, clock)
    walk(person, store, clock, tmp_path, until=left_out)
    answer = step(person, "finish")
    assert answer.status_code == 422
    assert "nothing was switched on" in answer.text
    with store.read() as view:
        assert setting_up.is_pending(view)


def test_a_session_that_ended_leads_back_to_the_wizard(person: Person, store: Database, clock: ManualClock) -> None:
    open_up(person, store, clock)
    clock.advance(31 * 60)
    assert person.get("/setup").location == "/admin/login?next=/setup"
    assert person.get("/setup/zone").location == "/admin/login?next=/setup/zone"
    form = {"email": "eva@acme.example", "password": PASSWORD}
    data = {**form, "csrf_token": person.token("/admin/login")}
    answer = person.client.post("/admin/login?next=/setup/zone", data=data, headers={"Origin": person.origin})
    assert answer.location == "/setup/zone"
