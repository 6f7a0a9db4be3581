"""The pages of one modem: signal, budgets, log, taking it out of use, self test, test message, USSD, console, PIN."""

import json
from typing import Any

import pytest
from flask import Flask

from gateway import keys
from gateway.flows import test_messages
from gateway.store.database import Database
from tests.support import ManualClock
from tests.web.pages_fixtures import (
    Person,
    add_gateway,
    add_modem,
    anonymous,
    app,
    people,
    store,
)

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

ONE = "/admin/modems/mdm_stick-1"
VIEWS = {
    ONE: {"admin", "operator"},
    f"{ONE}/live": {"admin", "operator"},
    f"{ONE}/log": {"admin", "operator"},
    f"{ONE}/tests": {"operator"},
    f"{ONE}/tests/self/live": {"operator"},
    f"{ONE}/tests/sent/live": {"operator"},
    f"{ONE}/ussd": {"operator"},
    f"{ONE}/ussd/live": {"operator"},
    f"{ONE}/console": {"operator"},
    f"{ONE}/console/live": {"operator"},
}
ACTS: dict[str, dict[str, str]] = {
    f"{ONE}/park": {},
    f"{ONE}/unpark": {},
    f"{ONE}/reset": {},
    f"{ONE}/pin": {"pin": "4711"},
    f"{ONE}/tests/self": {},
    f"{ONE}/tests/message": {"number": "+46701740605"},
    f"{ONE}/tests/stf_1/code": {"code": "123456"},
    f"{ONE}/ussd": {"code": "*100#"},
    f"{ONE}/console": {"command": "AT+CSQ"},
}


