"""The second step of signing in: an authenticator app (RFC 6238) and ten recovery codes, for whoever wants it.

The secret lies sealed with the box's key (gateway/keys.py), recovery codes as SHA-256. A code of the app counts once, a recovery
code too. Wrong codes count as failed logins, so that guessing is throttled together with passwords.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway import keys
from gateway.errors import Refused
from gateway.flows import people, sign_in
from gateway.flows.rights import Acting
from gateway.flows.sign_in import Account, SignedIn, TurnedAway, Viewer
from gateway.rules import totp
from gateway.store.database import Row, Transaction, View

PROPOSAL_MS: Final = 15 * 60_000
"""So long a shown secret may wait for its first code."""
RECOVERY_CODES: Final = 10
FEW_LEFT: Final = 3
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Nothing that looks like another: no 0 and o, no 1, i and l."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A secret that nobody uses yet; `ticket` is the same, sealed, for the form to bring back."""

    secret: str
    address: str
    ticket: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether somebody uses it, since when, and how many recovery codes are left."""

    since: int | None
    codes_left: int

    @property
    def is_on(self) -> bool:
        """Whether a code is asked for at login."""
        return self.since is not None

    @property
    def runs_low(self) -> bool:
        """Whether it is time for fresh recovery codes."""
        return self.is_on and self.codes_left <= FEW_LEFT


def standing(view: View, user_id: str) -> Standing:
    """How it stands with somebody."""
    since = view.value("SELECT totp_since FROM app_user WHERE id = ?", user_id)
    left = view.value("SELECT COUNT(*) AS n FROM recovery_code WHERE user_id = ? AND used_at IS NULL", user_id)
    return Standing(since, int(left or 0))


# --- switching it on and off -----------------------------------------------------------------------------------------


def propose(seal: bytes, viewer: Viewer, now: int) -> Proposal:
    """A fresh secret to be scanned; nothing is stored before its first code was typed."""
    secret = secrets.token_bytes(totp.SECRET_BYTES)
    return _proposal(seal, viewer, secret, now)


def _proposal(seal: bytes, viewer: Viewer, secret: bytes, at: int) -> Proposal:
    ticket = keys.seal(seal, json.dumps([viewer.user_id, totp.base32(secret), at]))
    issuer = f"Ringpost {viewer.organisation}"
    return Proposal(totp.base32(secret), totp.address(secret, viewer.email, issuer), ticket)


def again(seal: bytes, viewer: Viewer, ticket: str, now: int) -> Proposal:
    """The same proposal once more, for a form with a wrong code in it. Raises Refused `proposal_over`."""
    secret, at = _opened(seal, viewer, ticket, now)
    return _proposal(seal, viewer, secret, at)


def _opened(seal: bytes, viewer: Viewer, ticket: str, now: int) -> tuple[bytes, int]:
    try:
        user_id, text, at = json.loads(keys.unseal(seal, ticket))
    except (keys.NotSealedHere, ValueError):
        user_id, text, at = "", "", 0
    if user_id != viewer.user_id or not 0 <= now - at <= PROPOSAL_MS:
        raise Refused("proposal_over", 409, "This picture is too old: start again with a fresh one.", field="code")
    return totp.from_base32(text), at


def switch_on(tx: Transaction, seal: bytes, viewer: Viewer, ticket: str, code: str, now: int) -> list[str]:
    """Ask for codes from now on; the recovery codes, shown once. Raises Refused `proposal_over`, `wrong_code`."""
    secret, _ = _opened(seal, viewer, ticket, now)
    step = totp.step_of(secret, code, now, 0)
    if step is None:
        text = "This is not the code that the app shows now. Is the phone's clock right?"
        raise Refused("wrong_code", 422, text, field="code")
    tx.execute(
        "UPDATE app_user SET totp_sealed = ?, totp_since = ?, totp_step = ?, version = version + 1 WHERE id = ?",
        keys.seal(seal, totp.base32(secret)),
        now,
        step,
        viewer.user_id,
    )
    ended = sign_in.revoke(tx, viewer.user_id, keep=viewer.session)
    tx.audit(now, viewer.actor, "auth.second_step_on", viewer.user_id, {"sessions_ended": ended})
    return _make_codes(tx, viewer.user_id)


def fresh_codes(tx: Transaction, viewer: Viewer, account: Account, right: bool, address: str, now: int) -> TurnedAway | list[str]:
    """Ten new recovery codes, for which the old ones are void; asks for the password (`right`: it was)."""
    turned = sign_in.check_again(tx, account, right, address, now)
    if turned is not None:
        return turned
    tx.audit(now, viewer.actor, "auth.recovery_codes", viewer.user_id)
    return _make_codes(tx, viewer.user_id)


def switch_off(tx: Transaction, viewer: Viewer, account: Account, right: bool, address: str, now: int) -> TurnedAway | None:
    """Ask for no more codes; asks for the password (`right`: it was)."""
    turned = sign_in.check_again(tx, account, right, address, now)
    if turned is None:
        _forget(tx, viewer.user_id)
        tx.audit(now, viewer.actor, "auth.second_step_off", viewer.user_id)
    return turned


def reset(tx: Transaction, by: Acting, user: str, now: int) -> Row:
    """Take somebody's second step away (phone lost), and sign them out everywhere; the person. Raises Refused."""
    row = people.locked_user(tx, by.organisation_id, user)
    people.check_may_become(tx, by, row)
    _forget(tx, row["id"])
    sign_in.revoke(tx, row["id"])
    tx.audit(now, by.actor, "auth.second_step_reset", row["id"], by.told)
    return row


