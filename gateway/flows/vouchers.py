"""Vouchers: credits as a signed text, for a box that its vendor cannot reach. Signed with Ed25519, redeemed once.

A voucher names the one organisation (its id) that it is for. The vendor keeps the private key; the box knows the public one
(setting `voucher.public_key`). Form: `RPV1.` payload `.` signature, both in URL-safe base64 without padding.
"""

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows import credits
from gateway.store.database import Transaction, View, compact

PREFIX = "RPV1"
SETTING = "voucher.public_key"
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Voucher:
    """What a voucher says; times in ms UTC."""

    id: str
    organisation_id: str
    amount: int
    issued_at: int
    expires_at: int | None


def new_keys() -> tuple[str, str]:
    """A fresh pair: private and public key, both in URL-safe base64."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    return _write(key.private_bytes_raw()), _write(key.public_key().public_bytes_raw())


def sign(private_key: str, organisation_id: str, amount: int, now: int, *, expires_at: int | None = None) -> str:
    """A voucher as text. Raises Refused `invalid_amount`, `invalid_key`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= credits.MOST:
        raise Refused("invalid_amount", 422, "Credits come in whole numbers from 1 to 1,000,000,000.", field="amount")
    try:
        key = Ed25519PrivateKey.from_private_bytes(_read(private_key))
    except ValueError:
        raise Refused("invalid_key", 422, "This is no private key of voucher-key.", field="key") from None
    payload = {"id": secrets.token_hex(12), "for": organisation_id, "amount": amount, "at": now, "until": expires_at}
    body = _write(compact(payload).encode())
    return f"{PREFIX}.{body}.{_write(key.sign(f'{PREFIX}.{body}'.encode()))}"


def trust(tx: Transaction, public_key: str, actor: str, now: int) -> None:
    """Make this the key whose vouchers count. Raises Refused `invalid_key`."""
    _public(public_key)
    tx.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        SETTING,
        public_key,
    )
    tx.audit(now, actor, "config.change", "setting", {"setting": SETTING, "to": public_key})


def read(view: View, text: str) -> Voucher:
    """The voucher behind a text, its signature checked. Raises Refused `no_voucher_key` or `voucher_invalid`."""
    from cryptography.exceptions import InvalidSignature

    public_key = view.value("SELECT value FROM setting WHERE name = ?", SETTING)
    if public_key is None:
        cure = "This box trusts no voucher key yet: `ringpost credit voucher-trust PUBLIC_KEY`."
        raise Refused("no_voucher_key", 409, cure, field="voucher")
    prefix, _, rest = text.strip().partition(".")
    body, _, signature = rest.partition(".")
    try:
        if prefix != PREFIX or len(text) > LONGEST:
            raise ValueError(prefix)
        _public(str(public_key)).verify(_read(signature), f"{prefix}.{body}".encode())
        found: dict[str, Any] = json.loads(_read(body))
        return Voucher(found["id"], found["for"], found["amount"], found["at"], found["until"])
    except (ValueError, KeyError, TypeError, InvalidSignature):
        raise Refused("voucher_invalid", 422, "This is no voucher, or not one of our vendor's.", field="voucher") from None


def redeem(tx: Transaction, organisation_id: str, text: str, actor: str, now: int) -> tuple[Voucher, credits.Balance]:
    """Add a voucher's credits. Raises Refused `voucher_for_other`, `voucher_expired`, `voucher_redeemed`, or as `read`."""
    voucher = read(tx, text)
    if voucher.organisation_id != organisation_id:
        raise Refused("voucher_for_other", 409, "This voucher was made for another organisation.", field="voucher")
    if voucher.expires_at is not None and voucher.expires_at <= now:
        raise Refused("voucher_expired", 409, "This voucher has expired.", field="voucher")
    try:
        balance = credits.grant(tx, organisation_id, voucher.amount, f"voucher:{voucher.id}", "", actor, now)
    except Refused as refused:
        if refused.code == "duplicate_reference":
            raise Refused("voucher_redeemed", 409, "This voucher has been redeemed already.", field="voucher") from None
        raise
    return voucher, balance


def _public(text: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return Ed25519PublicKey.from_public_bytes(_read(text))
    except ValueError:
        raise Refused("invalid_key", 422, "This is no public key of voucher-key.", field="key") from None


def _write(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _read(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("not base64")
    return base64.b64decode(text.strip() + "=" * (-len(text.strip()) % 4), altchars=b"-_", validate=True)
