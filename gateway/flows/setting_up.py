"""The first-run wizard: the one-time code from the console, the first account, and what is still to do (design.md §5, §7).

A box is fresh while nobody can sign in. Whoever reads the console of the box gets a code there; whoever types it on the page
makes the first account, administrator and operator in one. An organisation made by the wizard is marked as not ready: nothing
leaves until `finish`. One that `init`, `apply` or the demo made never carries that mark.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Collection
from typing import Any, Final

from gateway.errors import Refused
from gateway.flows import countries, sign_in
from gateway.flows.facts import SETUP_PENDING
from gateway.flows.own_texts import put_setting
from gateway.flows.rights import Acting
from gateway.flows.sign_in import Account, SignedIn, TurnedAway
from gateway.rules.permissions import SETTINGS_EDIT
from gateway.store import setup
from gateway.store.database import Database, Transaction, View, compact

CODE_FOR_MS: Final = 24 * 3_600_000
HOLDER_FOR_MS: Final = 60 * 60_000
"""So long whoever typed the code may take for the first account."""
ANOTHERS_MS: Final = 120_000
"""Gateway and web start together: the second of them must not print a code that makes the first one's void."""
NOTED: Final = ("organisation", "zone", "credits", "key", "backup")
"""Steps that a person says are done; the others show by themselves."""
_CODE, _HOLDER = "setup.code", "setup.holder"
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_SUBJECT = hashlib.sha256(b"setup").hexdigest()
"""Under what wrong codes are counted, like wrong passwords of an account."""


# --- the code on the console -----------------------------------------------------------------------------------------


def is_fresh(view: View) -> bool:
    """Whether nobody can sign in yet."""
    return view.one("SELECT 1 AS yes FROM app_user WHERE password_hash IS NOT NULL LIMIT 1") is None


def new_code(tx: Transaction, actor: str, now: int) -> str:
    """A fresh code; one made before is void. Raises Refused `set_up_already` once somebody can sign in."""
    if not is_fresh(tx):
        text = "Somebody can sign in here already. `ringpost user password EMAIL` sets a new password."
        raise Refused("set_up_already", 409, text)
    code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))
    put_setting(tx, _CODE, compact({"hash": _hash(code), "made_at": now}))
    tx.execute("DELETE FROM login_failure WHERE email_hash = ?", _SUBJECT)
    tx.audit(now, actor, "setup.code", "setup")
    return code


def announce(database: Database, actor: str, now: int) -> str | None:
    """A code to print at a start; None where nobody needs one, or another process has printed one just now."""
    with database.read() as view:
        if not is_fresh(view):
            return None
        made_at = _kept(view, _CODE).get("made_at")
    if made_at is not None and 0 <= now - made_at < ANOTHERS_MS:
        return None
    with database.write() as tx:
        return new_code(tx, actor, now)


def on_the_console(code: str, url: str) -> str:
    """What is printed."""
    line = "-" * 72
    return (
        f"{line}\nThis box is not set up yet. Open  {url}/setup  and type this code:\n\n"
        f"    {code}\n\nIt works once, for a day. `ringpost setup-code` prints a new one.\n{line}"
    )


def unlock(tx: Transaction, code: str, address: str, now: int) -> str | TurnedAway:
    """Take the code; a token for whoever typed it. Wrong ones are throttled like passwords. Raises Refused `set_up_already`."""
    if not is_fresh(tx):
        raise Refused("set_up_already", 409, "This box is set up. Sign in instead.")
    before = sign_in.locked_until(tx, _SUBJECT, address, now)
    if before is not None:
        return TurnedAway(before)
    kept = _kept(tx, _CODE)
    is_live = 0 <= now - int(kept.get("made_at", -CODE_FOR_MS)) < CODE_FOR_MS
    if not hmac.compare_digest(str(kept.get("hash", "")), _hash(code)) or not is_live:
        return sign_in.turn_away(tx, Account(_SUBJECT, None, None), "setup_code", address, now)
    token = secrets.token_urlsafe(32)
    tx.execute("DELETE FROM setting WHERE name = ?", _CODE)
    tx.execute("DELETE FROM login_failure WHERE email_hash = ?", _SUBJECT)
    put_setting(tx, _HOLDER, compact({"hash": sign_in.session_name(token), "until": now + HOLDER_FOR_MS}))
    tx.audit(now, "web:anonymous", "setup.unlock", "setup", private=address)
    return token