def _forget(tx: Transaction, user_id: str) -> None:
    tx.execute(
        "UPDATE app_user SET totp_sealed = NULL, totp_since = NULL, totp_step = 0, version = version + 1 WHERE id = ?", user_id
    )
    tx.execute("DELETE FROM recovery_code WHERE user_id = ?", user_id)
    tx.execute("DELETE FROM second_step WHERE user_id = ?", user_id)


def _make_codes(tx: Transaction, user_id: str) -> list[str]:
    tx.execute("DELETE FROM recovery_code WHERE user_id = ?", user_id)
    made = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(RECOVERY_CODES)]
    for code in made:
        tx.execute("INSERT INTO recovery_code (user_id, code_hash) VALUES (?, ?)", user_id, _hash(user_id, code))
    return [f"{code[:5]}-{code[5:]}" for code in made]


def _hash(user_id: str, code: str) -> str:
    plain = "".join(sign for sign in code.lower() if sign.isalnum())
    return hashlib.sha256(f"{user_id} {plain}".encode()).hexdigest()


# --- at login --------------------------------------------------------------------------------------------------------


def holder(view: View, token: str, address: str, now: int) -> tuple[Row, Account] | None:
    """Whose second step this is, and whether they are locked out; None where it has run out."""
    row = view.one(
        "SELECT s.created_at, u.* FROM second_step s JOIN app_user u ON u.id = s.user_id WHERE s.token_hash = ?",
        sign_in.session_name(token),
    )
    if row is None or not row["active"] or row["totp_sealed"] is None or now - row["created_at"] > sign_in.HALF_WAY_MS:
        return None
    return row, sign_in.look_up(view, row["email"], address, now)


def finish(tx: Transaction, seal: bytes, token: str, code: str, address: str, now: int) -> SignedIn | TurnedAway | None:
    """Take the code of a second step; None where the step has run out and the password is wanted again."""
    found = holder(tx, token, address, now)
    if found is None:
        return None
    row, account = found
    if account.retry_at is not None:
        return TurnedAway(account.retry_at)
    tx.one("SELECT id FROM app_user WHERE id = ?" + tx.for_update, row["id"])
    way = _way(tx, seal, row, code, now)
    if way is None:
        return sign_in.turn_away(tx, account, "code", address, now)
    tx.execute("DELETE FROM second_step WHERE user_id = ?", row["id"])
    return sign_in.admit(tx, row["id"], account.email_hash, address, now, {"second_step": way})


def _way(tx: Transaction, seal: bytes, row: Mapping[str, Any], code: str, now: int) -> str | None:
    """How the code was right: from the app, or a recovery code; both are used up by it."""
    secret = totp.from_base32(keys.unseal(seal, row["totp_sealed"]))
    step = totp.step_of(secret, code, now, row["totp_step"])
    if step is not None:
        taken = tx.execute("UPDATE app_user SET totp_step = ? WHERE id = ? AND totp_step < ?", step, row["id"], step)
        return "app" if taken else None
    used = tx.execute(
        "UPDATE recovery_code SET used_at = ? WHERE user_id = ? AND code_hash = ? AND used_at IS NULL",
        now,
        row["id"],
        _hash(row["id"], code),
    )
    return "recovery_code" if used else None
