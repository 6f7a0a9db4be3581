"""Erasure, legal hold, export, retention, the audit's chain, and what a restore must not forget (requirements §3.6, §3.7)."""

import io
import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.flows import restore
from tests.ats import Box, Person
from tests.processes import until

Unchanged = Callable[[], AbstractContextManager[None]]
DAY_S = 86_400
NAME = "Xaverius"
FAMILY = "Quistgaard"
SECRET = "Zebrafinken flyger klockan tolv"
ANSWER = "Pelargonian behöver vatten"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that tells its webhooks into the void, so that the outbox is full of bodies."""
    with Box(tmp_path_factory.mktemp("retention"), credits=10_000) as made:
        yield made.serve()


def somebody(box: Box, ref: str = "") -> Person:
    """A candidate whose name stands nowhere else."""
    person = box.someone(ref=ref)
    answer = box.ats.http.put(
        f"/api/v1/candidates/{person.ref}",
        json={"first_name": NAME, "last_name": FAMILY, "email": "xaverius.q@home.example", "phone": person.phone},
    )
    assert answer.status_code == 200
    return person


def erase(box: Box, person: Person, **more: Any) -> httpx.Response:
    body = {"reason": "asked by letter", "requested_at": box.moment(-3600), **more}
    return box.ats.post(f"/api/v1/candidates/{person.ref}/erase", body)


def forms(phone: str) -> list[bytes]:
    """The number as text, and as it stands in a PDU (both places of its digits), in hex and in octets."""
    digits = phone.removeprefix("+")
    national = "0" + digits[2:]
    found = [digits.encode(), national.encode(), digits[3:].encode()]
    for each in (digits, national, digits[2:]):
        padded = each + "F" * (len(each) % 2)
        swapped = "".join(padded[i + 1] + padded[i] for i in range(0, len(padded), 2))
        found += [swapped.encode(), swapped.lower().encode(), bytes.fromhex(swapped)]
    return found


def places(box: Box) -> list[Path]:
    """Everything the box itself has written: database, its log and its index, logs, the files outside. The air is not its own."""
    of_the_box = [path for path in box.site.state_dir.rglob("*") if path.is_file()]
    return [*of_the_box, *(box.site.programs[name].log for name in ("gateway", "web"))]


def traces(box: Box, needles: list[bytes]) -> list[str]:
    found = []
    for path in places(box):
        content = path.read_bytes()
        found += [f"{path.name}: {needle!r}" for needle in needles if needle in content]
    return found


def needles(person: Person) -> list[bytes]:
    texts = [word.encode() for word in (NAME, FAMILY, "xaverius.q@home", SECRET, ANSWER)]
    return [*texts, *forms(person.phone), ANSWER.encode("utf-16-be"), SECRET.encode("utf-16-be")]


def verify(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(box.site.ringpost("audit", "verify", "--json"))
    return found


def quiet(box: Box) -> None:
    """Nothing is on its way; a report for an erased candidate finds no message any more."""

    def busy() -> bool:
        rows = [row for row in box.ats.pages("/api/v1/messages") if not (row["candidate_ref"] or "").startswith("erased-")]
        return any(row["state"] in ("queued", "sending", "sent") for row in rows)

    until(lambda: not busy(), about="all has ended")


def test_an_erased_candidate_leaves_neither_number_nor_text_nor_name_and_a_stop_still_counts(box: Box) -> None:
    kim = somebody(box)
    sent = box.ats.accepted(kim, SECRET)
    box.ats.until_state(sent["id"], "delivered")
    box.stick.control.hold_reports()
    again = box.ats.submit(kim, SECRET, token="again").json()  # an answer kept for its Idempotency-Key
    box.ats.post("/api/v1/messages/preview", box.ats.body(kim.ref, SECRET), token="preview")
    box.stick.control.deliver(kim.phone, ANSWER)
    box.stick.control.deliver(kim.phone, ANSWER * 8)  # in parts
    box.ats.until_state(again["id"], "sent")
    written = len(box.on_air(kim.phone))
    box.stick.control.deliver(kim.phone, "STOP")
    until(lambda: len(box.on_air(kim.phone)) > written, about="the STOP is confirmed")
    until(
        lambda: {row["state"] for row in box.ats.pages("/api/v1/messages")} <= {"sent", "delivered"}, about="nothing on the air"
    )
    assert traces(box, needles(kim)), "before, it is everywhere"
    ledger = box.ats.ledger()
    answer = erase(box, kim)
    assert (answer.status_code, answer.json()["state"]) == (200, "done"), answer.text
    assert traces(box, needles(kim)) == []
    assert box.ats.ledger() == ledger
    assert box.ats.http.get(f"/api/v1/candidates/{kim.ref}").json()["code"] == "candidate_not_found"
    found = verify(box)
    assert (found["whole"], found["broken"]) == (True, None)
    pdus = _pdus(box)
    assert box.stick.control.release_reports() >= 2  # the network is late
    until(lambda: _pdus(box) >= pdus + 2, about="the late reports are here")
    box.site.programs["gateway"].stop()
    box.site.gateway()
    with closing(sqlite3.connect(box.site.database_url)) as store:  # a backup made afterwards, as SQLite makes one
        store.execute("VACUUM INTO ?", (str(box.site.state_dir / "backup.db"),))
    assert (box.site.state_dir / "backup.db").stat().st_size > 0
    assert traces(box, needles(kim)) == []

    anew = box.ats.candidate(kim.phone, ref=kim.ref, consent=False)
    evidence = {"captured_at": "2026-01-05T09:00:00Z", "wording_version": "7", "wording_text": "Ja, skicka sms till mig."}
    push = box.ats.http.put(f"/api/v1/candidates/{anew.ref}/consents/sms", json={"status": "granted", "evidence": evidence})
    assert (push.status_code, push.json()["code"]) == (409, "opted_out")
    assert box.ats.submit(anew, "Hej igen").json()["code"] == "opted_out"


def _pdus(box: Box) -> int:
    with box.site.store.read() as view:
        return int(view.value("SELECT COUNT(*) AS n FROM inbound_pdu WHERE state <> 'new'"))


def test_what_waits_is_cancelled_and_refunded_before_it_is_erased(box: Box) -> None:
    kim = somebody(box)
    box.ats.until_state(box.ats.accepted(kim, "Hej")["id"], "delivered")
    quiet(box)
    before = box.ats.credits()
    for number in range(3):
        box.ats.accepted(kim, f"{SECRET} {number}", send_at=box.moment(3600 + number))
    answer = erase(box, kim)
    assert (answer.json()["cancelled"], answer.json()["state"], box.ats.credits()) == (3, "done", before)
    assert traces(box, needles(kim)) == []


def test_an_erasure_waits_for_what_is_on_the_air(box: Box) -> None:
    kim = somebody(box)
    box.ats.until_state(box.ats.accepted(kim, "Hej")["id"], "delivered")
    quiet(box)
    box.stick.control.hold_reports()
    sent = box.ats.accepted(kim, SECRET)
    answer = erase(box, kim)
    assert answer.status_code in (200, 202)
    until(lambda: box.ats.http.get(f"/api/v1/candidates/{kim.ref}").status_code == 404)
    assert box.ats.message(sent["id"])["state"] in ("cancelled", "sent")
    box.stick.control.release_reports()
    box.site.programs["gateway"].stop()
    box.site.gateway()
    assert traces(box, needles(kim)) == []


def test_a_legal_hold_keeps_everything(box: Box, unchanged: Unchanged) -> None:
    kim = somebody(box)
    path = f"/api/v1/candidates/{kim.ref}/legal-hold"
    assert box.ats.http.put(path, json={"on": True, "reason": "court file 7"}).status_code == 200
    with unchanged():
        refused = erase(box, kim)
        assert (refused.status_code, refused.json()["code"]) == (409, "legal_hold")
        assert erase(box, kim, user="eva@acme.example").json()["code"] == "permission_denied"
        assert box.ats.post(f"/api/v1/candidates/{kim.ref}/erase", {"reason": "x"}).status_code == 422
        assert erase(box, kim, requested_at=box.moment(3600)).json()["code"] in ("legal_hold", "requested_in_future")
        assert erase(box, Person("nobody", "", "")).json()["code"] == "candidate_not_found"
    assert box.ats.http.put(path, json={"on": False, "reason": "closed"}).status_code == 200
    assert erase(box, kim).status_code == 200


def test_an_export_is_one_archive_of_ones_own_behind_a_link_that_works_once(box: Box) -> None:
    kim, other = somebody(box), box.someone()
    for person, text in ((kim, SECRET), (other, "Not for Kim")):
        box.ats.until_state(box.ats.accepted(person, text)["id"], "delivered")
    box.stick.control.deliver(kim.phone, "=1+1")
    until(lambda: any(each.get("from") == kim.phone for each in _heard(box)))
    path = f"/api/v1/candidates/{kim.ref}/export"
    assert "/exports/" in box.ats.http.get(path).json()["url"], "the contract's verb"
    assert box.ats.post(path, {"user": "eva@acme.example"}).json()["code"] == "permission_denied"
    link = box.ats.post(path).json()["url"]
    link = link[link.index("/api/") :]
    url = str(box.ats.http.base_url).rstrip("/")
    for _ in range(2):  # a scanner of links looks at it, and a person
        assert "Download" in httpx.get(url + link, trust_env=False).text
    got = httpx.post(url + link, trust_env=False)
    assert (got.status_code, got.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
        told = json.loads(archive.read("export.json"))
        answers = archive.read("answers.csv").decode()
    assert SECRET in {message["text"] for message in told["messages"]}
    assert told["consents"][0]["wording_text"]
    assert {"message.accept", "export.run"} <= {entry["action"] for entry in told["audit"]}
    assert "'=1+1" in answers
    everything = json.dumps(told, ensure_ascii=False)
    assert not [each for each in (other.phone, other.id, "Not for Kim", "eva@acme.example") if each in everything]
    for ask in (httpx.post, httpx.get):
        again = ask(url + link, trust_env=False)
        assert (again.status_code, again.json()["code"]) == (410, "link_used")
    assert httpx.post(url + link[:-3] + "AAA", trust_env=False).status_code == 404
    late = box.ats.post(path).json()["url"]
    box.advance(DAY_S + 1)
    assert httpx.post(url + late[late.index("/api/") :], trust_env=False).json()["code"] == "link_expired"


def _heard(box: Box) -> list[dict[str, Any]]:
    return [event["data"] for event in box.ats.pages("/api/v1/events") if event["type"] == "message.received"]


def test_the_daily_run_forgets_what_was_kept_long_enough_and_proves_itself(box: Box, unchanged: Unchanged) -> None:
    with unchanged():
        for wrong in ({"bodies_days": 0}, {"audit_months": 1}, {"bodies_days": "7"}, {"moons": 3}):
            assert box.ats.http.put("/api/v1/retention", json=wrong).status_code == 422, wrong
    assert box.ats.http.put("/api/v1/retention", json={"bodies_days": 30}).json()["bodies_days"] == 30
    made = {"title": "Old", "organisation": "acme/se", "team": ["eva@acme.example"]}
    for ref in ("job-old", "job-open"):
        assert box.ats.http.put(f"/api/v1/cases/{ref}", json=made).status_code == 200
    kim, ida = somebody(box), box.someone()
    closed = box.ats.accepted(kim, SECRET, case_ref="job-old")
    still = box.ats.accepted(ida, "Kvar", case_ref="job-open")
    for message in (closed, still):
        box.ats.until_state(message["id"], "delivered")
    assert box.ats.http.put("/api/v1/cases/job-old", json={"closed": True}).json()["closed_at"]
    charged = sum(entry["charged"] for entry in box.ats.ledger())
    box.advance(29 * DAY_S)
    until(lambda: _runs(box) and _runs(box)[0]["at"] > box.moment(-DAY_S)[:19], about="a run")
    assert "".join(part["text"] for part in box.ats.message(closed["id"])["parts"]) == SECRET
    box.advance(2 * DAY_S)
    until(lambda: not "".join(part["text"] for part in box.ats.message(closed["id"])["parts"]), about="the text is gone")
    assert "".join(part["text"] for part in box.ats.message(still["id"])["parts"]) == "Kvar"
    removed = until(lambda: next((run["data"]["removed"] for run in _runs(box) if run["data"]["removed"]["bodies"]), None))
    assert removed is not None
    with box.site.store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM inbound_pdu WHERE received_at < ?", box.now() - 8 * DAY_S * 1000) == 0
        assert view.value("SELECT COUNT(*) AS n FROM event WHERE wiped_at IS NOT NULL") > 0
    assert sum(entry["charged"] for entry in box.ats.ledger()) == charged
    assert verify(box)["whole"]


def _runs(box: Box) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = box.ats.get("/api/v1/audit", action="retention.run")["data"]
    return found


def test_the_audit_names_its_first_broken_link_and_a_pruned_one_still_verifies(box: Box) -> None:
    assert verify(box)["anchored_at"] is None
    box.advance(37 * 31 * DAY_S)
    found = until(lambda: verify(box) if verify(box)["anchored_at"] else None, about="the audit is pruned")
    assert found is not None
    assert found["whole"]
    position = found["anchored_at"] + 1
    with box.site.store.write() as tx:
        before = tx.value("SELECT actor FROM audit WHERE position = ?", position)
        tx.execute("UPDATE audit SET actor = 'nobody' WHERE position = ?", position)
    told = box.site.ringpost("audit", "verify", code=1)
    assert f"BROKEN at audit position {position}" in told
    assert box.ats.get("/api/v1/audit/verify")["broken"]["position"] == position
    with box.site.store.write() as tx:
        tx.execute("UPDATE audit SET actor = ? WHERE position = ?", before, position)
        anchor = tx.value("SELECT hash FROM audit_anchor")
        tx.execute("UPDATE audit_anchor SET hash = ?", "0" * 64)
    assert "not one that this box signed" in box.site.ringpost("audit", "verify", code=1)
    with box.site.store.write() as tx:
        tx.execute("UPDATE audit_anchor SET hash = ?", anchor)
    assert verify(box)["whole"]


def test_after_a_restore_nothing_is_sent_until_stops_are_read_and_the_queue_is_confirmed(box: Box) -> None:
    kim, ida = box.someone(), box.someone()
    for each in (kim, ida):
        box.ats.until_state(box.ats.accepted(each, "Hej")["id"], "delivered")
    box.stick.control.deliver(kim.phone, "STOP")
    stops = box.site.state_dir / "stops.jsonl"
    until(lambda: box.ats.consent_status(kim.ref) == "revoked")
    with box.site.store.read() as view:
        number = str(view.value("SELECT phone_hash FROM candidate WHERE ref = ?", kim.ref))
    until(lambda: number in stops.read_text(), about="the STOP stands outside")
    assert kim.phone[1:] not in stops.read_text()
    box.advance(1)
    quiet(box)

    box.site.programs["gateway"].stop()
    waiting = box.ats.accepted(ida, "Skickas kanske igen")
    with box.site.store.write() as tx:  # what a backup of a minute ago would say: it knows no STOP
        tx.execute("DELETE FROM suppression WHERE phone_hash = ?", number)
        tx.execute("DELETE FROM suppression_copy WHERE phone_hash = ?", number)
        restore.mark(tx, box.now(), "cli:test", box.now())
    early = box.ats.post("/api/v1/restore/confirm", {"queue": "send"})
    assert (early.status_code, early.json()["code"]) == (409, "lists_not_read")
    box.site.gateway()
    until(lambda: box.ats.get("/api/v1/restore")["state"] == "confirm_queue", about="the lists are read")
    shown = box.ats.get("/api/v1/restore")
    assert (waiting["id"] in shown["queue"], shown["stops"] >= 1) == (True, True)
    with box.site.store.read() as view:
        assert view.one("SELECT 1 AS yes FROM suppression WHERE phone_hash = ?", number) is not None
    assert box.ats.submit(kim, "Hej").json()["code"] == "opted_out"
    assert box.ats.message(waiting["id"])["state"] == "queued"
    assert box.ats.post("/api/v1/restore/confirm", {"queue": "perhaps"}).json()["code"] == "unknown_choice"
    assert box.ats.post("/api/v1/restore/confirm", {"queue": "send"}).status_code == 200
    box.ats.until_state(waiting["id"], "delivered")
    assert box.ats.post("/api/v1/restore/confirm", {"queue": "send"}).json()["code"] == "no_restore"


def test_an_erasure_is_done_again_when_a_backup_brings_the_candidate_back(box: Box) -> None:
    kim = somebody(box)
    with box.site.store.read() as view:
        row = dict(view.one("SELECT * FROM candidate WHERE id = ?", kim.id) or {})
    assert erase(box, kim).status_code == 200
    erasures = box.site.state_dir / "erasures.jsonl"
    until(lambda: kim.id in erasures.read_text())
    box.site.programs["gateway"].stop()
    with box.site.store.write() as tx:
        sets = ", ".join(f"{name} = ?" for name in row)
        tx.execute(f"UPDATE candidate SET {sets} WHERE id = ?", *row.values(), kim.id)
        restore.mark(tx, box.now(), "cli:test", box.now())
    assert traces(box, forms(kim.phone))
    box.site.gateway()
    until(lambda: box.ats.get("/api/v1/restore")["state"] == "confirm_queue", about="the lists are read")
    assert box.ats.get("/api/v1/restore")["erased"] == 1
    box.ats.post("/api/v1/restore/confirm", {"queue": "cancel"})
    assert traces(box, forms(kim.phone)) == []
