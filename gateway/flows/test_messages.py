"""Test messages: outside consent and credits, and therefore only to telephones of the staff (design.md §3.2).

A number becomes one of the staff's by a code that the first test message carries: who types it has the telephone in hand. Until
then at most three codes a day leave for a number, so that nobody is pestered by tests.
"""

import hashlib
import hmac
import secrets
from typing import Final

from gateway.errors import Refused
from gateway.flows.accept import VALID_FOR_MS
from gateway.flows.candidates import phone_hash
from gateway.flows.facts import is_suppressed, organisation
from gateway.flows.message_rows import insert_own
from gateway.flows.rights import Acting
from gateway.rules.numbers import normalise
from gateway.rules.permissions import MODEMS_OPERATE
from gateway.store import ids
from gateway.store.database import Row, Transaction, View

TEXT: Final = "{company}: test message from {modem}. It works."
TEXT_WITH_CODE: Final = "{company}: test message from {modem}. Code: {code}"
CODE_FOR_MS: Final = 30 * 60_000
CODES_A_DAY: Final = 3
TRIES: Final = 5
_DAY_MS: Final = 86_400_000


def queue(tx: Transaction, org: Row, sender: Row, number: str, country: str, text: str, now: int) -> str:
    """Put a test message into the queue, past consent and credits; its id. Whoever calls has seen to it that it may go there."""
    message_id, _ = insert_own(
        tx,
        organisation_id=org["id"],
        candidate_id=None,
        text=text,
        address=number,
        now=now,
        origin="test",
        kind="test",
        seq=0,
        country=country,
        sender_id=sender["id"],
        valid_until=now + VALID_FOR_MS,
    )
    return message_id


def send(tx: Transaction, who: Acting, modem: Row, number: str, phone_key: bytes, now: int) -> str:
    """Send a test message through one modem's card; its id. An unknown number gets a code with it, to be typed by `confirm`.

    `phone_key` is the key of numbers' hashes, by which a STOP is found. Raises Refused `permission_denied`, `invalid_number`,
    `no_sender_number`, `number_has_stopped`, `too_many_codes`.
    """
    who.require(tx, MODEMS_OPERATE)
    found = normalise(number, None)
    if found.state != "ok" or found.e164 is None or found.country is None:
        text = "Enter a mobile number in international form, such as +46 70 …"
        raise Refused("invalid_number", 422, text, field="number")
    org = organisation(tx, who.organisation_id)
    sender = tx.one(
        "SELECT * FROM sender WHERE iccid = ? AND organisation_id = ? AND active = 1", modem["iccid"] or "none", org["id"]
    )
    if sender is None:
        raise Refused("no_sender_number", 409, "This modem's SIM card has no sender number yet.", field="number")
    if is_suppressed(tx, phone_hash(phone_key, found.e164), "sms"):
        raise Refused("number_has_stopped", 409, "This number has sent STOP. Only START from it undoes that.", field="number")
    staff, code = _staff(tx, who, found.e164, now)
    text = TEXT if code is None else TEXT_WITH_CODE
    told = text.format(company=org["name"], modem=modem["name"], code=code)
    message_id = queue(tx, org, sender, found.e164, found.country, told, now)
    tx.insert("modem_test", message_id=message_id, modem_id=modem["id"], staff_number_id=staff, created_at=now)
    tx.audit(now, who.actor, "modem.test", modem["id"], {"message_id": message_id, "confirmed": code is None, **who.told})
    return message_id


def _staff(tx: Transaction, who: Acting, number: str, now: int) -> tuple[str, str | None]:
    """The number among the staff's, and the code to send where it is not confirmed yet."""
    row = tx.one("SELECT * FROM staff_number WHERE organisation_id = ? AND number = ?", who.organisation_id, number)
    if row is not None and row["confirmed_at"] is not None:
        return row["id"], None
    if row is None:
        staff_id = ids.new("stf")
        tx.execute(
            "INSERT INTO staff_number (id, organisation_id, number, actor) VALUES (?, ?, ?, ?)",
            staff_id,
            who.organisation_id,
            number,
            who.actor,
        )
    else:
        staff_id = row["id"]
        sent = tx.value(
            "SELECT COUNT(*) AS n FROM modem_test WHERE staff_number_id = ? AND created_at > ?", staff_id, now - _DAY_MS
        )
        if int(sent or 0) >= CODES_A_DAY:
            text = "Three codes went to this number today and none was typed. Use another number, or try tomorrow."
            raise Refused("too_many_codes", 409, text, field="number")
    code = f"{secrets.randbelow(10**6):06d}"
    tx.execute("UPDATE staff_number SET code_hash = ?, code_at = ?, tries = 0 WHERE id = ?", _hash(staff_id, code), now, staff_id)
    return staff_id, code


def confirm(tx: Transaction, who: Acting, staff_id: str, code: str, now: int) -> bool:
    """Take the code that came with a test message: the number is one of the staff's from now on. False for a wrong one.

    Raises Refused `code_over` where there is none to compare with any more.
    """
    who.require(tx, MODEMS_OPERATE)
    row = tx.one("SELECT * FROM staff_number WHERE id = ? AND organisation_id = ?" + tx.for_update, staff_id, who.organisation_id)
    if row is None or row["code_hash"] is None or row["tries"] >= TRIES or now - row["code_at"] > CODE_FOR_MS:
        raise Refused("code_over", 409, "This code has run out. Send another test message.", field="code")
    right = hmac.compare_digest(row["code_hash"], _hash(staff_id, "".join(code.split())))
    if not right:
        tx.execute("UPDATE staff_number SET tries = tries + 1 WHERE id = ?", staff_id)
        return False
    tx.execute("UPDATE staff_number SET confirmed_at = ?, code_hash = NULL WHERE id = ?", now, staff_id)
    tx.audit(now, who.actor, "modem.staff_number", staff_id, {"number_tail": row["number"][-3:], **who.told})
    return True


def numbers(view: View, organisation_id: str) -> list[Row]:
    """Confirmed numbers of the staff."""
    sql = "SELECT * FROM staff_number WHERE organisation_id = ? AND confirmed_at IS NOT NULL ORDER BY confirmed_at"
    return view.all(sql, organisation_id)


def _hash(staff_id: str, code: str) -> str:
    return hashlib.sha256(f"{staff_id} {code}".encode()).hexdigest()
