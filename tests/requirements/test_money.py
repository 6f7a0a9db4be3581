"""S4, S7 (price), S15–S17: credits, thresholds, grants, vouchers, allowances, chargeback."""

import csv
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.flows.vouchers import new_keys, sign
from tests.ats import Box
from tests.processes import until

Unchanged = Callable[[], AbstractContextManager[None]]

PEOPLE = """
[[user]]
email = "ada@acme.example"
name = "Ada Admin"
roles = ["admin"]
unit = "acme"
[[user]]
email = "olle@vendor.example"
name = "Olle Operator"
roles = ["operator"]
unit = "acme"
[[user]]
email = "oda@vendor.example"
name = "Oda Operator"
roles = ["operator"]
unit = "acme"
[[case]]
ref = "job-8"
title = "=Welder"
language = "sv"
unit = "acme/se"
team = ["eva@acme.example"]
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box of its own with few credits and people of every role; its modem is parked where a test wants messages to wait."""
    directory = tmp_path_factory.mktemp("money")
    with Box(directory, credits=100) as made:
        people = directory / "people.toml"
        people.write_text((directory / "setup.toml").read_text() + PEOPLE)
        made.site.ringpost("apply", str(people))
        yield made.serve()


def org(path: str) -> str:
    return f"/api/v1/organisations/self/{path}"


def spend(box: Box, down_to: int) -> None:
    """Send until so much is left; one credit a message."""
    kim = box.someone()
    box.ats.accepted(kim, "Hej")
    while box.ats.credits()[0] > down_to:
        left = box.ats.credits()[0] - down_to
        parts = min(left, 4)
        box.ats.accepted(kim, "a" * (160 if parts == 1 else 153 * parts))


def quiet(box: Box) -> None:
    """Nothing is on its way, reports included."""
    busy = "SELECT 1 AS yes FROM message WHERE state IN ('queued', 'sending', 'sent') LIMIT 1"

    def ended() -> bool:
        with box.site.store.read() as view:
            return view.one(busy) is None

    until(ended, timeout_s=60, about="all has ended")


def low(box: Box) -> list[int]:
    return [e["data"]["threshold_percent"] for e in box.ats.pages("/api/v1/events") if e["type"] == "credits.low"]


def grant(box: Box, amount: Any, reference: str, **more: Any) -> httpx.Response:
    return box.ats.post(org("grants"), {"amount": amount, "reference": reference, **more})


@pytest.mark.requirement("S17")
def test_only_the_operator_grants_once_per_reference_in_whole_positive_numbers(box: Box, unchanged: Unchanged) -> None:
    before, poor = box.ats.credits()[0], box.key("ats-only", "credits:read")
    done = grant(box, 500, "PO-7", reason="order 7", user="olle@vendor.example")
    assert (done.status_code, done.json()["available"]) == (201, before + 500)
    with unchanged():
        again = grant(box, 500, "PO-7", user="olle@vendor.example")
        assert (again.status_code, again.json()["code"]) == (409, "duplicate_reference")
        assert grant(box, -5, "PO-8").status_code == 422
        assert grant(box, 1.5, "PO-8").status_code == 422
        assert grant(box, 0, "PO-8").status_code == 422
        admin = grant(box, 5, "PO-8", user="ada@acme.example")
        assert (admin.status_code, admin.json()["code"]) == (403, "permission_denied")
        plain = httpx.post(
            f"{box.ats.http.base_url}{org('grants')}",
            json={"amount": 5, "reference": "PO-8"},
            headers={"authorization": f"Bearer {poor}"},
            trust_env=False,
        )
        assert (plain.status_code, plain.json()["code"]) == (403, "scope_missing")


@pytest.mark.requirement("S17")
def test_a_second_approver_must_be_somebody_else(box: Box) -> None:
    assert box.ats.http.put(org("grants/policy"), json={"two_approvers": True, "user": "ada@acme.example"}).status_code == 403
    assert box.ats.http.put(org("grants/policy"), json={"two_approvers": True}).status_code == 200
    before = box.ats.credits()
    asked = grant(box, 40, "PO-20", user="olle@vendor.example")
    assert (asked.status_code, asked.json()["state"], box.ats.credits()) == (202, "waiting", before)
    assert grant(box, 40, "PO-20").json()["code"] == "duplicate_reference"
    path = org(f"grants/{asked.json()['id']}/approve")
    same = box.ats.post(path, {"user": "olle@vendor.example"})
    assert (same.status_code, same.json()["code"], box.ats.credits()) == (403, "second_approver_required", before)
    assert [each["reference"] for each in box.ats.get(org("grants"))["waiting"]] == ["PO-20"]
    other = box.ats.post(path, {"user": "oda@vendor.example"})
    assert (other.status_code, other.json()["state"], box.ats.credits()[0]) == (200, "granted", before[0] + 40)
    assert box.ats.post(path, {"user": "oda@vendor.example"}).json()["code"] == "grant_decided"
    assert box.ats.http.put(org("grants/policy"), json={"two_approvers": False}).status_code == 200


