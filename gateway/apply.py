"""`ringpost apply`: brings the set-up to what one declarative file says, and tells every difference.

    Plan.load(file)  reads and checks the file alone: types, words, numbers, templates; every complaint has its line
    apply(…)         compares it with the store and writes the difference, all in one transaction, audited row by row

Applied twice it changes nothing the second time. A key that is not written leaves the stored value as it is; a row that is not
written leaves the stored row alone: nothing is ever deleted by leaving it out. `gateway/flows/apply_rows.py` writes the rows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.errors import Refused
from gateway.flows.apply_rows import Applying, Change
from gateway.flows.compliance import Acknowledgement
from gateway.flows.endpoints import EVENT_TYPES, secret_bytes
from gateway.keys import Keys
from gateway.rules.budgets import PERIODS
from gateway.rules.consent import LOCKED_OFF
from gateway.rules.countries import POLICIES, STATES
from gateway.rules.kinds import KINDS
from gateway.rules.merge_fields import compile_template
from gateway.rules.numbers import normalise
from gateway.rules.permissions import PERMISSIONS, ROLES
from gateway.rules.templates import check_body, fields_from
from gateway.rules.wordings import KINDS as WORDING_KINDS
from gateway.store import setup
from gateway.store.database import Database, Transaction
from gateway.toml_tables import Document, Table

__all__ = ["Change", "Plan", "Row", "apply"]

TABLES = ("organisation", "unit", "user", "case", "country", "sender", "text", "template", "webhook")
CHANNELS = ("sms", "whatsapp")
OPT_INS = ("double", "single")
TEXT_KINDS = WORDING_KINDS
DAYS = ("weekdays", "saturday", "sunday")
"""Every week has these; the others are for countries where one of them differs."""
OTHER_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "holidays")
AMBIGUOUS = {"FL": "FI (Finland), LI (Liechtenstein, number plates) or US (Florida)", "UK": "GB"}


@dataclass(frozen=True, slots=True)
class Row:
    """One checked row of the file: its place there, what it is known by, and the values it sets."""

    table: Table
    key: Mapping[str, Any]
    values: Mapping[str, Any]

    def wrong(self, key: str | None, message: str) -> None:
        """Raise ConfigError at this row, or at one of its keys."""
        self.table.wrong(key if key is not None and key in self.table else None, message)


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that was read and found good as far as it can be told without the store."""

    file: str
    rows: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read a file. Raises ConfigError."""
        return cls.of(Document.load(path))

    @classmethod
    def read(cls, text: str, file: str = "apply.toml") -> "Plan":
        """The same from a text. Raises ConfigError."""
        return cls.of(Document(file, text))

    @classmethod
    def of(cls, document: Document, *, besides: tuple[str, ...] = ()) -> "Plan":
        """The plan in a document; `besides` names tables that are somebody else's. Raises ConfigError."""
        document.allow((*TABLES, *besides))
        rows: dict[str, tuple[Row, ...]] = {}
        for name in TABLES:
            if name == "organisation":
                found = [_organisation(document.table(name, _KEYS[name]))] if name in document.values else []
            else:
                found = [_READERS[name](table) for table in document.rows(name, _KEYS[name])]
            _refuse_doubles(name, found)
            rows[name] = tuple(found)
        return cls(document.file, rows)


def apply(database: Database, plan: Plan, keys: Keys, *, actor: str, now: int, dry_run: bool = False) -> list[Change]:
    """Write what the plan says and the store does not have; the differences, in order.

    All or nothing: raises ConfigError at the first row that the store cannot take. With `dry_run` the same is done and undone.
    """

    def act(tx: Transaction) -> list[Change]:
        changes: list[Change] = []
        applying = Applying(tx, keys, actor, now)
        for name in TABLES:
            for row in plan.rows.get(name, ()):
                try:
                    changes += applying.put(name, row.key, row.values)
                except Refused as refused:
                    row.wrong(refused.field, refused.detail)
        tx.wake = bool(changes)
        if dry_run:
            raise _Undo(changes)
        return changes

    try:
        return database.transact(act)
    except _Undo as undo:
        return undo.changes


class _Undo(Exception):
    """Takes a dry run back, and tells what it would have changed."""

    def __init__(self, changes: list[Change]) -> None:
        super().__init__()
        self.changes = changes