@pytest.fixture(autouse=True)
def stick(store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        add_gateway(tx, clock.now_ms())
        facts = {"operator": "Telia", "technology": "4G", "signal_dbm": -67, "registration": "home", "smsc": "+46705000000"}
        add_modem(tx, "stick-1", "ready", clock.now_ms(), iccid="8946071111", **facts)


def ready(store: Database, state: str, reason: str = "", **columns: Any) -> None:
    with store.write() as tx:
        values = {"state": state, "reason": reason, **columns}
        tx.execute(f"UPDATE modem SET {', '.join(f'{name} = ?' for name in values)}", *values.values())


def commands(store: Database) -> list[dict[str, Any]]:
    with store.read() as view:
        return [dict(row) for row in view.all("SELECT * FROM command ORDER BY id")]


def answer(store: Database, state: str, result: dict[str, Any]) -> None:
    with store.write() as tx:
        tx.execute("UPDATE command SET state = ?, result = ?", state, json.dumps(result))


@pytest.mark.parametrize("path", VIEWS)
def test_each_page_opens_for_its_roles_only(path: str, people: dict[str, Person], anonymous: Person) -> None:
    answers = {role: person.get(path).status_code for role, person in people.items()}
    assert answers == {role: 200 if role in VIEWS[path] else 403 for role in people}
    assert anonymous.get(path).status_code == (401 if path.endswith("/live") else 303)


@pytest.mark.parametrize("path", ACTS)
def test_each_act_is_the_operators_only_and_wants_its_token(
    path: str, people: dict[str, Person], anonymous: Person, store: Database
) -> None:
    for role in people.keys() - {"operator"}:
        assert people[role].post(path, ACTS[path], page="/admin/account").status_code == 403, role
    assert anonymous.post(path, ACTS[path], page="/admin/login").location.startswith("/admin/login")
    forged = people["operator"].client.post(path, data=ACTS[path], headers={"Origin": "http://localhost"})
    assert forged.status_code == 400
    assert commands(store) == []


@pytest.mark.parametrize("path", [*VIEWS, *ACTS])
def test_a_modem_that_is_not_there_is_a_404(path: str, people: dict[str, Person]) -> None:
    path = path.replace("mdm_stick-1", "mdm_nobody")
    if path.replace("mdm_nobody", "mdm_stick-1") in VIEWS:
        assert people["operator"].get(path).status_code == 404
    if path.replace("mdm_nobody", "mdm_stick-1") in ACTS:
        form = ACTS[path.replace("mdm_nobody", "mdm_stick-1")]
        assert people["operator"].post(path, form, page="/admin/account").status_code == 404


# Overview


def test_a_modem_shows_facts_sender_and_budgets(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    now = clock.now_ms()
    with store.write() as tx:
        tx.execute("UPDATE sender SET budgets = '{\"day\": 200}', gap_ms = 6000")
        midnight = now - 11 * 3_600_000  # Stockholm's
        tx.execute(
            "INSERT INTO sim_budget (iccid, day_from, day_used, month_from, month_used) VALUES ('8946071111', ?, 150, 0, 0)",
            midnight,
        )
    page = people["admin"].get(ONE).text
    for words in ("Telia", "4G", "+46700000000", "+46705000000", "8946071111", "861234567890123", "Quectel EC25", "Very good"):
        assert words in page
    assert "150 / 200" in page
    assert "This minute" in page
    assert "Take it out of use" not in page  # the administrator is not the operator


def test_a_card_without_a_number_or_without_budgets_says_so(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE sender SET gap_ms = 0")
    assert "Nothing bounds this card" in people["operator"].get(ONE).text
    ready(store, "ready", iccid="8946079999")
    assert "has none yet" in people["operator"].get(ONE).text


def test_the_signal_is_drawn_with_its_gaps_and_told_as_a_table(
    people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    now = clock.now_ms()
    with store.write() as tx:
        for minute in [*range(200), *range(300, 400)]:
            tx.insert("signal_sample", modem_id="mdm_stick-1", at=now - minute * 60_000, dbm=-60 - minute % 40)
        tx.insert("signal_sample", modem_id="mdm_stick-1", at=now - 5 * 86_400_000, dbm=-99)
    day, week = people["operator"].get(ONE).text, people["operator"].get(f"{ONE}?span=7d").text
    assert day.count("<polyline") == 2
    assert "As a table" in day
    assert 'class="dot"' in week
    assert people["operator"].get(f"{ONE}?span=1y").status_code == 400


def test_no_samples_yet_say_where_they_come_from(people: dict[str, Person]) -> None:
    assert "notes the signal once a minute" in people["operator"].get(ONE).text


def test_live_state_answers_304_until_something_changes(people: dict[str, Person], store: Database) -> None:
    tag = people["operator"].get(f"{ONE}/live").headers["ETag"]
    assert people["operator"].get(f"{ONE}/live", **{"If-None-Match": tag}).status_code == 304
    ready(store, "silent", "no answer")
    again = people["operator"].get(f"{ONE}/live", **{"If-None-Match": tag})
    assert again.status_code == 200
    assert "Does not answer" in again.text


@pytest.mark.parametrize(("verb", "said"), [("park", "being taken out"), ("unpark", "put back"), ("reset", "initialised again")])
def test_taking_out_of_use_and_back_goes_to_the_gateway(verb: str, said: str, people: dict[str, Person], store: Database) -> None:
    assert people["operator"].post(f"{ONE}/{verb}", page=ONE).location == ONE
    assert said in people["operator"].get(ONE).text
    [given] = commands(store)
    assert (given["verb"], given["state"], given["actor"]) == (verb, "waiting", "user:usr_operator")
    assert people["operator"].post(f"{ONE}/explode", page=ONE).status_code == 405


def test_before_parking_it_is_told_how_many_messages_wait(people: dict[str, Person]) -> None:
    page = people["operator"].get(ONE).text
    assert "1 message is in the queue for it now" in page
    assert "what arrives is still received" in page


def test_a_parked_modem_offers_to_come_back(people: dict[str, Person], store: Database) -> None:
    ready(store, "ready", parked=1)
    page = people["operator"].get(ONE).text
    assert "Put it back into use" in page
    assert "Yes, take it out" not in page


# The PIN


@pytest.fixture
def locked(store: Database, app: Flask, tmp_path: Any) -> bytes:
    """A locked card, and the key of its gateway."""
    private = keys.gateway_key(tmp_path)
    with store.write() as tx:
        tx.execute("UPDATE gateway SET pin_key = ?", keys.public_half(private))
    ready(store, "sim", "pin_required: no PIN is configured", iccid="", locked_iccid="8946071111", pin_tries=3)
    return private


def test_a_locked_card_asks_for_its_pin_with_the_tries_left(people: dict[str, Person], locked: bytes) -> None:
    assert "3 tries are left" in people["operator"].get(ONE).text
    assert "Try this PIN" in people["operator"].get(ONE).text
    assert "Try this PIN" not in people["admin"].get(ONE).text


def test_a_pin_is_sealed_for_the_gateway_and_never_stored_in_clear(
    people: dict[str, Person], locked: bytes, store: Database
) -> None:
    assert people["operator"].post(f"{ONE}/pin", {"pin": "4711"}, page=ONE).status_code == 303
    with store.read() as view:
        row = view.one("SELECT * FROM sim_pin")
        told = view.value("SELECT data FROM audit WHERE action = 'modem.pin'")
    assert row is not None
    assert (row["iccid"], row["tries_seen"], row["tried_at"]) == ("8946071111", 3, None)
    assert "4711" not in row["sealed"]
    assert "4711" not in told
    assert keys.unseal_own(locked, row["sealed"]) == "4711"
    assert "is being tried" in people["operator"].get(ONE).text
    again = people["operator"].post(f"{ONE}/pin", {"pin": "4712"}, page="/admin/account")
    assert again.status_code == 409  # one after the other


@pytest.mark.parametrize("pin", ["", "12", "123456789", "12a4", "١٢٣٤"])
def test_what_is_no_pin_is_refused_at_its_field(pin: str, people: dict[str, Person], locked: bytes, store: Database) -> None:
    reply = people["operator"].post(f"{ONE}/pin", {"pin": pin}, page=ONE)
    assert reply.status_code == 422
    assert 'aria-invalid="true"' in reply.text
    with store.read() as view:
        assert view.one("SELECT * FROM sim_pin") is None


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"pin_tries": 1}, "never takes the last one"),
        ({"locked_iccid": None}, "does not tell which card"),
        ({"reason": "puk: SIM PUK"}, "SIM is blocked"),
    ],
)
def test_no_pin_is_taken_where_it_could_do_harm(
    columns: dict[str, Any], words: str, people: dict[str, Person], locked: bytes, store: Database
) -> None:
    ready(store, "sim", **{"reason": "pin_refused: incorrect password", **columns})
    page = people["operator"].get(ONE).text
    assert words in page
    assert "Try this PIN" not in page
    assert people["operator"].post(f"{ONE}/pin", {"pin": "4711"}, page="/admin/account").status_code == 409