@pytest.mark.requirement("S17")
def test_a_signed_voucher_counts_once_and_only_here(box: Box, tmp_path: Path, unchanged: Unchanged) -> None:
    with box.site.store.read() as view:
        organisation_id = str(view.value("SELECT id FROM organisation WHERE ref = 'acme'"))
    public = box.site.ringpost("credit", "voucher-key", "--private", str(tmp_path / "vendor.key")).strip()
    assert (tmp_path / "vendor.key").stat().st_mode & 0o077 == 0
    early = box.ats.post(org("vouchers"), {"voucher": "RPV1.a.b"})
    assert (early.status_code, early.json()["code"]) == (409, "no_voucher_key")
    box.site.ringpost("credit", "voucher-trust", public)
    made = ["credit", "voucher-sign", "25", "--key", str(tmp_path / "vendor.key"), "--for"]
    voucher = box.site.ringpost(*made, organisation_id).strip()
    assert "25 credits" in box.site.ringpost("credit", "voucher-verify", voucher)
    secret = (tmp_path / "vendor.key").read_text().strip()
    head, body, signature = voucher.split(".")
    cases = {
        voucher[:-4] + "AAAA": "voucher_invalid",
        f"{head}.{body[:-2]}AA.{signature}": "voucher_invalid",
        sign(new_keys()[0], organisation_id, 25, box.now()): "voucher_invalid",
        box.site.ringpost(*made, "org_of_somebody_else").strip(): "voucher_for_other",
        sign(secret, organisation_id, 25, 0, expires_at=1): "voucher_expired",
        "å": "voucher_invalid",
    }
    with unchanged():
        for text, code in cases.items():
            answer = box.ats.post(org("vouchers"), {"voucher": text})
            assert answer.json()["code"] == code, text
        wrong = box.ats.post(org("vouchers"), {"voucher": voucher, "user": "eva@acme.example"})
        assert wrong.json()["code"] == "permission_denied"
    before = box.ats.credits()[0]
    done = box.ats.post(org("vouchers"), {"voucher": voucher, "user": "ada@acme.example"})
    assert (done.status_code, done.json()["available"]) == (201, before + 25)
    with unchanged():
        again = box.ats.post(org("vouchers"), {"voucher": voucher})
        assert (again.status_code, again.json()["code"]) == (409, "voucher_redeemed")


@pytest.mark.requirement("S15")
def test_only_holders_of_the_right_see_the_credits(box: Box) -> None:
    for path in ("credits", "ledger", "rates", "allowances"):
        assert box.ats.http.get(org(path), params={"user": "ada@acme.example"}).status_code == 200
        refused = box.ats.http.get(org(path), params={"user": "eva@acme.example"})
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied"), path
    shown = box.ats.get(org("credits"))
    assert {"available", "reserved"} <= set(shown)


@pytest.mark.requirement("S7")
def test_price_is_fixed_when_a_message_is_accepted(box: Box) -> None:
    kim = box.someone()
    box.ats.accepted(kim, "Hej")
    assert box.ats.http.put(org("rates/SE"), json={"price": 3, "user": "ada@acme.example"}).status_code == 403
    waits = box.ats.accepted(kim, "a" * 161, send_at=box.moment(60))
    assert box.ats.http.put(org("rates/SE"), json={"price": 3}).status_code == 200
    dear = box.ats.accepted(kim, "a" * 161, send_at=box.moment(60))
    assert box.ats.http.put(org("rates/SE"), json={"price": 1}).status_code == 200
    assert (waits["credits"], dear["credits"]) == (2, 6)
    box.advance(61)
    for message in (waits, dear):
        box.ats.until_state(message["id"], "delivered")
    charged = {entry["message_id"]: entry["charged"] for entry in box.ats.ledger() if entry["kind"] == "settle"}
    assert (charged[waits["id"]], charged[dear["id"]]) == (2, 6)