_KEYS: dict[str, tuple[str, ...]] = {
    "organisation": ("ref", "name", "language", "zone", "region", "sms", "seats", "credits"),
    "unit": ("ref", "name", "parent", "language", "zone", "region"),
    "user": ("email", "name", "roles", "seat", "unit", "language", "active"),
    "case": ("ref", "title", "language", "unit", "team"),
    "country": ("iso", "channel", "state", "opt_in", "acknowledgement", "hours", "price", *POLICIES, "links", "owner"),
    "sender": ("number", "iccid", "countries", "international", "pacing", "budgets", "active"),
    "text": ("kind", "language", "body"),
    "template": ("unit", "name", "kind", "channel", "language", "body", "max_parts", "fields"),
    "webhook": ("url", "events", "secret_file", "active"),
}


def _refuse_doubles(name: str, rows: list[Row]) -> None:
    lines: dict[str, int | None] = {}
    for row in rows:
        identity = json.dumps(row.key, sort_keys=True)
        if identity in lines:
            shown = ", ".join(str(value) for value in row.key.values())
            row.wrong(None, f"{shown} stands here for a second time; the first is in line {lines[identity]}")
        lines[identity] = row.table.line


def _organisation(table: Table) -> Row:
    values = {
        "name": table.text("name", allowed="the employer's name"),
        **_where(table),
        **({"sms_enabled": int(table.flag("sms", True))} if "sms" in table else {}),
        **({"seats_total": table.number("seats", least=0, most=100_000)} if "seats" in table else {}),
        **({"credits": table.number("credits", least=0, most=1_000_000_000)} if "credits" in table else {}),
    }
    return Row(table, {"ref": _ref(table, "ref")}, values)


def _unit(table: Table) -> Row:
    ref = _ref(table, "ref")
    parent = _ref(table, "parent") if "parent" in table else ref.rpartition("/")[0] or None
    values = {"name": table.text("name", allowed="the unit's name"), **_where(table), "parent": parent}
    return Row(table, {"ref": ref}, values)


def _where(table: Table) -> dict[str, str]:
    """Language, zone and region, where they are written."""
    values = {}
    if "language" in table:
        values["language"] = _language(table)
    if "zone" in table:
        values["zone"] = _checked(table, "zone", setup.check_zone, 'a time zone such as "Europe/Stockholm"')
    if "region" in table:
        values["region"] = _iso(table, "region", table.values["region"])
    return values


def _user(table: Table) -> Row:
    email = _checked(table, "email", setup.check_email, "an e-mail address").strip().lower()
    values: dict[str, Any] = {}
    if "name" in table:
        values["name"] = table.text("name")
    if "roles" in table:
        values["roles"] = sorted(set(table.choices("roles", (*ROLES, *sorted(PERMISSIONS)))))
    for key in ("seat", "active"):
        if key in table:
            values[key] = table.flag(key, False)
    if "unit" in table:
        values["unit"] = _ref(table, "unit")
    if "language" in table:
        values["language"] = _language(table)
    return Row(table, {"email": email}, values)


def _case(table: Table) -> Row:
    values: dict[str, Any] = {}
    if "title" in table:
        values["title"] = table.text("title")
    if "language" in table:
        values["language"] = _language(table)
    if "unit" in table:
        values["unit"] = _ref(table, "unit")
    if "team" in table:
        values["team"] = tuple(email.strip().lower() for email in table.texts("team"))
    return Row(table, {"ref": _ref(table, "ref")}, values)


def _country(table: Table) -> Row:
    iso_rule = 'an ISO 3166 country code of two capitals such as "SE"'
    table.need("iso", iso_rule)
    key = {"iso": _iso(table, "iso", table.values["iso"]), "channel": table.choice("channel", CHANNELS, "sms")}
    values: dict[str, Any] = {}
    if "state" in table:
        values["state"] = table.choice("state", STATES)
    if "opt_in" in table:
        values["opt_in"] = table.choice("opt_in", OPT_INS)
    if "acknowledgement" in table:
        values["acknowledgement"] = _acknowledgement(table, values.get("opt_in"))
    if "hours" in table:
        values["hours"] = _hours(table)
    if "price" in table:
        values["price"] = table.number("price", least=0, most=10_000)
    for policy, allowed in (*POLICIES.items(), ("links", ("allowed", "forbidden"))):
        if policy in table:
            values[policy] = table.choice(policy, allowed)
    if "owner" in table:
        values["owner"] = table.text("owner")
    return Row(table, key, values)


