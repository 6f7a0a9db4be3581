"""Puts the rows of an apply file into the store, one by one, inside the transaction of the whole file.

Each put compares first and writes only what differs, so that the list of changes is the difference and nothing else. What has a
flow of its own (people, cases, webhooks, credits) goes through it. A row the store cannot take raises Refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows import candidates, compliance, credits, endpoints, templates
from gateway.keys import Keys
from gateway.store import ids, setup
from gateway.store.database import Row, Transaction, compact


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: a new row (`key` is None) or a changed value of one that was there."""

    table: str
    row: str
    key: str | None
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.key is None:
            values = ", ".join(f"{key} {_shown(value)}" for key, value in self.new.items())
            return f"+ {self.table} {self.row}{': ' + values if values else ''}"
        return f"~ {self.table} {self.row} {self.key}: {_shown(self.old)} → {_shown(self.new)}"

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {"table": self.table, "row": self.row, "key": self.key, "old": self.old, "new": self.new}


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "…" + text[-1:]


class Applying:
    """One run over a file. Rows come in the order organisation, unit, user, case, country, sender, text, template, webhook."""

    def __init__(self, tx: Transaction, keys: Keys, actor: str, now: int) -> None:
        self._tx = tx
        self._keys = keys
        self._actor = actor
        self._now = now
        self._root: Row | None = None

    def put(self, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        """Make one row so; what had to change. Raises Refused."""
        writer = getattr(self, f"_{table}")
        changes: list[Change] = writer(key, values)
        return changes

    @property
    def _organisation_row(self) -> Row:
        if self._root is None:
            self._root = setup.the_organisation(self._tx, None)
        return self._root

    # --- organisation and units --------------------------------------------------------------------------------------

    def _organisation(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        ref, changes = key["ref"], []
        plain = {name: value for name, value in values.items() if name != "credits"}
        found = self._tx.one("SELECT * FROM organisation WHERE ref = ?", ref)
        if found is None:
            found = self._first_of_init()
            plain = plain if found is None else {"ref": ref, **plain}
        if found is None:
            organisation_id = setup.create_organisation(
                self._tx,
                ref=ref,
                name=values["name"],
                language=values.get("language", "en"),
                zone=values.get("zone", "UTC"),
                region=values.get("region"),
                actor=self._actor,
                now=self._now,
            )
            changes.append(
                Change("organisation", ref, None, None, {name: plain[name] for name in plain if name != "sms_enabled"})
            )
            found = self._tx.one("SELECT * FROM organisation WHERE id = ?", organisation_id)
            assert found is not None
        if found["parent_id"] is not None:
            raise Refused("not_an_organisation", 409, f'"{ref}" is a unit, not a main organisation.', field="ref")
        names = {"seats_total": "seats"}
        changes += self._update("organisation", "organisation", ref, found, plain, {"sms_enabled": bool}, names)
        self._root = self._tx.one("SELECT * FROM organisation WHERE id = ?", found["id"])
        return changes + self._first_credits(ref, values.get("credits", 0))

    def _first_of_init(self) -> Row | None:
        """The organisation that `init` made before anybody named it, if it is the only one."""
        roots = setup.roots(self._tx)
        return roots[0] if len(roots) == 1 and roots[0]["ref"] == setup.FIRST_REF else None

    def _first_credits(self, ref: str, amount: int) -> list[Change]:
        """Granted once per organisation, however the number in the file changes later."""
        organisation_id = self._organisation_row["id"]
        reference = "apply:first"
        known = "SELECT 1 AS yes FROM ledger WHERE organisation_id = ? AND reference = ?"
        if amount == 0 or self._tx.one(known, organisation_id, reference) is not None:
            return []
        before = credits.balance(self._tx, organisation_id).available
        after = credits.grant(self._tx, organisation_id, amount, reference, "first credits", self._actor, self._now)
        return [Change("organisation", ref, "credits", before, after.available)]

    def _unit(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        root, ref = self._organisation_row, key["ref"]
        parent = root if values["parent"] is None else self._unit_row(values["parent"], "parent")
        plain = {name: value for name, value in values.items() if name != "parent"}
        found = self._tx.one("SELECT * FROM organisation WHERE ref = ?", ref)
        if found is None:
            setup.create_organisation(
                self._tx,
                ref=ref,
                name=values["name"],
                language=values.get("language", parent["language"]),
                zone=values.get("zone", parent["zone"]),
                region=values.get("region", parent["region"]),
                parent=parent,
                actor=self._actor,
                now=self._now,
            )
            return [Change("unit", ref, None, None, {**plain, "parent": parent["ref"]})]
        if found["root_id"] != root["id"] or found["parent_id"] is None:
            raise Refused("duplicate_ref", 409, f'"{ref}" is another organisation; give the unit a ref of its own.', field="ref")
        plain["parent_id"] = parent["id"]
        return self._update("unit", "organisation", ref, found, plain, {"parent_id": self._ref_of}, {"parent_id": "parent"})

    def _unit_row(self, ref: str, field: str) -> Row:
        row = self._tx.one("SELECT * FROM organisation WHERE ref = ? AND root_id = ?", ref, self._organisation_row["id"])
        if row is None:
            raise Refused("unit_not_found", 404, f'There is no unit "{ref}"; write a [[unit]] with that ref.', field=field)
        return row

    def _ref_of(self, organisation_id: str) -> Any:
        return self._tx.value("SELECT ref FROM organisation WHERE id = ?", organisation_id)

    # --- people and cases --------------------------------------------------------------------------------------------

    def _user(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        email, root = key["email"], self._organisation_row
        unit = self._unit_row(values["unit"], "unit") if "unit" in values else None
        found = self._tx.one("SELECT * FROM app_user WHERE email = ?", email)
        if found is None:
            user_id = setup.create_user(
                self._tx,
                root["id"],
                email=email,
                name=values.get("name", email.split("@")[0]),
                roles=values.get("roles", ()),
                seat=values.get("seat", False),
                unit_id=None if unit is None else unit["id"],
                actor=self._actor,
                now=self._now,
            )
            if values.get("active") is False:
                self._tx.execute("UPDATE app_user SET active = 0 WHERE id = ?", user_id)
            self._speaks(user_id, values)
            return [Change("user", email, None, None, dict(values))]
        if found["organisation_id"] != root["id"]:
            raise Refused("duplicate_email", 409, f"{email} belongs to another organisation.", field="email")
        before = {**found, "roles": json.loads(found["roles"]), "unit": self._ref_of(found["unit_id"])}
        before.update({name: bool(found[name]) for name in ("seat", "active")})
        changes = [Change("user", email, name, before[name], new) for name, new in values.items() if before[name] != new]
        setup.change_user(
            self._tx,
            found,
            name=values.get("name"),
            roles=values.get("roles"),
            seat=values.get("seat"),
            active=values.get("active"),
            unit_id=None if unit is None else unit["id"],
            actor=self._actor,
            now=self._now,
        )
        self._speaks(found["id"], values)
        return changes

    def _speaks(self, user_id: str, values: Mapping[str, Any]) -> None:
        """In which language they read the pages; without a word the organisation's."""
        if "language" in values:
            self._tx.flush()
            self._tx.execute("UPDATE app_user SET language = ? WHERE id = ?", values["language"], user_id)

    def _case(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        ref, root = key["ref"], self._organisation_row
        if "unit" in values:
            self._unit_row(values["unit"], "unit")
        before = self._case_values(ref)
        fields = candidates.CaseFields(
            title=values.get("title"), language=values.get("language"), unit_ref=values.get("unit"), team=values.get("team")
        )
        candidates.put_case(self._tx, root["id"], ref, fields, self._actor, self._now)
        self._tx.flush()
        if before is None:
            return [Change("case", ref, None, None, {name: _listed(value) for name, value in values.items()})]
        after = self._case_values(ref)
        assert after is not None
        return [Change("case", ref, name, before[name], after[name]) for name in after if before[name] != after[name]]

    def _case_values(self, ref: str) -> dict[str, Any] | None:
        row = self._tx.one(
            "SELECT c.id, c.title, c.language, o.ref AS unit FROM hiring_case c JOIN organisation o ON o.id = c.unit_id"
            " WHERE c.organisation_id = ? AND c.ref = ?",
            self._organisation_row["id"],
            ref,
        )
        if row is None:
            return None
        team = self._tx.all(
            "SELECT u.email FROM case_member m JOIN app_user u ON u.id = m.user_id WHERE m.case_id = ? ORDER BY u.email",
            row["id"],
        )
        return {"title": row["title"], "language": row["language"], "unit": row["unit"], "team": [each["email"] for each in team]}

    # --- countries, senders, texts, templates ------------------------------------------------------------------------

    def _country(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        plain = {name: value for name, value in values.items() if name not in ("opt_in", "acknowledgement")}
        stored = {name: compact(value) if name == "hours" else value for name, value in plain.items()}
        row, mode = f"{key['iso']} {key['channel']}", values.get("opt_in")
        found = self._tx.one("SELECT * FROM country WHERE iso = ? AND channel = ?", key["iso"], key["channel"])
        if found is None:
            stored = {"state": "off", **stored}
            self._insert("country", f"country:{key['iso']}/{key['channel']}", {**key, **stored, "updated_at": self._now})
            told = {"state": "off", **plain} if mode is None else {"state": "off", **plain, "opt_in": mode}
            changes = [Change("country", row, None, None, told)]
        else:
            changes = self._update("country", "country", row, found, stored, {"hours": json.loads}, where=("iso", "channel"))
            if mode is not None and mode != found["opt_in"]:
                changes.append(Change("country", row, "opt_in", found["opt_in"], mode))
        if mode is not None:
            given = values.get("acknowledgement")
            compliance.set_opt_in(self._tx, key["iso"], key["channel"], mode, given, "apply", self._actor, self._now)
        return changes

    def _sender(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        root, number = self._organisation_row, key["number"]
        stored: dict[str, Any] = {**values}
        for name in ("international", "active"):
            if name in stored:
                stored[name] = int(stored[name])
        if "countries" in stored:
            stored["countries"] = compact(stored["countries"])
        if "budgets" in stored:
            stored["budgets"] = compact(stored["budgets"])
        found = self._tx.one("SELECT * FROM sender WHERE number = ?", number)
        if found is not None and found["organisation_id"] != root["id"]:
            raise Refused("duplicate_number", 409, f"{number} belongs to another organisation.", field="number")
        self._check_iccid(stored.get("iccid"), number)
        if found is None:
            sender_id = ids.new("snd")
            row = {"id": sender_id, "organisation_id": root["id"], "number": number, **stored, "updated_at": self._now}
            self._insert("sender", sender_id, row)
            return [Change("sender", number, None, None, _told(values))]
        decoders = {"countries": json.loads, "budgets": json.loads, "international": bool, "active": bool}
        return self._update("sender", "sender", number, found, stored, {**decoders, **dict.fromkeys(_PACING, _seconds)}, _PACING)

    def _check_iccid(self, iccid: str | None, number: str) -> None:
        if iccid is None:
            return
        other = self._tx.value("SELECT number FROM sender WHERE iccid = ? AND number <> ?", iccid, number)
        if other is not None:
            raise Refused("duplicate_iccid", 409, f"This card already belongs to the sender {other}.", field="iccid")

    def _text(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        root, row = self._organisation_row, f"{key['kind']} {key['language']}"
        found = self._tx.one(
            "SELECT * FROM wording WHERE organisation_id = ? AND kind = ? AND language = ?",
            root["id"],
            key["kind"],
            key["language"],
        )
        if found is None:
            columns = {"organisation_id": root["id"], **key, "body": values["body"], "version": 1, "updated_at": self._now}
            self._insert("wording", f"text:{key['kind']}/{key['language']}", columns)
            return [Change("text", row, None, None, dict(values))]
        return self._versioned("text", "wording", row, found, values, ("organisation_id", "kind", "language"))

    def _template(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        if "fields" in values:
            values = {**values, "fields": compact(values["fields"])}
        unit = self._organisation_row if key["unit"] is None else self._unit_row(key["unit"], "unit")
        row = f"{unit['ref']}: {key['name']} ({key['channel']}, {key['language']})"
        found = self._tx.one(
            "SELECT * FROM template WHERE unit_id = ? AND name = ? AND channel = ? AND language = ?",
            unit["id"],
            key["name"],
            key["channel"],
            key["language"],
        )
        if found is None:
            template_id = ids.new("tpl")
            named = {name: value for name, value in key.items() if name != "unit"}
            self._insert(
                "template", template_id, {"id": template_id, "unit_id": unit["id"], **named, **values, "updated_at": self._now}
            )
            templates.keep_version(self._tx, template_id, self._actor, self._now)
            return [Change("template", row, None, None, dict(values))]
        changes = self._versioned("template", "template", row, found, {**values, "archived_at": None}, ("id",))
        templates.keep_version(self._tx, found["id"], self._actor, self._now)
        return changes

    def _versioned(
        self, table: str, stored_in: str, row: str, found: Row, values: Mapping[str, Any], where: tuple[str, ...]
    ) -> list[Change]:
        """An update that makes a new version where the text itself changed."""
        changes = self._update(table, stored_in, row, found, values, where=where)
        if any(change.key in ("body", "kind", "fields", "max_parts") for change in changes):
            condition = " AND ".join(f"{name} = ?" for name in where)
            values_of = [found[name] for name in where]
            self._tx.execute(f"UPDATE {stored_in} SET version = version + 1 WHERE {condition}", *values_of)
        return changes

    # --- webhooks ----------------------------------------------------------------------------------------------------

    def _webhook(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> list[Change]:
        organisation_id, url, seal = self._organisation_row["id"], key["url"], self._keys.seal
        found = self._tx.one("SELECT * FROM endpoint WHERE organisation_id = ? AND url = ?", organisation_id, url)
        if found is None:
            events = values.get("events", ["*"])
            made, _ = endpoints.create_endpoint(
                self._tx, organisation_id, url, events, self._actor, self._now, seal_key=seal, secret=values["secret"]
            )
            if values.get("active") is False:
                endpoints.update_endpoint(self._tx, organisation_id, made["id"], self._actor, self._now, active=False)
            return [Change("webhook", url, None, None, {"events": events})]
        before = {"events": json.loads(found["events"]), "active": bool(found["active"])}
        after = endpoints.update_endpoint(
            self._tx,
            organisation_id,
            found["id"],
            self._actor,
            self._now,
            events=values.get("events"),
            active=values.get("active"),
        )
        now = {"events": json.loads(after["events"]), "active": bool(after["active"])}
        changes = [Change("webhook", url, name, before[name], now[name]) for name in now if before[name] != now[name]]
        if endpoints.open_secret(found["secret_sealed"], seal) != endpoints.secret_bytes(values["secret"]):
            endpoints.rotate_secret(
                self._tx, organisation_id, found["id"], self._actor, self._now, seal_key=seal, secret=values["secret"]
            )
            changes.append(Change("webhook", url, "secret", "(one)", "(another)"))
        return changes

    # --- rows without a flow of their own ----------------------------------------------------------------------------

    def _insert(self, table: str, subject: str, columns: Mapping[str, Any]) -> None:
        names = ", ".join(columns)
        self._tx.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})", *columns.values())
        self._tx.audit(self._now, self._actor, f"{_ACTIONS.get(table, table)}.create", subject, {"set": sorted(columns)})

    def _update(
        self,
        table: str,
        stored_in: str,
        row: str,
        found: Row,
        wanted: Mapping[str, Any],
        decoders: Mapping[str, Any] | None = None,
        names: Mapping[str, str] | None = None,
        where: tuple[str, ...] = ("id",),
    ) -> list[Change]:
        """Write the columns that differ; `decoders` and `names` say how a column is shown."""
        changed = {column: value for column, value in wanted.items() if found[column] != value}
        if not changed:
            return []
        stamp = {"updated_at": self._now} if "updated_at" in found.keys() else {}  # noqa: SIM118  # a sqlite3.Row
        sets = {**changed, **stamp}
        condition = " AND ".join(f"{name} = ?" for name in where)
        columns = ", ".join(f"{column} = ?" for column in sets)
        values_of = [found[name] for name in where]
        self._tx.execute(f"UPDATE {stored_in} SET {columns} WHERE {condition}", *sets.values(), *values_of)
        subject = found["id"] if where == ("id",) else f"{table}:" + "/".join(str(value) for value in values_of[-2:])
        told = {column: [found[column], value] for column, value in changed.items() if column not in _LONG}
        self._tx.audit(
            self._now, self._actor, f"{_ACTIONS.get(stored_in, stored_in)}.update", subject, {"changed": sorted(changed), **told}
        )
        show = decoders or {}
        return [
            Change(
                table,
                row,
                (names or {}).get(column, column),
                *(_decoded(show.get(column), each) for each in (found[column], value)),
            )
            for column, value in changed.items()
        ]


_ACTIONS = {"wording": "text"}
_PACING = {"gap_ms": "pacing.gap_seconds", "jitter_ms": "pacing.jitter_seconds"}
_LONG = ("body", "name", "number", "iccid")
"""Columns that the audit names without repeating what they hold."""


def _decoded(decoder: Any, value: Any) -> Any:
    return value if decoder is None or value is None else decoder(value)


def _seconds(milliseconds: int) -> float:
    seconds = milliseconds / 1000
    return int(seconds) if seconds.is_integer() else seconds


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_PACING.get(name, name): (_seconds(value) if name in _PACING else value) for name, value in values.items()}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
