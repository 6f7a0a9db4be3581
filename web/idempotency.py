"""Idempotency-Key: the same POST twice is one act and one answer.

The row with the answer commits in the transaction of the act itself: after a crash either both exist or neither. A refused
request changed nothing and is not remembered, so that it may be tried again once its cause is cured.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from gateway import keys
from gateway.errors import Refused
from gateway.store import lists_web
from gateway.store.database import Ahead, Transaction, View
from web.answers import json_text, ready
from web.guards import Call

_TOKEN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_SEALED = "sealed:"


@dataclass(frozen=True, slots=True)
class Done:
    """What an act answers: status and JSON value. `secret` answers are kept sealed."""

    status: int
    value: Any
    secret: bool = False


class _Raced(Exception):
    """Another process stored an answer under the same token while this one acted (PostgreSQL only)."""


def token_of() -> str | None:
    """The request's Idempotency-Key. Raises Refused (400) where it is none."""
    token = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if token is None:
        return None
    if not _TOKEN.fullmatch(token):
        raise Refused(
            "idempotency_key_invalid", 400, "Idempotency-Key: 1 to 255 printable ASCII characters.", field="Idempotency-Key"
        )
    return str(token)


def fingerprint(value: Any) -> str:
    """The same for the same request, however its JSON was spaced and ordered."""
    text = json.dumps([request.method, request.path, value], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def once(
    call: Call, body: Any, act: Callable[[Transaction], Done | Refused], *, shared: bool = False, ahead: Ahead | None = None
) -> Response:
    """Answer with what `act` does, or did when this Idempotency-Key first came.

    `body` is the parsed JSON of the request. `act` may return a Refused instead of raising it: what it wrote (an audit row)
    is then kept. With `shared` the commit is shared with whoever else waits; `ahead` tells what `act` will lock then.
    """
    token = token_of()
    mark = "" if token is None else fingerprint(body)

    def step(tx: Transaction) -> Done | Refused | tuple[int, str]:
        if token is not None:
            kept = _stored(call, tx, token, mark)
            if kept is not None:
                return kept
        done = act(tx)
        if token is not None and isinstance(done, Done):
            text = json_text(done.value)
            if done.secret:
                text = _SEALED + keys.seal(call.secrets.seal, text)
            if not lists_web.store_answer(tx, call.caller.id, token, mark, done.status, text, call.now):
                raise _Raced
        return done

    def run() -> Done | Refused | tuple[int, str]:
        return call.database.together(step, ahead) if shared else call.database.transact(step)

    try:
        done = run()
    except _Raced:
        done = run()  # the other's answer is there now
    if isinstance(done, Refused):
        raise done
    if isinstance(done, Done):
        return ready(done.status, json_text(done.value))
    return ready(*done, {"Idempotency-Replayed": "true"})


def _stored(call: Call, view: View, token: str, mark: str) -> tuple[int, str] | None:
    row = lists_web.stored_answer(view, call.caller.id, token)
    if row is None:
        return None
    if row["request_hash"] != mark:
        raise Refused(
            "idempotency_conflict",
            409,
            "This Idempotency-Key was used for another request; use a new one for a new request.",
            field="Idempotency-Key",
        )
    text: str = row["body"]
    if text.startswith(_SEALED):
        text = keys.unseal(call.secrets.seal, text.removeprefix(_SEALED))
    return row["status"], text