def _acknowledgement(table: Table, opt_in: str | None) -> Acknowledgement:
    """What whoever goes without START puts their name to (S42), as the API asks for it."""
    allowed = '{ text = "We write without START", name = "Ann Ek", reference = "Legal advice 7/26", date = "2026-11-21" }'
    if opt_in != "single":
        table.wrong("acknowledgement", 'belongs to opt_in = "single"')
    value = table.values["acknowledgement"]
    if not isinstance(value, dict):
        table.refuse("acknowledgement", allowed)
    path, keys = (*table.path, "acknowledgement"), ("text", "name", "reference", "date")
    value = {key: each.isoformat() if isinstance(each, date) else each for key, each in value.items()}
    given = Table(table.document, path, f"{table.title} acknowledgement", value, keys)
    return Acknowledgement(
        text=given.text("text", allowed=allowed),
        name=given.text("name", allowed=allowed),
        reference=given.text("reference", allowed=allowed),
        advised_on=given.text("date", allowed=allowed),
    )


def _iso(table: Table, key: str, found: Any) -> str:
    import phonenumbers

    if isinstance(found, str) and found.upper() in AMBIGUOUS:
        table.wrong(key, f'found "{found}", which is no ISO 3166 country code; write {AMBIGUOUS[found.upper()]}')
    if not isinstance(found, str) or found not in phonenumbers.SUPPORTED_REGIONS:
        table.wrong(key, f'found {json.dumps(found)}; allowed is an ISO 3166 country code of two capitals such as "SE"')
    return found


def _hours(table: Table) -> Any:
    """`"always"`, `"default"` (config/countries.toml), or a table of windows, their ends exclusive."""
    allowed = '"always", "default" or { weekdays = "08:00-20:00", saturday = "10:00-18:00", sunday = "hold" }'
    value = table.values["hours"]
    if value in ("always", "default"):
        return value
    if not isinstance(value, dict):
        table.refuse("hours", allowed)
    windows = Table(table.document, (*table.path, "hours"), f"{table.title} hours", value, (*DAYS, *OTHER_DAYS))
    hours = {}
    for day in (*DAYS, *(day for day in OTHER_DAYS if day in windows)):
        window = windows.text(day, allowed='a window such as "08:00-20:00", or "hold"')
        if window != "hold" and not _is_window(window):
            windows.refuse(day, 'a window such as "08:00-20:00", or "hold"')
        hours[day] = window
    return hours


def _is_window(text: str) -> bool:
    import re

    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", text)
    return found is not None and found[1] + found[2] < found[3] + found[4] <= "2400"


def _sender(table: Table) -> Row:
    number_rule = 'the SIM\'s own number in international form such as "+46701740605"'
    table.need("number", number_rule)
    number = normalise(table.text("number", allowed=number_rule), None)
    if number.e164 is None or number.state == "invalid":
        table.refuse("number", number_rule)
    values: dict[str, Any] = {}
    if "iccid" in table:
        iccid = table.text("iccid", allowed="the 18 to 20 digits printed on the card, or empty", empty=True).replace(" ", "")
        if iccid and (not iccid.isdigit() or not 18 <= len(iccid) <= 20):
            table.refuse("iccid", "the 18 to 20 digits printed on the card, or empty while there is one modem and one SIM")
        values["iccid"] = iccid or None
    if "countries" in table:
        values["countries"] = sorted({_iso(table, "countries", iso) for iso in table.texts("countries")})
    if "international" in table:
        values["international"] = table.flag("international", False)
    if "active" in table:
        values["active"] = table.flag("active", True)
    if "pacing" in table:
        values |= _pacing(table)
    if "budgets" in table:
        values["budgets"] = _budgets(table)
    return Row(table, {"number": number.e164}, values)


def _pacing(table: Table) -> dict[str, int]:
    allowed = "{ gap_seconds = 6, jitter_seconds = 1.5 }: the least time between two messages and what chance adds, 0 to 3600"
    value = table.values["pacing"]
    if not isinstance(value, dict):
        table.refuse("pacing", allowed)
    pacing = Table(table.document, (*table.path, "pacing"), f"{table.title} pacing", value, ("gap_seconds", "jitter_seconds"))
    pacing.need("gap_seconds", allowed)
    found = {}
    for key, column in (("gap_seconds", "gap_ms"), ("jitter_seconds", "jitter_ms")):
        if key in pacing:
            seconds = pacing.values[key]
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 3600:
                pacing.refuse(key, "a number of seconds from 0 to 3600")
            found[column] = int(Decimal(str(seconds)) * 1000)
    return found