def is_holder(view: View, token: str, now: int) -> bool:
    """Whether this token is of whoever typed the code."""
    kept = _kept(view, _HOLDER)
    return bool(token) and hmac.compare_digest(str(kept.get("hash", "")), sign_in.session_name(token)) and now < kept["until"]


def make_admin(
    tx: Transaction, token: str, *, name: str, email: str, password_hash: str, language: str, address: str, now: int
) -> SignedIn:
    """The first account, signed in at once. Raises Refused `setup_code_missing`, `set_up_already`, `invalid_email`."""
    if not is_fresh(tx):
        raise Refused("set_up_already", 409, "This box is set up. Sign in instead.")
    if not is_holder(tx, token, now):
        raise Refused("setup_code_missing", 403, "Type the code from the console first.")
    if not setup.roots(tx):
        setup.create_organisation(tx, ref=setup.FIRST_REF, name="My organisation", language=language, actor="web:setup", now=now)
        put_setting(tx, SETUP_PENDING, compact({"noted": []}))
        tx.memo.clear()
    organisation_id = setup.the_organisation(tx, None)["id"]
    user_id = _account(tx, organisation_id, name, email, password_hash, now)
    tx.execute("DELETE FROM setting WHERE name IN (?, ?)", _CODE, _HOLDER)
    return SignedIn(sign_in.open_session(tx, user_id, address, now), user_id)


def _account(tx: Transaction, organisation_id: str, name: str, email: str, password_hash: str, now: int) -> str:
    """A new person, or one that `apply` made without a password."""
    roles, address = ("admin", "operator"), email.strip().lower()
    known = tx.one("SELECT * FROM app_user WHERE email = ? AND organisation_id = ?", address, organisation_id)
    if known is None:
        return setup.create_user(
            tx, organisation_id, email=email, name=name, roles=roles, password_hash=password_hash, actor="web:setup", now=now
        )
    both = sorted({*json.loads(known["roles"]), *roles})
    setup.change_user(tx, known, name=name, roles=both, active=True, actor="web:setup", now=now)
    setup.set_password(tx, known, password_hash, "web:setup", now)
    return str(known["id"])


# --- what is still to do ---------------------------------------------------------------------------------------------


def is_pending(view: View) -> bool:
    """Whether the wizard was begun and not finished: nothing leaves meanwhile."""
    return view.one("SELECT 1 AS yes FROM setting WHERE name = ?", SETUP_PENDING) is not None


def noted(view: View) -> frozenset[str]:
    """The steps that a person has said are done."""
    return frozenset(_kept(view, SETUP_PENDING).get("noted", ()))


def note(tx: Transaction, who: Acting, step: str, now: int) -> None:
    """A step is done, says a person."""
    who.require(tx, SETTINGS_EDIT)
    done = noted(tx)
    if is_pending(tx) and step in NOTED and step not in done:
        put_setting(tx, SETUP_PENDING, compact({"noted": sorted({*done, step})}))
        tx.audit(now, who.actor, "config.change", who.organisation_id, {"setup": step, **who.told})


def finish(tx: Transaction, who: Acting, missing: Collection[str], now: int) -> None:
    """Let messages leave from now on. `missing` are steps not done. Raises Refused `steps_missing`, `setup_incomplete`."""
    if missing:
        text = "Some steps are not done yet."
        raise Refused("steps_missing", 422, text, facts={"steps": sorted(missing)})
    countries.finish_setup(tx, who, now)


def _kept(view: View, name: str) -> dict[str, Any]:
    found = view.value("SELECT value FROM setting WHERE name = ?", name)
    return {} if found is None else dict(json.loads(found))


def _hash(code: str) -> str:
    plain = "".join(sign for sign in code.upper() if sign.isalnum())
    return hashlib.sha256(f"setup {plain}".encode()).hexdigest()