@pytest.mark.requirement("S16")
def test_each_threshold_is_told_once_until_the_next_grant_and_empty_credits_block(box: Box) -> None:
    grant(box, 100, "PO-arm")
    start = low(box)
    full = box.ats.credits()[0]
    fifth = full // 5
    spend(box, fifth + 1)
    assert low(box) == start
    spend(box, fifth)
    assert low(box) == [*start, 20]
    spend(box, full * 5 // 100 + 1)
    assert low(box) == [*start, 20]
    spend(box, full * 5 // 100)
    spend(box, 1)
    assert low(box) == [*start, 20, 5]
    spend(box, 0)
    assert low(box) == [*start, 20, 5, 0]
    kim = box.someone()
    refused = box.ats.submit(kim, "Hej")
    told = refused.json()
    assert (refused.status_code, told["code"], told["ask"][0]["name"]) == (402, "insufficient_credits", "Ada Admin")
    assert "Ada Admin" in told["detail"]
    assert not {"available", "balance"} & set(told)


@pytest.mark.requirement("S16")
def test_a_stop_at_balance_zero_is_confirmed_at_cost_zero(box: Box) -> None:
    assert box.ats.credits()[0] == 0
    kim = box.someone()
    box.stick.control.deliver(kim.phone, "STOP")
    until(lambda: box.on_air(kim.phone), about="the STOP is confirmed")
    until(lambda: box.ats.consent_status(kim.ref) == "revoked")
    with box.site.store.read() as view:
        entry = view.one(
            "SELECT l.amount, l.charged, l.parts FROM ledger l JOIN message m ON m.id = l.message_id"
            " WHERE m.origin = 'keyword_reply' AND m.address = ? AND l.kind = 'settle'",
            kim.phone,
        )
    assert entry is not None
    assert (entry["amount"], entry["charged"], entry["parts"]) == (0, 0, 1)
    assert box.ats.credits()[0] == 0


@pytest.mark.requirement("S4")
def test_of_two_sends_for_one_credit_exactly_one_goes(box: Box) -> None:
    kim, ida = box.someone(), box.someone()
    grant(box, 200, "PO-race")
    for each in (kim, ida):
        box.ats.accepted(each, "Hej")  # what introduces us has been paid
    spend(box, 1)
    together, answers = threading.Barrier(2), []

    def send(ref: str) -> None:
        together.wait()
        answers.append(box.ats.submit(ref, "Hej").status_code)

    threads = [threading.Thread(target=send, args=(each.ref,)) for each in (kim, ida)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [202, 402]
    assert box.ats.credits()[0] == 0


@pytest.mark.requirement("S4")
def test_what_never_reached_the_network_is_refunded(box: Box) -> None:
    grant(box, 10, "PO-refund")
    kim = box.someone()
    before = box.ats.credits()[0]
    waits = box.ats.accepted(kim, "Hej", send_at=box.moment(3600))
    assert box.ats.credits()[0] < before
    box.ats.cancel(waits["id"])
    assert box.ats.credits()[0] == before


def test_an_allowance_bounds_a_unit_and_its_rest_is_carried_over(box: Box, unchanged: Unchanged) -> None:
    grant(box, 500, "PO-allowance")
    kim = box.someone()
    box.ats.accepted(kim, "Hej")
    used = sum(
        -entry["amount"] for entry in box.ats.ledger() if entry["kind"] in ("reserve", "refund") and entry["month"] >= "2026"
    )
    denied = box.ats.http.put(org("allowances/acme%2Fse"), json={"monthly": 5, "user": "eva@acme.example"})
    assert denied.json()["code"] == "permission_denied"
    put = box.ats.http.put(org("allowances/acme%2Fse"), json={"monthly": used + 3, "carry_over": 2, "user": "ada@acme.example"})
    assert (put.status_code, put.json()["used"], put.json()["left"]) == (200, used, 3), put.text
    waits = box.ats.accepted(kim, "a" * 161, send_at=box.moment(3600))
    quiet(box)
    with unchanged():
        refused = box.ats.submit(kim, "a" * 161)
        assert (refused.status_code, refused.json()["code"]) == (402, "allowance_exceeded")
        assert refused.json()["unit"] == "acme/se"
        assert "left" not in refused.json()
    box.ats.cancel(waits["id"])
    assert box.ats.get(org("allowances"))["data"][0]["left"] == 3
    assert box.ats.http.delete(org("allowances/acme%2Fse")).status_code == 204
    assert box.ats.http.delete(org("allowances/acme%2Fse")).json()["code"] == "allowance_not_found"


def test_the_chargeback_sums_to_the_ledger_and_runs_no_formula(box: Box) -> None:
    kim = box.someone()
    sent = box.ats.accepted(kim, "Hej", case_ref="job-8")
    box.ats.until_state(sent["id"], "sent", "delivered")
    month = max(entry["month"] for entry in box.ats.ledger())
    asked = {"from": "2026-01", "to": month}
    found = box.ats.get("/api/v1/reports/chargeback", **asked)
    assert found["total"]["credits"] == sum(entry["charged"] for entry in box.ats.ledger())
    assert {row["team"] for row in found["rows"]} >= {"acme/se"}
    text = box.ats.http.get("/api/v1/reports/chargeback", params={**asked, "format": "csv"})
    assert text.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(text.text)))
    assert "'=Welder" in {row["case_title"] for row in rows}
    assert box.ats.http.get("/api/v1/reports/chargeback", params={"from": "2026-05", "to": "2026-04"}).status_code == 422
    assert box.site.ringpost("credit", "verify").strip() == "Every balance is the sum of its ledger."
