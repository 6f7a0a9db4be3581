"""Who is calling, and what may they do: bearer keys, scopes, address lists, rates, and the request's id.

A key is looked up once a second at most, so a revoked one is dead within a second. Rates are counted in this process: with
several web processes each allows its share. The scopes themselves stand in
gateway/store/setup.py.
"""

import hashlib
import ipaddress
import json
import logging
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask, current_app, g, request

from gateway.errors import Refused
from gateway.keys import Keys
from gateway.store import lists_web, setup
from gateway.store.database import Database, Transaction
from web.services import Services

log = logging.getLogger(__name__)

KEPT_S: Final = 1.0
"""How long a looked-up key is believed: the longest time a revoked key lives on."""
TOUCH_MS: Final = 60_000
"""`last_used_at` is exact to this."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """The key behind a request."""

    id: str
    organisation_id: str
    name: str
    scopes: frozenset[str]
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    per_minute: int
    last_used_at: int

    @property
    def actor(self) -> str:
        """As the audit names it."""
        return f"key:{self.id}"

    def may(self, scope: str) -> bool:
        """Whether the key has this scope."""
        return scope in self.scopes or "*" in self.scopes or f"{scope.partition(':')[0]}:*" in self.scopes

    def may_come_from(self, address: str) -> bool:
        """Whether the key may be used from this address; an empty list allows every one."""
        if not self.networks:
            return True
        try:
            place = ipaddress.ip_address(address.split("%")[0])
        except ValueError:
            return False
        if isinstance(place, ipaddress.IPv6Address) and place.ipv4_mapped is not None:
            place = place.ipv4_mapped
        return any(place in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was let in: who, when, and with what to answer it."""

    caller: Caller
    services: Services
    now: int
    act: str
    """Method and path pattern, `POST /api/v1/messages`: what the audit calls it."""
    secrets: Keys
    """The box's own keys."""

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def organisation_id(self) -> str:
        return self.caller.organisation_id

    @property
    def actor(self) -> str:
        return self.caller.actor


class KeyRing:
    """Keys looked up lately, and how much each may still do this minute."""

    _MOST = 1_000

    def __init__(self, services: Services, processes: int) -> None:
        self._services = services
        self._processes = processes
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def caller(self, secret: str) -> Caller | None:
        """The live key with this secret, or None."""
        digest = hashlib.sha256(secret.encode()).digest()
        clock = self._services.clock
        now = clock.monotonic()
        kept = self._known.get(digest)
        if kept is not None and 0 <= now - kept[0] < KEPT_S:
            return kept[1]
        with self._services.database.read() as view:
            row = setup.find_key(view, secret)
        if row is None:
            self._known.pop(digest, None)
            return None
        caller = Caller(
            id=row["id"],
            organisation_id=row["organisation_id"],
            name=row["name"],
            scopes=frozenset(json.loads(row["scopes"])),
            networks=tuple(ipaddress.ip_network(place, strict=False) for place in json.loads(row["allow"])),
            per_minute=row["per_minute"],
            last_used_at=row["last_used_at"] or 0,
        )
        with self._lock:
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[digest] = (now, caller)
        self._touch(caller, clock.now_ms())
        return caller

    def _touch(self, caller: Caller, now: int) -> None:
        if now - caller.last_used_at >= TOUCH_MS:
            self._services.database.together(lambda tx: lists_web.touch_key(tx, caller.id, now))

    def wait_s(self, caller: Caller) -> float:
        """0 where the key may do one more thing now (which is then counted), else the seconds until it may."""
        if caller.per_minute <= 0:
            return 0.0
        most = max(1.0, caller.per_minute / self._processes)
        per_second = most / 60
        now = self._services.clock.monotonic()
        with self._lock:
            left, seen = self._buckets.get(caller.id, (most, now))
            left = min(most, left + max(0.0, now - seen) * per_second)
            if left < 1:
                self._buckets[caller.id] = (left, now)
                return (1 - left) / per_second
            self._buckets[caller.id] = (left - 1, now)
        return 0.0


def register(app: Flask, services: Services, keys: Keys, processes: int) -> None:
    """Give every request its id, and the API its keys."""
    app.extensions["ringpost"] = services
    app.extensions["ringpost.secrets"] = keys
    app.extensions["ringpost.keyring"] = KeyRing(services, processes)

    @app.before_request
    def number() -> None:
        given = request.environ.get("HTTP_X_REQUEST_ID", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else "req_" + secrets.token_hex(12)


def services() -> Services:
    """What the wiring gave this app."""
    found: Services = current_app.extensions["ringpost"]
    return found


def admit(scope: str) -> Call:
    """The call behind this request. Raises Refused: 401 without a live key, 403 outside its scope or addresses, 429 too often."""
    ring: KeyRing = current_app.extensions["ringpost.keyring"]
    kind, _, secret = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "bearer" or not secret:
        raise Refused("key_missing", 401, "Send an API key: Authorization: Bearer rp_…", field="Authorization")
    caller = ring.caller(secret.strip())
    if caller is None:
        log.warning("key refused request_id=%s address=%s", g.request_id, request.remote_addr)
        raise Refused("key_invalid", 401, "This API key is unknown or revoked.", field="Authorization")
    rule = request.url_rule.rule if request.url_rule is not None else request.path
    call = Call(
        caller, services(), services().clock.now_ms(), f"{request.method} {rule}", current_app.extensions["ringpost.secrets"]
    )
    g.call = call
    wait_s = ring.wait_s(caller)
    if wait_s > 0:
        facts = {"retry_after_s": int(wait_s) + 1, "per_minute": caller.per_minute}
        raise Refused("rate_limited", 429, f"This key may make {caller.per_minute} requests a minute.", facts=facts)
    if not caller.may_come_from(request.remote_addr or ""):
        raise audited(call, Refused("address_not_allowed", 403, "This key may not be used from this address."))
    if not caller.may(scope):
        text = f"This key lacks the scope {scope}."
        raise audited(call, Refused("scope_missing", 403, text, field="Authorization", facts={"scope": scope}))
    return call


def audited(call: Call, refused: Refused) -> Refused:
    """The same refusal, after it was written into the audit: somebody with a key tried what was not theirs to do."""
    told = {"code": refused.code, "status": refused.status, "act": call.act, "request_id": g.request_id}

    def write(tx: Transaction) -> None:
        tx.audit(call.now, call.actor, "api.deny", call.caller.id, told)

    call.database.together(write)
    return refused


AUDITED_STATUSES: Final = frozenset({402, 403, 409})
"""Refusals of a rule, as opposed to typing mistakes."""


def audited_act(call: Call, act: Callable[[], Any]) -> Any:
    """Run an act; a refusal by a rule is audited on its way out."""
    try:
        return act()
    except Refused as refused:
        if refused.status in AUDITED_STATUSES and refused.code != "idempotency_conflict":
            audited(call, refused)
        raise