# Self test and test message


def test_a_self_test_shows_its_steps_as_they_come(people: dict[str, Person], store: Database) -> None:
    assert "None has run yet" in people["operator"].get(f"{ONE}/tests").text
    assert people["operator"].post(f"{ONE}/tests/self", page=f"{ONE}/tests").status_code == 303
    page = people["operator"].get(f"{ONE}/tests").text
    assert "Waiting for the modem" in page
    people["operator"].post(f"{ONE}/tests/self", page=f"{ONE}/tests")
    assert "is running already" in people["operator"].get(f"{ONE}/tests").text
    assert len(commands(store)) == 1
    steps = [{"name": "answers", "result": "good", "found": "AT: OK"}, {"name": "signal", "result": "weak", "found": "-107 dBm"}]
    answer(store, "running", {"steps": steps[:1], "of": 6})
    running = people["operator"].get(f"{ONE}/tests/self/live").text
    assert "<progress" in running
    assert "The modem answers" in running
    answer(store, "done", {"steps": steps, "of": 6})
    over = people["operator"].get(f"{ONE}/tests/self/live").text
    assert "could be better" in over
    assert "to a window" in over


def test_a_self_test_that_nobody_ran_says_so(people: dict[str, Person], clock: ManualClock) -> None:
    people["operator"].post(f"{ONE}/tests/self", page=f"{ONE}/tests")
    clock.advance(130)
    assert "Nobody could run it" in people["operator"].get(f"{ONE}/tests").text


def send(people: dict[str, Person], number: str = "+46701740698") -> Any:
    return people["operator"].post(f"{ONE}/tests/message", {"number": number}, page=f"{ONE}/tests")


def codes(store: Database) -> list[str]:
    """The codes that left, by the texts of the messages."""
    with store.read() as view:
        rows = view.all("SELECT p.text FROM part p JOIN message m ON m.id = p.message_id WHERE m.origin = 'test' ORDER BY m.id")
    return [row["text"].partition("Code: ")[2] for row in rows]


