"""Commissioning countries: from off to active by the operator's hand, checklist and test message as evidence (S28–S30, S57)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from gateway.errors import Refused
from gateway.flows import test_messages
from gateway.flows.facts import SETUP_PENDING, organisation
from gateway.flows.hours import calendar, country_table, hours_of_country, unknown_country
from gateway.flows.rights import Acting
from gateway.flows.sender_choice import pick
from gateway.rules import countries as rules
from gateway.rules.lifecycle import State
from gateway.rules.numbers import normalise
from gateway.rules.permissions import COMPLIANCE_EDIT, COUNTRIES_ACTIVATE
from gateway.rules.quiet_hours import Week, is_open, next_opening
from gateway.store.database import Row, Transaction, View, compact

TEST_TEXT = "{company}: test message, {country} is being commissioned."


@dataclass(frozen=True, slots=True)
class Country:
    """One country for one channel: the shipped row, the stored one, and what follows from both."""

    iso: str
    channel: str
    shipped: Mapping[str, Any] | None
    stored: Row | None

    def get(self, name: str, default: Any = None) -> Any:
        """A stored value, else the default."""
        return default if self.stored is None or self.stored[name] is None else self.stored[name]

    @property
    def lead_time_days(self) -> int:
        """The stored estimate, else the shipped one."""
        shipped = rules.LEAD_TIME_DAYS if self.shipped is None else self.shipped["lead_time_days"]
        return int(self.get("lead_time_days", shipped))

    @property
    def checked_at(self) -> int | None:
        """When the rule was last looked at: by the organisation, else by whoever made the table."""
        own = self.get("checked_at")
        if own is not None:
            return int(own)
        return None if self.shipped is None else _midnight(self.shipped["checked"])


def find(view: View, iso: str, channel: str) -> Country:
    """A country. Raises Refused `ambiguous_country` for FL and the like, `country_not_found` for what is no country."""
    import phonenumbers

    code = iso.upper()
    rules.check_unambiguous(code)
    if code not in country_table() and code not in phonenumbers.SUPPORTED_REGIONS:
        raise Refused("country_not_found", 404, "No country with this ISO 3166 code.", field="iso")
    stored = view.one("SELECT * FROM country WHERE iso = ? AND channel = ?", code, channel)
    return Country(code, channel, country_table().get(code), stored)


def every(view: View, channel: str) -> list[Country]:
    """Every country of the shipped table and every stored one, by code."""
    stored = {row["iso"]: row for row in view.all("SELECT * FROM country WHERE channel = ?", channel)}
    codes = sorted({*country_table(), *stored})
    return [Country(iso, channel, country_table().get(iso), stored.get(iso)) for iso in codes]


def change(tx: Transaction, who: Acting, iso: str, channel: str, changes: Mapping[str, Any], now: int) -> Country:
    """Set what an administrator may, and move the state by whose hand it needs.

    Raises Refused: `permission_denied` (403), `not_tested`, `checklist_incomplete`, `wrong_state` (409), `invalid_hours` (422).
    """
    country = find(tx, iso, channel)
    target = changes.get("state")
    who.require(tx, COUNTRIES_ACTIVATE if set(changes) == {"state"} and target == "active" else COMPLIANCE_EDIT)
    if target == "active":
        who.require_operator(tx, COUNTRIES_ACTIVATE)
    stored = _stored(tx, country, now)
    values = _values(country, changes)
    if "checklist" in changes:
        values["checklist"] = compact(_ticked(country, stored, changes["checklist"]))
    if target is not None and target != stored["state"]:
        checklist = json.loads(str(values.get("checklist", stored["checklist"])))
        values |= _moved(tx, country, stored, target, checklist, now)
    changed = {name: value for name, value in values.items() if stored[name] != value}
    if not changed:
        return find(tx, iso, channel)
    sets = ", ".join(f"{name} = ?" for name in changed)
    tx.execute(
        f"UPDATE country SET {sets}, updated_at = ? WHERE iso = ? AND channel = ?", *changed.values(), now, country.iso, channel
    )
    subject = f"country:{country.iso}/{channel}"
    for name, action in (("state", "country.state"), ("hours", "country.quiet_hours")):
        if name in changed:
            told = {"from": stored[name], "to": changed[name], **who.told}
            if target == "active":
                told["test_message"] = stored["test_message_id"]
            tx.audit(now, who.actor, action, subject, told)
    rest = {name: [stored[name], value] for name, value in changed.items() if name not in ("state", "hours")}
    if rest:
        tx.audit(now, who.actor, "country.update", subject, {**rest, **who.told})
    if "hours" in changed:
        recheck(tx, country.iso, now)
    tx.memo.clear()
    return find(tx, iso, channel)


def recheck(tx: Transaction, iso: str, now: int) -> None:
    """Hours have changed: what they hold is looked at again by the next claim."""
    tx.execute("UPDATE message SET not_before = ? WHERE state = 'held' AND hold_reason = 'quiet_hours' AND country = ?", now, iso)
    tx.wake = True


def _stored(tx: Transaction, country: Country, now: int) -> Row:
    tx.execute(
        "INSERT INTO country (iso, channel, state, updated_at) VALUES (?, ?, 'off', ?) ON CONFLICT (iso, channel) DO NOTHING",
        country.iso,
        country.channel,
        now,
    )
    row = tx.one("SELECT * FROM country WHERE iso = ? AND channel = ?" + tx.for_update, country.iso, country.channel)
    assert row is not None
    return row


def _values(country: Country, changes: Mapping[str, Any]) -> dict[str, Any]:
    plain = ("lead_time_days", "owner", "source", "checked_at", "links", "price", *rules.POLICIES)
    values = {name: changes[name] for name in plain if name in changes}
    if "hours" in changes:
        hours = changes["hours"]
        if isinstance(hours, Mapping):
            try:
                Week.read(hours)
            except (KeyError, ValueError) as error:
                text = 'Hours are "always", "default" or windows for weekdays, saturday and sunday.'
                raise Refused("invalid_hours", 422, text, field="hours") from error
        values["hours"] = compact(hours)
    return values


def _ticked(country: Country, stored: Row, wanted: Mapping[str, bool]) -> list[str]:
    known = rules.checklist_of(_sims(country))
    for item in wanted:
        if item not in known:
            text = f"The checklist of this country has {', '.join(known)}."
            raise Refused("unknown_item", 422, text, field="checklist")
    ticked = {**dict.fromkeys(json.loads(stored["checklist"]), True), **wanted}
    return [item for item in known if ticked.get(item)]


def _moved(tx: Transaction, country: Country, stored: Row, target: str, checklist: list[str], now: int) -> dict[str, Any]:
    state = stored["state"]
    if target == "active":
        if not _is_tested(tx, stored):
            text = "No test message has reached a phone in this country yet: POST /countries/{iso}/test while it is testing."
            raise Refused("not_tested", 409, text, field="state")
        missing = rules.missing_from(checklist, _sims(country))
        if missing:
            text = f"The checklist is not complete: {', '.join(missing)}."
            raise Refused("checklist_incomplete", 409, text, field="checklist", facts={"missing": missing})
    if target not in rules.FOLLOWS[state]:
        allowed = sorted(rules.FOLLOWS[state])
        text = f"A country that is {state} can become {', '.join(allowed)}."
        raise Refused("wrong_state", 409, text, field="state", facts={"state": state, "allowed": allowed})
    values: dict[str, Any] = {"state": target}
    if target == "requested":
        values["requested_at"] = now
    if target == "active":
        values["activated_at"] = now
    if target == "off":
        values |= {"test_message_id": None, "requested_at": None}
    return values


def _is_tested(view: View, stored: Row) -> bool:
    state = view.value("SELECT state FROM message WHERE id = ?", stored["test_message_id"] or "")
    return bool(state == State.DELIVERED)


def _sims(country: Country) -> str | None:
    return None if country.shipped is None or country.channel != "sms" else country.shipped["sims"]


def send_test(tx: Transaction, who: Acting, iso: str, channel: str, number: str, now: int) -> str:
    """Send the test message to a staff number of the country; its id. It passes no consent gate and costs nothing.

    Raises Refused `permission_denied`, `wrong_state`, `invalid_number`, `no_sender_for_country`.
    """
    who.require_operator(tx, COUNTRIES_ACTIVATE)
    country = find(tx, iso, channel)
    stored = _stored(tx, country, now)
    if stored["state"] != "testing" or channel != "sms":
        text = "Test messages are for countries in the state testing."
        raise Refused("wrong_state", 409, text, field="iso", facts={"state": stored["state"]})
    found = normalise(number, None)
    if found.state != "ok" or found.e164 is None or found.country != country.iso:
        text = "The test goes to a mobile number of the country, in international form."
        raise Refused("invalid_number", 422, text, field="number")
    org = organisation(tx, who.organisation_id)
    senders = tx.all("SELECT * FROM sender WHERE organisation_id = ? ORDER BY id", org["id"])
    sender = pick(tx, senders, {"id": "test", "country": country.iso}, stored).sender
    if sender is None:
        raise Refused("no_sender_for_country", 409, f"No SIM of this box may write to {country.iso}.")
    name = country.iso if country.shipped is None else country.shipped["name"]
    message_id = test_messages.queue(
        tx, org, sender, found.e164, country.iso, TEST_TEXT.format(company=org["name"], country=name), now
    )
    tx.execute("UPDATE country SET test_message_id = ? WHERE iso = ? AND channel = ?", message_id, country.iso, channel)
    tx.audit(now, who.actor, "country.test", f"country:{country.iso}/{channel}", {"message_id": message_id, **who.told})
    return message_id


def add_holiday(tx: Transaction, who: Acting, iso: str, day: date, name: str, now: int) -> None:
    """A day on which a country is treated as on a Sunday. Raises Refused `permission_denied`, `duplicate_holiday`."""
    who.require(tx, COMPLIANCE_EDIT)
    country = find(tx, iso, "sms")
    made = tx.execute(
        "INSERT INTO holiday (iso, day, name, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (iso, day) DO NOTHING",
        country.iso,
        day.isoformat(),
        name,
        now,
    )
    if not made:
        raise Refused("duplicate_holiday", 409, "This day is in the calendar already.", field="day")
    tx.audit(now, who.actor, "country.quiet_hours", f"country:{country.iso}", {"holiday_added": day.isoformat(), **who.told})
    tx.memo.clear()


def drop_holiday(tx: Transaction, who: Acting, iso: str, day: date, now: int) -> None:
    """Take an added day back; shipped ones stay. Raises Refused `permission_denied`, `holiday_not_found`."""
    who.require(tx, COMPLIANCE_EDIT)
    country = find(tx, iso, "sms")
    if not tx.execute("DELETE FROM holiday WHERE iso = ? AND day = ?", country.iso, day.isoformat()):
        raise Refused("holiday_not_found", 404, "No such day was added for this country.", field="day")
    tx.audit(now, who.actor, "country.quiet_hours", f"country:{country.iso}", {"holiday_dropped": day.isoformat(), **who.told})
    recheck(tx, country.iso, now)


def tell_overdue(tx: Transaction, now: int) -> int:
    """S57: an active country whose rule nobody has looked at for 180 days is told once; sending goes on. How many were told."""
    told = 0
    for row in tx.all("SELECT * FROM country WHERE state = 'active'"):
        country = Country(row["iso"], row["channel"], country_table().get(row["iso"]), row)
        due = rules.review(country.checked_at, now).due
        if not due or (row["review_told_at"] is not None and row["review_told_at"] >= (country.checked_at or 0)):
            continue
        tx.execute("UPDATE country SET review_told_at = ? WHERE iso = ? AND channel = ?", now, row["iso"], row["channel"])
        data = {"country": row["iso"], "channel": row["channel"], "checked_at": country.checked_at}
        tx.audit(now, "gateway", "country.review_due", f"country:{row['iso']}/{row['channel']}", data)
        for organisation_row in tx.all("SELECT id FROM organisation WHERE parent_id IS NULL"):
            tx.event(now, organisation_row["id"], "compliance.review_due", f"country:{row['iso']}", data)
        told += 1
    return told


# --- how it looks -----------------------------------------------------------------------------------------------------


def shown(view: View, country: Country, sim_zone: str, now: int) -> dict[str, Any]:
    """A country as the Countries page and counsel see it; times in ms."""
    shipped = country.shipped or {}
    added = view.all("SELECT day, name FROM holiday WHERE iso = ? ORDER BY day", country.iso)
    stored_hours = country.get("hours", '"default"')
    hours = hours_of_country(stored_hours, country.iso, sim_zone, tuple(row["day"] for row in added))
    checklist = json.loads(country.get("checklist", "[]"))
    review = rules.review(country.checked_at, now)
    source = country.get("source", "") or shipped.get("source", unknown_country()["source"])
    return {
        "iso": country.iso,
        "channel": country.channel,
        "name": shipped.get("name", country.iso),
        "state": country.get("state", "off"),
        "next_states": sorted(rules.FOLLOWS[country.get("state", "off")]),
        "opt_in": country.get("opt_in", "double"),
        "opt_in_suggested": shipped.get("opt_in", "double"),
        "hours": json.loads(stored_hours),
        "windows": _windows(stored_hours, shipped or unknown_country()),
        "zones": list(hours.zones) if not hours.always else [],
        "open_now": is_open(hours, now),
        "opens_at": next_opening(hours, now),
        "languages": list(shipped.get("languages", [])),
        "sims": shipped.get("sims", "on"),
        "links": country.get("links") or shipped.get("links", "allowed"),
        "price": country.get("price", 1),
        **{name: country.get(name, values[0]) for name, values in rules.POLICIES.items()},
        "lead_time_days": country.lead_time_days,
        "requested_at": country.get("requested_at"),
        "eta": rules.eta(country.get("requested_at"), country.lead_time_days),
        "documents": documents(country),
        "checklist": {item: item in checklist for item in rules.checklist_of(_sims(country))},
        "test": {
            "message_id": country.get("test_message_id"),
            "passed": country.stored is not None and _is_tested(view, country.stored),
        },
        "activated_at": country.get("activated_at"),
        "source": source,
        "note": shipped.get("note", ""),
        "owner": country.get("owner", ""),
        "checked_at": review.checked_at,
        "review_due": review.due,
        "holidays": {
            "version": calendar()["version"],
            "until": str(calendar()["until"]),
            "added": [{"day": row["day"], "name": row["name"]} for row in added],
        },
    }


def documents(country: Country) -> list[str]:
    """The papers of a commissioning: what its checklist asks for, in words."""
    return list(rules.checklist_of(_sims(country)).values())


def history(view: View, country: Country) -> list[Row]:
    """Every change of a country that the audit holds, oldest first."""
    return view.all(
        "SELECT at, actor, action, data FROM audit WHERE subject IN (?, ?) ORDER BY serial",
        f"country:{country.iso}/{country.channel}",
        f"country:{country.iso}",
    )


def _windows(stored: str, row: Mapping[str, Any]) -> dict[str, str] | None:
    own = json.loads(stored)
    if own == "always":
        return None
    table = own if isinstance(own, dict) else row
    days = ("weekdays", "saturday", "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "holidays")
    return {day: table[day] for day in days if day in table}


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


# --- the whole set-up -------------------------------------------------------------------------------------------------


def setup_gaps(view: View, organisation_id: str) -> list[dict[str, str]]:
    """What is missing before anybody may write (S29)."""
    active = []
    for row in view.all("SELECT * FROM country WHERE state = 'active' AND channel = 'sms' ORDER BY iso"):
        shipped = country_table().get(row["iso"], {})
        active.append({"iso": row["iso"], "opt_in": row["opt_in"], "languages": shipped.get("languages", ["en"])})
    texts = view.all("SELECT kind, language FROM wording WHERE organisation_id = ?", organisation_id)
    return rules.setup_gaps(
        organisation=organisation(view, organisation_id),
        senders=int(view.value("SELECT COUNT(*) AS n FROM sender WHERE organisation_id = ? AND active = 1", organisation_id)),
        active=active,
        texts={(row["kind"], row["language"]) for row in texts},
    )


def finish_setup(tx: Transaction, who: Acting, now: int) -> None:
    """The wizard's last step. Raises Refused `setup_incomplete` with every gap."""
    who.require(tx, COMPLIANCE_EDIT)
    gaps = setup_gaps(tx, who.organisation_id)
    if gaps:
        text = "The set-up is not complete: " + " ".join(gap["detail"] for gap in gaps)
        raise Refused("setup_incomplete", 422, text, facts={"gaps": gaps})
    tx.execute(
        "INSERT INTO setting (name, value) VALUES ('setup.finished_at', ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        str(now),
    )
    tx.execute("DELETE FROM setting WHERE name = ?", SETUP_PENDING)
    tx.memo.clear()
    tx.audit(now, who.actor, "config.change", who.organisation_id, {"setup": "finished", **who.told})
