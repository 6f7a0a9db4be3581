"""People, rights, seats, CSV and templates on both engines: what the requirement tests prove over HTTP on SQLite."""

import threading
from typing import Any

import pytest

from gateway.errors import Refused
from gateway.flows import kinds, people, people_csv, templates
from gateway.flows.people import Change
from gateway.flows.people_gone import forget_user
from gateway.flows.rights import Acting, acting, find_unit
from gateway.flows.templates import Draft
from gateway.rules.spreadsheets import read, safe, unsafe, write
from gateway.store import lists_people, lists_templates, setup
from gateway.store.database import Database
from tests.office import NOW, Office, open_office


@pytest.fixture
def office(database: Database) -> Office:
    made = open_office(database)
    with database.write() as tx:
        top = find_unit(tx, made.organisation_id, "self")
        people.create_unit(tx, by(made), top, ref="acme/se", name="SE", language=None, zone=None, region=None, now=NOW)
    return made


def by(office: Office) -> Acting:
    return Acting(office.organisation_id, "key:test", is_operator=True)


def code(act: Any) -> str:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.code


def test_rights_are_granted_once_hold_below_and_are_taken_back(office: Office) -> None:
    with office.database.write() as tx:
        people.create(tx, by(office), "ann@acme.example", Change(roles=["viewer"], unit="acme/se"), NOW)
        top = find_unit(tx, office.organisation_id, "self")
        made = people.grant(tx, by(office), top, "templates.edit", role=None, user="ann@acme.example", now=NOW)
        assert code(lambda: people.grant(tx, by(office), top, "templates.edit", role=None, user="ann@acme.example", now=NOW)) == (
            "duplicate_grant"
        )
        unit = find_unit(tx, office.organisation_id, "acme/se")
        ann = acting(tx, office.organisation_id, "key:test", "ann@acme.example")
        ann.require(tx, "templates.edit", unit["id"])
        people.revoke(tx, by(office), top, made["id"], NOW)
        assert code(lambda: ann.require(tx, "templates.edit", unit["id"])) == "permission_denied"


def test_a_file_goes_down_and_up_and_a_seat_moves(office: Office) -> None:
    with office.database.write() as tx:
        file = people_csv.export(tx, by(office), ";", NOW)
        assert [result.action for result in people_csv.take(tx, by(office), file, NOW)] == ["same"]
        results = people_csv.take(tx, by(office), "email,name,roles,unit\nbo@acme.example,Bo,recruiter,acme/se\n", NOW)
        assert [(result.line, result.action) for result in results] == [(2, "created")]
    waits = office.accept(send_at=NOW + 3_600_000)
    with office.database.write() as tx:
        done = people.move_seat(tx, by(office), "eva@acme.example", "bo@acme.example", None, NOW)
        assert (done.scheduled, done.owner["email"]) == (1, "bo@acme.example")
        setup.set_seats(tx, office.organisation_id, 1, "key:test", NOW)
    assert office.message(waits.id)["user_id"] == done.taker["id"]
    with office.database.read() as view:
        rows = lists_people.users(
            view, office.organisation_id, None, 10, role="recruiter", seat=True, active=True, idle_since=NOW
        )
        assert [row["email"] for row in rows] == ["bo@acme.example"]
        assert people.effective(view, office.organisation_id, "eva@acme.example", "job-7")["code"] == "seat_required"


def test_nobody_but_an_operator_locks_out_moves_or_forgets_an_operator(office: Office) -> None:
    with office.database.write() as tx:
        people.create(tx, by(office), "olle@acme.example", Change(roles=["operator"]), NOW)
        people.create(tx, by(office), "ada@acme.example", Change(roles=["admin"]), NOW)
    for who in (Acting(office.organisation_id, "key:test"), "ada@acme.example"):
        for act in (
            lambda tx, by: people.change(tx, by, "olle@acme.example", Change(active=False), None, NOW),
            lambda tx, by: people.change(tx, by, "olle@acme.example", Change(unit="acme/se"), None, NOW),
            lambda tx, by: forget_user(tx, by, "olle@acme.example", NOW),
        ):
            with pytest.raises(Refused) as caught, office.database.write() as tx:
                act(tx, who if isinstance(who, Acting) else acting(tx, office.organisation_id, "key:test", who))
            assert caught.value.code == "permission_denied"
    with office.database.write() as tx:
        admin = acting(tx, office.organisation_id, "key:test", "ada@acme.example")
        assert people.change(tx, admin, "olle@acme.example", Change(name="Olle", active=True), None, NOW)["active"] == 1
        forget_user(tx, by(office), "olle@acme.example", NOW)


def test_of_eight_at_once_one_gets_the_last_seat(office: Office) -> None:
    database = office.database
    with database.write() as tx:
        for number in range(8):
            people.create(tx, by(office), f"p{number}@acme.example", Change(), NOW)
        setup.set_seats(tx, office.organisation_id, 2, "key:test", NOW)
    done: list[str] = []

    def take(number: int) -> None:
        try:
            seated = Change(seat=True)
            database.transact(lambda tx: people.change(tx, by(office), f"p{number}@acme.example", seated, None, NOW))
            done.append("seated")
        except Refused as refused:
            done.append(refused.code)
        finally:
            database.close()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["seat_limit"] * 7 + ["seated"]


def test_a_refused_row_leaves_nothing(office: Office) -> None:
    def take() -> None:
        with office.database.write() as tx:
            people_csv.take(tx, by(office), "email,roles\nbo@acme.example,recruiter\nca@acme.example,king\n", NOW)

    before = office.audit_actions()
    assert code(take) == "bad_row"
    assert office.audit_actions() == before


def test_a_template_is_saved_changed_used_and_archived(office: Office) -> None:
    with office.database.write() as tx:
        unit = find_unit(tx, office.organisation_id, "self")
        draft = Draft(name="T", kind="contact", channel="sms", language="sv", body="Hej {{candidate.first_name}}, {{company}}")
        made = templates.create(tx, by(office), unit, draft, NOW)
        assert code(lambda: templates.create(tx, by(office), unit, draft, NOW)) == "duplicate_template"
    office.accept(text=None, template_name="T")
    with office.database.write() as tx:
        changed = templates.change(tx, by(office), unit, made["id"], Draft(body="Hej! {{company}}"), 1, NOW)
        assert changed["version"] == 2
        assert [row["used_at"] for row in lists_templates.versions(tx, made["id"])] == [None, NOW]
        templates.archive(tx, by(office), unit, made["id"], NOW)
        assert templates.create(tx, by(office), unit, draft, NOW)["version"] == 3
        assert [row["id"] for row in templates.choices(tx, office.organisation_id, unit["id"], "sms", "contact", "sv-FI")] == [
            made["id"]
        ]
        kinds.set_kind(tx, by(office), "contact", "sms", False, NOW)
        kinds.set_phrases(tx, by(office), "sv", ["slut"], NOW)
        assert kinds.rejection_in(tx, office.organisation_id, "Det är slut.", None) == "slut"


@pytest.mark.parametrize(
    "cell", ["=1+1", "+46", "-", "@x", "\tx", "\rx", "'=1", "''@x", "'plain", "plain", "", "a;b", 'say "hi"']
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_cell_comes_back_as_it_was_and_runs_nowhere(cell: str, delimiter: str) -> None:
    assert unsafe(safe(cell)) == cell
    assert not safe(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    rows = list(read(write(["a", "b"], [[cell, "x"]], delimiter)))
    assert rows[1][1] == [cell, "x"]
