"""Questions and small rows that only the HTTP API has: stored answers, and lists with cursors.

Lists go by keyset: `after` is the public id of the last row of the page before, never an offset, so that page 1,000 costs what
page 1 does. Each gives up to `limit + 1` rows; the one too many says that there is more.
"""

from collections.abc import Mapping
from typing import Any

from gateway.errors import Refused
from gateway.rules.lifecycle import State
from gateway.store import ids, lists_messages
from gateway.store.database import Row, Transaction, View, compact

# --- keys and stored answers -----------------------------------------------------------------------------------------


def touch_key(tx: Transaction, key_id: str, now: int) -> None:
    """Note that a key was used."""
    tx.execute("UPDATE api_key SET last_used_at = ? WHERE id = ?", now, key_id)


def stored_answer(view: View, key_id: str, token: str) -> Row | None:
    """What was answered when this Idempotency-Key first came: request_hash, status and body."""
    return view.one("SELECT request_hash, status, body FROM idempotency WHERE key_id = ? AND token = ?", key_id, token)


def store_answer(tx: Transaction, key_id: str, token: str, request_hash: str, status: int, body: str, now: int) -> bool:
    """Keep an answer. False where another transaction has kept one under this token meanwhile.

    At once, not with the gathered inserts: the next submission in a shared commit must see it.
    """
    return bool(
        tx.execute(
            "INSERT INTO idempotency (key_id, token, request_hash, status, body, created_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (key_id, token) DO NOTHING",
            key_id,
            token,
            request_hash,
            status,
            body,
            now,
        )
    )


# --- messages --------------------------------------------------------------------------------------------------------

_MESSAGE = (
    "SELECT m.*, c.ref AS candidate_ref, k.ref AS case_ref, u.email AS user_email, s.number AS sender"
    " FROM message m LEFT JOIN candidate c ON c.id = m.candidate_id LEFT JOIN hiring_case k ON k.id = m.case_id"
    " LEFT JOIN app_user u ON u.id = m.user_id LEFT JOIN sender s ON s.id = m.sender_id"
)


def messages(view: View, organisation_id: str, filters: Mapping[str, Any], after: str | None, limit: int) -> list[Row]:
    """Messages, newest first. `filters`: state, kind, channel, client_ref, candidate_ref, case_ref."""
    others = {name: value for name, value in filters.items() if name != "state"}
    states = () if filters.get("state") is None else (State(filters["state"]),)
    found = lists_messages.newest(view, organisation_id, states=states, filters=others, before=after, limit=limit + 1)
    marks = ", ".join("?" * len(found)) or "NULL"
    return view.all(f"{_MESSAGE} WHERE m.id IN ({marks}) ORDER BY m.id DESC", *found)


def message(view: View, organisation_id: str, message_id: str) -> tuple[Row, list[Row], list[str]]:
    """A message, its parts in order, and the ids of its companions. Raises Refused `message_not_found`."""
    row = view.one(f"{_MESSAGE} WHERE m.id = ? AND m.organisation_id = ?", message_id, organisation_id)
    if row is None:
        raise message_not_found()
    parts = view.all("SELECT * FROM part WHERE message_id = ? ORDER BY number", message_id)
    companions = [] if row["after_message_id"] is None else [row["after_message_id"]]
    return row, parts, companions


def message_not_found() -> Refused:
    """The refusal for an id that no message of this organisation has."""
    return Refused("message_not_found", 404, "No message with this id.", field="id")


def history(view: View, message_id: str) -> list[Row]:
    """What the audit tells of a message, oldest first."""
    return view.all("SELECT at, action, data FROM audit WHERE subject = ? ORDER BY serial", message_id)


# --- credits ---------------------------------------------------------------------------------------------------------


