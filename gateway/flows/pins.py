"""PINs of SIM cards given on a page: sealed for the gateway's own key, tried once, never blindly (modems.md §5).

A card has three tries, then it is dead until its PUK is typed into a phone. So: a PIN is bound to the card it was typed for, the
mark that it is tried is on disk before it is written to the modem, fewer than three tries left need a person who has seen that
number, and the last one is never ours.
"""

from typing import Final

from gateway import keys
from gateway.errors import Refused
from gateway.flows import stations
from gateway.store.database import Row, Transaction, View

ALL_TRIES: Final = 3
LOCKED: Final = ("pin_required", "pin_withheld", "pin_refused")
"""What a SIM card suffers from that a PIN cures."""


def is_locked(modem: Row) -> bool:
    """Whether this modem's card waits for a PIN."""
    return bool(modem["state"] == "sim" and modem["reason"].partition(":")[0] in LOCKED)


def may_be_given(view: View, modem: Row) -> str | None:
    """What stands against typing a PIN now, as a code (`not_locked`, `no_card`, `no_key`, `last_try`, `waiting`), or None."""
    iccid = modem["locked_iccid"]
    if not is_locked(modem):
        return "not_locked"
    if not iccid:
        return "no_card"
    if view.value("SELECT pin_key FROM gateway WHERE name = ?", modem["gateway"]) is None:
        return "no_key"
    before = view.one("SELECT * FROM sim_pin WHERE iccid = ?", iccid)
    if before is not None and before["tried_at"] is None:
        return "waiting"
    tries = modem["pin_tries"]
    refused_once = before is not None and stations.sim_memory(view, iccid).pin_refused
    if (tries is not None and tries < 2) or (tries is None and refused_once):
        return "last_try"
    return None


_WHY = {
    "not_locked": "No SIM card in this modem waits for a PIN.",
    "no_card": "The modem does not tell which card this is. Put the card into a phone and switch its PIN off.",
    "no_key": "The gateway has not started since this version was installed. Start it, then try again.",
    "last_try": "Too few attempts are left. Put the card into a phone, enter the PIN there, and switch it off.",
    "waiting": "A PIN was given a moment ago and is being tried.",
}


def give(tx: Transaction, modem: Row, pin: str, actor: str, now: int) -> None:
    """Keep a PIN for the card in this modem; its gateway tries it once. Raises Refused `invalid_pin`, `pin_not_wanted`."""
    if not (pin.isascii() and pin.isdigit() and 4 <= len(pin) <= 8):
        raise Refused("invalid_pin", 422, "A PIN has 4 to 8 digits.", field="pin")
    against = may_be_given(tx, modem)
    if against is not None:
        raise Refused("pin_not_wanted", 409, _WHY[against], field="pin", facts={"why": against})
    public = tx.value("SELECT pin_key FROM gateway WHERE name = ?", modem["gateway"])
    iccid = modem["locked_iccid"]
    tx.execute(
        "INSERT INTO sim_pin (iccid, gateway, sealed, tries_seen, actor, given_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (iccid) DO UPDATE SET gateway = excluded.gateway, sealed = excluded.sealed,"
        " tries_seen = excluded.tries_seen, actor = excluded.actor, given_at = excluded.given_at, tried_at = NULL",
        iccid,
        modem["gateway"],
        keys.seal_for(str(public), pin),
        modem["pin_tries"],
        actor,
        now,
    )
    stations.sim_seen(tx, iccid, "", now)
    stations.remember_sim(tx, iccid, pin_refused=0)  # the person has lifted the mark
    tx.audit(now, actor, "modem.pin", modem["id"], {"iccid_tail": iccid[-4:], "tries_left": modem["pin_tries"]})
    tx.wake = True


def sealed_for(view: View, iccid: str, gateway: str) -> str | None:
    """The sealed PIN of a card, where one was given for this gateway."""
    found = view.value("SELECT sealed FROM sim_pin WHERE iccid = ? AND gateway = ?", iccid, gateway)
    return None if found is None else str(found)


def is_fresh(view: View, iccid: str) -> bool:
    """Whether somebody has given a PIN for this card that nobody has tried yet."""
    return view.one("SELECT 1 AS yes FROM sim_pin WHERE iccid = ? AND tried_at IS NULL", iccid) is not None


def allow(tx: Transaction, iccid: str, tries_left: int | None, now: int) -> bool:
    """Whether the card's PIN may be written to the modem now; where it may, the mark is set with this transaction."""
    given = tx.one("SELECT * FROM sim_pin WHERE iccid = ? AND tried_at IS NULL", iccid)
    if tries_left is not None and tries_left < ALL_TRIES:
        knowing = given is not None and given["tries_seen"] == tries_left
        if tries_left < 2 or not knowing:
            return False
    stations.sim_seen(tx, iccid, "", now)
    if stations.sim_memory(tx, iccid).pin_refused:
        return False
    stations.remember_sim(tx, iccid, pin_refused=1)
    tx.execute("UPDATE sim_pin SET tried_at = ? WHERE iccid = ? AND tried_at IS NULL", now, iccid)
    return True