def _budgets(table: Table) -> dict[str, int]:
    value = table.values["budgets"]
    if not isinstance(value, dict):
        table.refuse("budgets", "{ minute = 10, hour = 100, day = 200, month = 4000, recipients = 250 }")
    budgets = Table(table.document, (*table.path, "budgets"), f"{table.title} budgets", value, PERIODS)
    return {period: budgets.number(period, least=0, most=10_000_000) for period in PERIODS if period in budgets}


def _text(table: Table) -> Row:
    key = {"kind": table.choice("kind", TEXT_KINDS), "language": _language(table)}
    body = _body(table)
    return Row(table, key, {"body": body})


def _template(table: Table) -> Row:
    key = {
        "unit": _ref(table, "unit") if "unit" in table else None,
        "name": table.text("name", allowed="the template's name"),
        "channel": table.choice("channel", (*CHANNELS, "email"), "sms"),
        "language": _language(table),
    }
    kind = table.choice("kind", KINDS)
    if kind in LOCKED_OFF.get(key["channel"] or "", ()):
        table.wrong(
            "kind", f'found "{kind}", which never goes by {key["channel"]}; send it by e-mail from the applicant tracking system'
        )
    values: dict[str, Any] = {"kind": kind, "body": _body(table)}
    try:
        declared = table.values.get("fields", [])
        if not isinstance(declared, list) or not all(isinstance(row, dict) and "name" in row for row in declared):
            table.refuse("fields", '[{ name = "floor", type = "text", sample = "4th floor" }]')
        own = fields_from(declared)
        if "fields" in table:
            values["fields"] = [{"name": field.name, "type": field.type, "sample": field.sample} for field in own]
        check_body(values["body"], kind or "", own)
    except Refused as refused:
        table.wrong(refused.field if refused.field in ("body", "fields") else None, refused.detail)
    if "max_parts" in table:
        values["max_parts"] = table.number("max_parts", least=1, most=10)
    return Row(table, key, values)


def _body(table: Table) -> str:
    body = table.text("body", allowed="the text to send, with fields such as {{candidate.first_name}}")
    try:
        compile_template(body)
    except Refused as refused:
        table.wrong("body", refused.detail)
    return body


def _webhook(table: Table) -> Row:
    url = table.text("url", allowed='an address such as "https://ats.example/hooks/ringpost"')
    table.need("secret_file", "a file whose first line is whsec_ and base64 of 24 to 64 bytes")
    path = table.path_of("secret_file")
    try:
        secret = path.read_text(encoding="utf-8").strip()
        secret_bytes(secret)
    except OSError as error:
        table.wrong("secret_file", f'found "{path}", which cannot be read: {error.strerror}')
    except ValueError as error:  # UnicodeDecodeError is one
        table.wrong("secret_file", f'found "{path}", which holds no secret: {error}')
    values: dict[str, Any] = {"secret": secret}
    if "events" in table:
        values["events"] = list(table.choices("events", (*EVENT_TYPES, "*")))
    if "active" in table:
        values["active"] = table.flag("active", True)
    return Row(table, {"url": url}, values)


_READERS = {
    "unit": _unit,
    "user": _user,
    "case": _case,
    "country": _country,
    "sender": _sender,
    "text": _text,
    "template": _template,
    "webhook": _webhook,
}


def _ref(table: Table, key: str) -> str:
    rule = 'a short name of letters, digits and . _ - / such as "acme/se"'
    ref = table.text(key, allowed=rule)
    if len(ref) > 200 or not all(character.isalnum() or character in "._-/ " for character in ref) or ref != ref.strip(" /"):
        table.refuse(key, rule)
    return ref


def _language(table: Table) -> str:
    return _checked(table, "language", setup.check_language, 'a language tag such as "sv" or "pt-BR"')


def _checked(table: Table, key: str, check: Any, allowed: str) -> str:
    text = table.text(key, allowed=allowed)
    try:
        check(text)
    except Refused:
        table.refuse(key, allowed)
    return text