def own_organisation(view: View, organisation_id: str, asked: str) -> Row:
    """The key's own organisation, asked for by id, by ref or as `self`. Raises Refused `organisation_not_found`."""
    row = view.one("SELECT id, ref, name FROM organisation WHERE id = ?", organisation_id)
    if row is None or asked not in ("self", row["id"], row["ref"]):
        raise Refused("organisation_not_found", 404, "No such organisation for this key.", field="id")
    return row


def ledger(view: View, organisation_id: str, after: int | None, limit: int) -> list[Row]:
    """The ledger, newest first."""
    return view.all(
        "SELECT * FROM ledger WHERE organisation_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
        organisation_id,
        2**63 - 1 if after is None else after,
        limit + 1,
    )


# --- modems ----------------------------------------------------------------------------------------------------------

_MODEM = (
    "SELECT m.*, s.number AS sender, s.countries AS sender_countries, g.heartbeat_at, g.epoch FROM modem m"
    " LEFT JOIN sender s ON s.iccid = m.iccid AND m.iccid <> '' LEFT JOIN gateway g ON g.name = m.gateway"
)


def modems(view: View) -> list[Row]:
    """Every modem of every gateway on this store."""
    return view.all(f"{_MODEM} ORDER BY m.gateway, m.name")


def modem(view: View, modem_id: str) -> Row:
    """One modem. Raises Refused `modem_not_found`."""
    row = view.one(f"{_MODEM} WHERE m.id = ?", modem_id)
    if row is None:
        raise Refused("modem_not_found", 404, "No modem with this id.", field="id")
    return row


def signal(view: View, modem_id: str, since: int, most: int = 1_000) -> list[Row]:
    """The newest signal samples of a modem since then, oldest first."""
    rows = view.all(
        "SELECT at, dbm FROM signal_sample WHERE modem_id = ? AND at >= ? ORDER BY at DESC LIMIT ?", modem_id, since, most
    )
    return rows[::-1]


def give_command(tx: Transaction, modem: Row, verb: str, args: Mapping[str, Any], actor: str, now: int, expires_at: int) -> Row:
    """Write a command for the gateway that owns this modem; its row. The gateway runs it, or it expires."""
    command_id = ids.new("cmd")
    tx.execute(
        "INSERT INTO command (id, gateway, modem, verb, args, state, actor, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, ?)",
        command_id,
        modem["gateway"],
        modem["name"],
        verb,
        compact(args),
        actor,
        now,
        expires_at,
    )
    tx.audit(now, actor, "modem.command", modem["id"], {"command": command_id, "verb": verb})
    tx.wake = True
    return command(tx, modem, command_id)


def command(view: View, modem: Row, command_id: str) -> Row:
    """A command given to this modem. Raises Refused `command_not_found`."""
    row = view.one(
        "SELECT * FROM command WHERE id = ? AND gateway = ? AND modem = ?", command_id, modem["gateway"], modem["name"]
    )
    if row is None:
        raise Refused("command_not_found", 404, "No command with this id for this modem.", field="command_id")
    return row


# --- events and webhooks ---------------------------------------------------------------------------------------------


def position_of(view: View, organisation_id: str, event_id: str) -> int:
    """Where an event stands in the order of all. Raises Refused `event_not_found`."""
    position = view.value("SELECT position FROM event WHERE id = ? AND organisation_id = ?", event_id, organisation_id)
    if position is None:
        raise Refused(
            "event_not_found", 404, "No event with this id; it may have been pruned. Start without `after`.", field="after"
        )
    return int(position)