def test_the_first_test_message_to_a_number_carries_a_code_and_costs_nothing(people: dict[str, Person], store: Database) -> None:
    assert send(people, "+46 70-174 06 98").status_code == 303
    [code] = codes(store)
    assert len(code) == 6
    with store.read() as view:
        row = view.one("SELECT * FROM message WHERE origin = 'test'")
    assert row is not None
    assert (row["state"], row["credits"], row["address"], row["candidate_id"]) == ("queued", 0, "+46701740698", None)
    page = people["operator"].get(f"{ONE}/tests").text
    assert "type its code" in page
    assert "In the queue" in page

    with store.read() as view:
        staff = view.value("SELECT id FROM staff_number")
    path = f"{ONE}/tests/{staff}/code"
    wrong = "000000" if code != "000000" else "000001"
    assert people["operator"].post(path, {"code": wrong}, page=f"{ONE}/tests").status_code == 422
    assert people["operator"].post(path, {"code": f"{code[:3]} {code[3:]}"}, page=f"{ONE}/tests").status_code == 303
    send(people)
    assert codes(store)[1] == ""  # confirmed: no code any more


def test_a_code_is_guessed_five_times_at_most(people: dict[str, Person], store: Database) -> None:
    send(people)
    [code] = codes(store)
    with store.read() as view:
        staff = view.value("SELECT id FROM staff_number")
    wrong = "000000" if code != "000000" else "000001"
    path = f"{ONE}/tests/{staff}/code"
    answers = [people["operator"].post(path, {"code": wrong}, page=f"{ONE}/tests").status_code for _ in range(6)]
    assert answers == [422] * 5 + [409]
    assert people["operator"].post(path, {"code": code}, page=f"{ONE}/tests").status_code == 409


def test_nobody_is_pestered_by_tests(people: dict[str, Person], clock: ManualClock) -> None:
    assert [send(people).status_code for _ in range(4)] == [303, 303, 303, 409]
    clock.advance(86_401)
    with_session = Person(people["operator"].client)
    assert with_session.get(ONE).status_code == 303  # the session is long over


@pytest.mark.parametrize("number", ["", "hello", "070-174 06 98", "+46812345678", "+4670"])
def test_what_is_no_mobile_number_is_refused_at_its_field(number: str, people: dict[str, Person], store: Database) -> None:
    reply = send(people, number)
    assert reply.status_code == 422
    assert 'aria-invalid="true"' in reply.text
    assert codes(store) == []


def test_a_number_that_sent_stop_gets_no_test_either(
    people: dict[str, Person], store: Database, app: Flask, clock: ManualClock
) -> None:
    from gateway.flows.candidates import phone_hash

    hashed = phone_hash(app.extensions["ringpost.secrets"].phone, "+46701740698")
    with store.write() as tx:
        tx.insert("suppression", phone_hash=hashed, channel="sms", source="keyword", evidence="{}", since_at=clock.now_ms())
    reply = send(people)
    assert reply.status_code == 409
    assert "has sent STOP" in reply.text
    assert codes(store) == []


def test_a_card_without_a_number_sends_no_test(people: dict[str, Person], store: Database) -> None:
    ready(store, "ready", iccid="8946079999")
    assert "no sender number" in people["operator"].get(f"{ONE}/tests").text
    assert people["operator"].post(f"{ONE}/tests/message", {"number": "+46701740698"}, page=ONE).status_code == 409


def test_the_texts_of_tests_are_one_part_each() -> None:
    from modem.segments import split

    for text in (test_messages.TEXT, test_messages.TEXT_WITH_CODE):
        assert len(split(text.format(company="Nordiska Rekryteringsbolaget AB", modem="stick-1", code="123456"))) == 1


# USSD and console


def test_ussd_shows_the_networks_answer(people: dict[str, Person], store: Database) -> None:
    assert "Nothing was asked yet" in people["operator"].get(f"{ONE}/ussd").text
    assert people["operator"].post(f"{ONE}/ussd", {"code": " *100# "}, page=f"{ONE}/ussd").status_code == 303
    [given] = commands(store)
    assert json.loads(given["args"]) == {"code": "*100#"}
    answer(store, "done", {"text": "Saldo: 120,50 kr <b>", "status": 0})
    live = people["operator"].get(f"{ONE}/ussd/live").text
    assert "Saldo: 120,50 kr &lt;b&gt;" in live
    assert "Operator Person" in live


@pytest.mark.parametrize("code", ["", "hello", "*100#;AT", "**04*1234*5678*5678#", "**21*+46701740698#", "*33*0000#", "##002#"])
def test_ussd_codes_that_change_something_or_are_none_are_refused(code: str, people: dict[str, Person], store: Database) -> None:
    reply = people["operator"].post(f"{ONE}/ussd", {"code": code}, page=f"{ONE}/ussd")
    assert reply.status_code == 422
    assert 'aria-invalid="true"' in reply.text
    assert code.replace("&", "&amp;") in reply.text  # what was typed stays
    assert commands(store) == []


