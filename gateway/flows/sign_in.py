"""Signing in and out: passwords, throttling, and the sessions of the admin pages.

A password takes some 30 ms to check, so that is done between two transactions: `look_up` reads, `matches` computes,
`settle` decides and writes. `settle` counts the failures again inside its transaction, so that a burst of parallel
guesses gets no more tries than a patient guesser.

Kept: the SHA-256 of a session's token (never the token), and of the e-mail address of a failed attempt (never the
address).
"""

import hashlib
import ipaddress
import secrets
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.flows.facts import grants_of
from gateway.rules.rights import rights_at
from gateway.store.database import Row, Transaction, View
from gateway.store.setup import check_language, check_zone

IDLE_MS: Final = 30 * 60_000
"""A session nobody uses ends after this."""
ABSOLUTE_MS: Final = 12 * 3_600_000
"""Any session ends after this."""
TOUCH_MS: Final = 60_000
"""Use is noted at most this often: a page view should not cost a write."""
WINDOW_MS: Final = 15 * 60_000
"""Failed attempts older than this are forgotten; so a lockout lasts at most this long."""
TRIES_PER_EMAIL: Final = 5
TRIES_PER_ADDRESS: Final = 20
"""More than per e-mail address, because an office may stand behind one router."""
PASSWORD_LEAST: Final = 12
PASSWORD_MOST: Final = 200
"""Longer ones are refused unread: hashing a megabyte is work for an attacker to give us."""
HALF_WAY_MS: Final = 5 * 60_000
"""So long somebody whose password was right may look for their code."""
_FUTURE_MS: Final = 60_000
"""Stamps further ahead than this come from a clock that was stepped back, and do not count."""

# The defaults of argon2-cffi cost 64 MB and 150 ms a login: too much of a lever against a small box.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_kitchen = threading.BoundedSemaphore(2)
"""Two passwords at a time: 40 MB at most, however many ask."""
_decoy = ""


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person behind a session, and what they may do."""

    user_id: str
    organisation_id: str
    organisation: str
    name: str
    email: str
    zone: str
    language: str
    permissions: frozenset[str]
    session: str
    """The hash of the session's token: its name in the store."""
    seen_at: int

    @property
    def actor(self) -> str:
        """As the audit names them."""
        return f"user:{self.user_id}"

    def may(self, permission: str) -> bool:
        """Whether they have this permission."""
        return permission in self.permissions


@dataclass(frozen=True, slots=True)
class Account:
    """What `look_up` found for an e-mail address; `user` is None where there is no such person."""

    email_hash: str
    user: Row | None
    retry_at: int | None
    """Set while this e-mail address or network address is locked out: do not even check the password."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The fresh session's token, to be put into a cookie."""

    token: str
    user_id: str