def events(view: View, organisation_id: str, after: int, kinds: list[str], limit: int) -> list[Row]:
    """Sealed events behind a position, oldest first."""
    columns, kinds_apart = "SELECT id, position, type, body, at FROM event", [kind for kind in kinds if kind != "message.state"]
    if len(kinds_apart) == len(set(kinds)) and kinds:  # each by its own stretch of the index: a rare one is never searched for
        walks: list[str] = []
        values: list[Any] = []
        for kind in sorted(set(kinds_apart)):
            where = "type = ? AND type <> 'message.state' AND organisation_id = ? AND position > ?"
            walks.append(f"SELECT * FROM ({columns} WHERE {where} ORDER BY position LIMIT ?) AS s{len(walks)}")
            values += [kind, organisation_id, after, limit]
        return view.all(f"{' UNION ALL '.join(walks)} ORDER BY position LIMIT ?", *values, limit)
    of_kind = f" AND type IN ({', '.join('?' * len(kinds))})" if kinds else ""
    return view.all(
        f"{columns} WHERE position > ? AND organisation_id = ?{of_kind} ORDER BY position LIMIT ?",
        after,
        organisation_id,
        *kinds,
        limit,
    )


def newest_position(view: View) -> int:
    """The position of the last sealed event; 0 before the first."""
    return int(view.value("SELECT MAX(position) AS newest FROM event") or 0)


def endpoints(view: View, organisation_id: str) -> list[Row]:
    """Webhook endpoints, oldest first."""
    return view.all("SELECT * FROM endpoint WHERE organisation_id = ? ORDER BY id", organisation_id)


def deliveries(view: View, endpoint_id: str, state: str | None, after: str | None, limit: int) -> list[Row]:
    """Deliveries of an endpoint, the newest event first. Events are told once to each, so their order is that of the index."""
    where, values = ["d.endpoint_id = ?"], [endpoint_id]
    if state is not None:
        where.append(f"d.state = '{_DELIVERY_STATES[state]}'" if state in _DELIVERY_STATES else "1 = 0")
    if after is not None:
        where.append("d.event_id < (SELECT event_id FROM delivery WHERE id = ?)")
        values.append(after)
    # What waits has an index of its own, in another order, and is seldom much: sorted, instead of searched for among all.
    order = "d.event_id || ''" if state == "waiting" else "d.event_id"
    return view.all(
        "SELECT d.*, e.type, e.at AS event_at FROM delivery d JOIN event e ON e.id = d.event_id"
        f" WHERE {' AND '.join(where)} ORDER BY {order} DESC LIMIT ?",
        *values,
        limit + 1,
    )


_DELIVERY_STATES = {state: state for state in ("waiting", "delivered", "dead")}
"""Spelled out, not bound: only then do the partial indexes serve."""

# --- how the box is --------------------------------------------------------------------------------------------------


def gateways(view: View) -> list[Row]:
    """Every gateway that ever worked on this store, with its heartbeat."""
    return view.all("SELECT name, holder, started_at, heartbeat_at, version FROM gateway ORDER BY name")


MOST_COUNTED = 100_000
"""Nothing is counted further: a gauge that says this much says enough."""


def open_messages(view: View) -> dict[str, int]:
    """How many messages are on their way, by state, counted no further than MOST_COUNTED over partial indexes."""
    found = dict.fromkeys(("held", "queued", "sending", "unknown"), 0)
    for root in view.all("SELECT id FROM organisation WHERE parent_id IS NULL"):
        states = tuple(State(name) for name in found)
        for state, count in lists_messages.counts(view, root["id"], states, MOST_COUNTED).items():
            found[state.value] += count
    return found


def waiting_deliveries(view: View) -> int:
    """How many webhooks are still to be delivered."""
    return int(view.value("SELECT COUNT(*) AS n FROM delivery WHERE state = 'waiting'") or 0)


# --- cases -----------------------------------------------------------------------------------------------------------


def case_context(view: View, case: Row) -> tuple[str, list[str]]:
    """The reference of the unit that owns a case, and the e-mail addresses of its hiring team."""
    unit = view.value("SELECT ref FROM organisation WHERE id = ?", case["unit_id"])
    team = view.all(
        "SELECT u.email FROM case_member m JOIN app_user u ON u.id = m.user_id WHERE m.case_id = ? ORDER BY u.email", case["id"]
    )
    return str(unit), [row["email"] for row in team]