@pytest.mark.parametrize("question", ["AT+CSQ", "at+cops?", "AT+CNMI=?", "ATI", "AT^HCSQ?"])
def test_the_console_asks_plain_questions_and_keeps_a_transcript(
    question: str, people: dict[str, Person], store: Database
) -> None:
    assert people["operator"].post(f"{ONE}/console", {"command": question}, page=f"{ONE}/console").status_code == 303
    answer(store, "done", {"lines": ["+CSQ: 23,99", "OK"]})
    page = people["operator"].get(f"{ONE}/console").text
    assert question in page
    assert "+CSQ: 23,99\nOK" in page
    with store.read() as view:
        told = json.loads(view.value("SELECT data FROM audit WHERE action = 'modem.query'") or "{}")
    assert told["asked"] == question


@pytest.mark.parametrize(
    "command",
    [
        "AT+CMGD=1,4",
        "AT+CMGS=12",
        'AT+CPIN="1234"',
        'AT+CLCK="SC",0,"1234"',
        "AT+CMGW=5",
        "AT+CMSS=1",
        "ATD+46701740698;",
        'AT+CUSD=1,"*100#"',
        "AT+CFUN=0",
        "AT&F",
        "AT+CSQ;+CMGD=1",
        "AT+CMGD?",
        "AT+CRSM=214,28476,0,0,1",
        "hello",
        "",
    ],
)
def test_the_console_refuses_whatever_changes_something(command: str, people: dict[str, Person], store: Database) -> None:
    reply = people["operator"].post(f"{ONE}/console", {"command": command}, page=f"{ONE}/console")
    assert reply.status_code == 422
    assert commands(store) == []


def test_nothing_is_asked_while_a_message_is_leaving(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("UPDATE part SET gateway = 'box' WHERE state = 'submitting'")
    for path, form in ((f"{ONE}/console", {"command": "AT+CSQ"}), (f"{ONE}/ussd", {"code": "*100#"})):
        reply = people["operator"].post(path, form, page=path)
        assert reply.status_code == 409
        assert "leaving through this modem right now" in reply.text
    assert people["operator"].post(f"{ONE}/tests/self", page=f"{ONE}/tests").status_code == 409
    assert people["operator"].post(f"{ONE}/park", page=ONE).status_code == 303  # that may wait in the row
    assert [row["verb"] for row in commands(store)] == ["park"]


def test_a_command_that_failed_says_why(people: dict[str, Person], store: Database) -> None:
    people["operator"].post(f"{ONE}/console", {"command": "AT+CSQ"}, page=f"{ONE}/console")
    answer(store, "failed", {"error": "a message may still be leaving"})
    assert "so nothing was asked" in people["operator"].get(f"{ONE}/console").text


# The log


def test_the_log_tells_in_words_what_happened_and_is_paged(
    people: dict[str, Person], store: Database, clock: ManualClock
) -> None:
    now = clock.now_ms()
    with store.write() as tx:
        for number in range(60):
            state = "silent" if number % 2 == 0 else "ready"
            told = {"state": state, "reason": "no answer to AT" if state == "silent" else ""}
            tx.audit(now - (60 - number) * 1000, "gateway:box", "modem.state", "mdm_stick-1", told)
        tx.audit(now, "gateway:box", "modem.park", "mdm_stick-1", {"reason": "+CMS 38"})
        tx.audit(now, "user:usr_operator", "modem.command", "mdm_stick-1", {"command": "cmd_1", "verb": "unpark"})
        tx.audit(now, "gateway:box", "modem.state", "mdm_stick-2", {"state": "absent", "reason": "nowhere"})
    page = people["admin"].get(f"{ONE}/log").text
    for words in ("Does not answer", "Ready", "Taken out of use", "+CMS 38", "Put back into use", "Operator Person"):
        assert words in page
    assert "nowhere" not in page
    older = page.partition('rel="next" href="')[2].partition('"')[0]
    assert people["admin"].get(older).status_code == 200
    assert people["admin"].get(f"{ONE}/log?before=x").status_code == 400


def test_an_empty_log_says_what_will_stand_here(people: dict[str, Person]) -> None:
    assert "Nothing has happened yet" in people["admin"].get(f"{ONE}/log").text


def test_no_modem_page_holds_more_than_it_should(people: dict[str, Person], store: Database) -> None:
    for path in VIEWS:
        page = people["operator"].get(path).text
        assert " style=" not in page
        assert len(page) < 100_000