@dataclass(frozen=True, slots=True)
class HalfWay:
    """The password was right, and a code is wanted now (gateway/flows/second_step.py); the token says for whom."""

    token: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Wrong, unknown or switched off (all the same to whoever asks), or locked out until `retry_at`."""

    retry_at: int | None


def hash_password(password: str) -> str:
    """The argon2id hash as stored in `app_user.password_hash`."""
    with _kitchen:
        return _hasher.hash(_normal(password))


def matches(user: Row | None, password: str) -> bool:
    """Whether this is the person's password; takes as long where nobody is, so that time tells nothing."""
    global _decoy
    kept = None if user is None else user["password_hash"]
    if len(password) > PASSWORD_MOST:
        return False
    if kept is None and not _decoy:
        _decoy = hash_password(secrets.token_hex(16))
    try:
        with _kitchen:
            right = _hasher.verify(kept or _decoy, _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return right and kept is not None


def weakness(password: str, email: str) -> str | None:
    """What is wrong with a new password, as a code (`short`, `long`, `email`, `plain`), or None."""
    if len(password) < PASSWORD_LEAST:
        return "short"
    if len(password) > PASSWORD_MOST:
        return "long"
    if password.casefold() in (email.casefold(), email.split("@")[0].casefold()):
        return "email"
    if len(set(password)) < 5:
        return "plain"
    return None


def look_up(view: View, email: str, address: str, now: int) -> Account:
    """Find the person and whether they (or the address they come from) are locked out."""
    email_hash = _email_hash(email)
    user = view.one("SELECT id, organisation_id, password_hash, active FROM app_user WHERE lower(email) = ?", _plain_email(email))
    return Account(email_hash, user, _locked_until(view, email_hash, network(address), now))


def settle(tx: Transaction, account: Account, right: bool, address: str, now: int) -> SignedIn | HalfWay | TurnedAway:
    """Write down how an attempt ended: a session, a wanted code, or one more failure and perhaps a lockout; all audited."""
    place = network(address)
    retry_at = _locked_until(tx, account.email_hash, place, now)
    if retry_at is not None:
        return TurnedAway(retry_at)
    user = account.user
    if user is not None:  # the account may have changed while the password was checked
        fresh = tx.one("SELECT active, password_hash, totp_since FROM app_user WHERE id = ?", user["id"])
        same = fresh is not None and fresh["password_hash"] == user["password_hash"]
        if right and same and fresh is not None and fresh["active"]:
            if fresh["totp_since"] is not None:
                return _ask_for_code(tx, user["id"], now)
            return admit(tx, user["id"], account.email_hash, address, now)
    return turn_away(tx, account, _reason(account, right), address, now)


def _ask_for_code(tx: Transaction, user_id: str, now: int) -> HalfWay:
    tx.execute("DELETE FROM second_step WHERE created_at <= ? OR created_at > ?", now - HALF_WAY_MS, now + _FUTURE_MS)
    token = secrets.token_urlsafe(32)
    tx.execute("INSERT INTO second_step (token_hash, user_id, created_at) VALUES (?, ?, ?)", session_name(token), user_id, now)
    return HalfWay(token)


def admit(
    tx: Transaction, user_id: str, email_hash: str, address: str, now: int, told: Mapping[str, Any] | None = None
) -> SignedIn:
    """Let somebody in who has proved who they are: a fresh session, and their failures are forgotten."""
    tx.execute("DELETE FROM login_failure WHERE email_hash = ?", email_hash)
    tx.execute("DELETE FROM web_session WHERE seen_at <= ? OR created_at <= ?", now - IDLE_MS, now - ABSOLUTE_MS)
    token = open_session(tx, user_id, address, now)
    tx.execute("UPDATE app_user SET last_used_at = ? WHERE id = ?", now, user_id)
    tx.audit(now, f"user:{user_id}", "auth.login", user_id, dict(told or {}), private=address)
    return SignedIn(token, user_id)


def _reason(account: Account, right: bool) -> str:
    """Why somebody is turned away, for the audit."""
    user = account.user
    return "unknown" if user is None else "password" if not right else "changed" if user["active"] else "inactive"


def turn_away(tx: Transaction, account: Account, reason: str, address: str, now: int) -> TurnedAway:
    """Note a failed attempt, and a lockout where it was one too many."""
    place = network(address)
    tx.execute("DELETE FROM login_failure WHERE at <= ? OR at > ?", now - WINDOW_MS, now + _FUTURE_MS)
    tx.execute("INSERT INTO login_failure (email_hash, address, at) VALUES (?, ?, ?)", account.email_hash, place, now)
    user = account.user
    subject = f"login:{account.email_hash[:16]}" if user is None else str(user["id"])
    tx.audit(now, "web:anonymous", "auth.fail", subject, {"reason": reason}, private=address)
    retry_at = _locked_until(tx, account.email_hash, place, now)
    if retry_at is not None:
        tx.audit(now, "web:anonymous", "auth.lockout", subject, {"until": retry_at}, private=address)
    return TurnedAway(retry_at)


def locked_until(view: View, email_hash: str, address: str, now: int) -> int | None:
    """The same for an address as it came; for what else is guessed at, under a hash of its own."""
    return _locked_until(view, email_hash, network(address), now)


def _locked_until(view: View, email_hash: str, place: str, now: int) -> int | None:
    """The moment at which one more attempt is welcome, or None where it is now."""
    until = [
        view.value(
            # the n-th newest failure: when it is forgotten, fewer than n are left
            f"SELECT at FROM login_failure WHERE {column} = ? AND at > ? AND at <= ? ORDER BY at DESC LIMIT 1 OFFSET ?",
            key,
            now - WINDOW_MS,
            now + _FUTURE_MS,
            most - 1,
        )
        for column, key, most in (("email_hash", email_hash, TRIES_PER_EMAIL), ("address", place, TRIES_PER_ADDRESS))
    ]
    stamps = [int(at) + WINDOW_MS for at in until if at is not None]
    return max(stamps) if stamps else None


def open_session(tx: Transaction, user_id: str, address: str, now: int) -> str:
    """A fresh session; its token (256 random bits), which is stored nowhere."""
    token = secrets.token_urlsafe(32)
    tx.execute(
        "INSERT INTO web_session (token_hash, user_id, created_at, seen_at, address) VALUES (?, ?, ?, ?, ?)",
        session_name(token),
        user_id,
        now,
        now,
        address[:64],
    )
    return token


def session_name(token: str) -> str:
    """The hash under which a session is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def resume(view: View, token: str, now: int) -> Viewer | None:
    """The person behind a token, or None where the session has ended or the person was switched off."""
    row = view.one(
        "SELECT s.token_hash, s.created_at, s.seen_at, u.id, u.organisation_id, u.name, u.email, u.roles,"
        " o.name AS organisation, COALESCE(u.zone, o.zone) AS zone, COALESCE(u.language, o.language) AS language"
        " FROM web_session s JOIN app_user u ON u.id = s.user_id JOIN organisation o ON o.id = u.organisation_id"
        " WHERE s.token_hash = ? AND u.active = 1",
        session_name(token),
    )
    if row is None or not _is_live(row, now):
        return None
    organisation_id = row["organisation_id"]
    return Viewer(
        user_id=row["id"],
        organisation_id=row["organisation_id"],
        organisation=row["organisation"],
        name=row["name"],
        email=row["email"],
        zone=row["zone"],
        language=row["language"],
        # on_team: roles hold whatever the unit; single grants only where they were made at the top (pages have no node)
        permissions=rights_at({**dict(row), "unit_id": ""}, [organisation_id], grants_of(view, organisation_id), on_team=True),
        session=row["token_hash"],
        seen_at=row["seen_at"],
    )


def _is_live(row: Mapping[str, Any], now: int) -> bool:
    # A stamp from the future (the clock was stepped back) counts as fresh: the absolute bound still ends it.
    return bool(row["seen_at"] > now - IDLE_MS and row["created_at"] > now - ABSOLUTE_MS)


def touch(tx: Transaction, viewer: Viewer, now: int) -> None:
    """Note that the session was used."""
    tx.execute("UPDATE web_session SET seen_at = ? WHERE token_hash = ? AND seen_at < ?", now, viewer.session, now)


def sessions_of(view: View, user_id: str, now: int) -> list[Row]:
    """This person's live sessions, newest use first."""
    rows = view.all(
        "SELECT token_hash, created_at, seen_at, address FROM web_session WHERE user_id = ? ORDER BY seen_at DESC",
        user_id,
    )
    return [row for row in rows if _is_live(row, now)]


def sign_out(tx: Transaction, viewer: Viewer, now: int) -> None:
    """End this session."""
    tx.execute("DELETE FROM web_session WHERE token_hash = ?", viewer.session)
    tx.audit(now, viewer.actor, "auth.logout", viewer.user_id)


def sign_out_others(tx: Transaction, viewer: Viewer, now: int) -> int:
    """End every other session of this person; how many there were."""
    ended = revoke(tx, viewer.user_id, keep=viewer.session)
    tx.audit(now, viewer.actor, "auth.revoke", viewer.user_id, {"sessions": ended})
    return ended


def sign_out_one(tx: Transaction, viewer: Viewer, session: str, now: int) -> bool:
    """End one of this person's sessions by its name; False where it has ended already."""
    ended = tx.execute("DELETE FROM web_session WHERE token_hash = ? AND user_id = ?", session, viewer.user_id)
    if ended:
        tx.audit(now, viewer.actor, "auth.revoke", viewer.user_id, {"sessions": 1})
    return bool(ended)


def revoke(tx: Transaction, user_id: str, *, keep: str = "") -> int:
    """End this person's sessions but the one named `keep`, and logins that wait for a code."""
    tx.execute("DELETE FROM second_step WHERE user_id = ?", user_id)
    return tx.execute("DELETE FROM web_session WHERE user_id = ? AND token_hash <> ?", user_id, keep)


def account_of(view: View, viewer: Viewer, address: str, now: int) -> Account:
    """The viewer's own account, to check the current password before a new one: throttled as a login is."""
    return look_up(view, viewer.email, address, now)


def change_password(
    tx: Transaction, viewer: Viewer, account: Account, right: bool, password_hash: str, address: str, now: int
) -> TurnedAway | int:
    """Set a new password and end every other session (how many); a wrong current one counts as a failed login."""
    turned = check_again(tx, account, right, address, now)
    if turned is not None:
        return turned
    tx.execute("UPDATE app_user SET password_hash = ?, version = version + 1 WHERE id = ?", password_hash, viewer.user_id)
    ended = revoke(tx, viewer.user_id, keep=viewer.session)
    tx.audit(now, viewer.actor, "auth.password", viewer.user_id, {"sessions_ended": ended}, private=address)
    return ended


def check_again(tx: Transaction, account: Account, right: bool, address: str, now: int) -> TurnedAway | None:
    """A signed-in person has typed their password once more (`right`: it was): None lets them go on."""
    retry_at = _locked_until(tx, account.email_hash, network(address), now)
    if retry_at is not None:
        return TurnedAway(retry_at)
    return None if right else turn_away(tx, account, _reason(account, right), address, now)


def change_looks(tx: Transaction, viewer: Viewer, language: str | None, zone: str | None, now: int) -> None:
    """In which language and zone somebody reads the pages; None is the organisation's. Raises Refused for an unknown zone."""
    if language is not None:
        check_language(language)
    if zone is not None:
        check_zone(zone)
    tx.execute("UPDATE app_user SET language = ?, zone = ?, version = version + 1 WHERE id = ?", language, zone, viewer.user_id)
    tx.audit(now, viewer.actor, "user.update", viewer.user_id, {"changed": ["language", "zone"]})


def looks(view: View, user_id: str) -> Row:
    """Somebody's own `language` and `zone`; None where they follow the organisation."""
    row = view.one("SELECT language, zone FROM app_user WHERE id = ?", user_id)
    assert row is not None
    return row


def network(address: str) -> str:
    """What attempts are counted by: an IPv4 address, or the /64 of an IPv6 one (a host may pick any address in it)."""
    try:
        parsed = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)  # the same word typed on another keyboard is the same password


def _plain_email(email: str) -> str:
    return email.strip().lower()


def _email_hash(email: str) -> str:
    return hashlib.sha256(_plain_email(email).encode()).hexdigest()
