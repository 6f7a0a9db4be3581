"""What each step of the first-run wizard does, and whether it is done; by the flows that pages, API and `apply` use as well."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import Refused
from gateway.flows import compliance, countries, credits, people, pins, senders, setting_up
from gateway.flows.apply_rows import Applying
from gateway.flows.facts import organisation
from gateway.flows.rights import Acting, find_unit
from gateway.keys import Keys
from gateway.rules.countries import checklist_of
from gateway.rules.lifecycle import State
from gateway.rules.numbers import normalise
from gateway.rules.permissions import COMPLIANCE_EDIT, CREDITS_GRANT, SETTINGS_EDIT
from gateway.rules.wordings import shipped_text
from gateway.store import lists_modems, setup
from gateway.store.database import Row, Transaction, View

STEPS: Final = ("organisation", "zone", "modem", "pin", "sender", "country", "test", "credits", "key", "backup")
FOUND: Final = ("ready", "sim", "starting", "resolving")
"""States of a modem that is there."""
CREDITS_REFERENCE: Final = "setup:first"
_TO_TESTING: Mapping[str, tuple[str, ...]] = {
    "off": ("requested", "testing"),
    "requested": ("testing",),
    "documents": ("testing",),
    "suspended": ("testing",),
}


@dataclass(frozen=True, slots=True)
class Situation:
    """How far a box is, read in one go."""

    organisation: Row
    modems: list[Row]
    senders: list[Row]
    country: countries.Country | None
    """The country that is being commissioned, or is."""
    test: Row | None
    credits: int
    keys: int
    done: Mapping[str, bool]

    @property
    def missing(self) -> list[str]:
        """The steps that are not done, in order."""
        return [step for step in STEPS if not self.done[step]]

    @property
    def locked(self) -> list[Row]:
        """Modems whose SIM card waits for its PIN."""
        return [modem for modem in self.modems if pins.is_locked(modem)]

    @property
    def ready(self) -> list[Row]:
        """Modems that can send."""
        return [modem for modem in self.modems if modem["state"] == "ready"]


def situation(view: View, organisation_id: str) -> Situation:
    """Where the set-up stands."""
    org, noted = organisation(view, organisation_id), setting_up.noted(view)
    modems = view.all("SELECT * FROM modem WHERE state <> 'removed' ORDER BY gateway, name")
    numbers = view.all("SELECT * FROM sender WHERE organisation_id = ? AND active = 1 ORDER BY id", organisation_id)
    country = _country(view)
    test = None if country is None else lists_modems.trial_message(view, organisation_id, country.get("test_message_id"))
    balance = credits.balance(view, organisation_id).available
    keys = len([row for row in setup.keys_of(view, organisation_id) if row["revoked_at"] is None])
    state = "off" if country is None else country.get("state", "off")
    done = {
        "organisation": "organisation" in noted and bool(org["region"]),
        "zone": "zone" in noted,
        "modem": any(modem["state"] in FOUND for modem in modems),
        "pin": any(modem["state"] == "ready" for modem in modems),
        "sender": bool(numbers),
        "country": country is not None and state in ("testing", "active") and not _untold(view, organisation_id, country),
        "test": state == "active",
        "credits": "credits" in noted or balance > 0,
        "key": "key" in noted or keys > 0,
        "backup": "backup" in noted,
    }
    return Situation(org, modems, numbers, country, test, balance, keys, done)


def _country(view: View) -> countries.Country | None:
    rank = "CASE state WHEN 'active' THEN 0 WHEN 'testing' THEN 1 ELSE 2 END"
    row = view.one(f"SELECT iso FROM country WHERE channel = 'sms' AND state <> 'off' ORDER BY {rank}, updated_at DESC LIMIT 1")
    return None if row is None else countries.find(view, row["iso"], "sms")


def _untold(view: View, organisation_id: str, country: countries.Country) -> list[str]:
    """Languages of a country in which the opt-in text is missing, and items of its checklist."""
    kind, own = text_kind(country), _own_texts(view, organisation_id)
    languages = [language for language in languages_of(country) if (kind, language) not in own]
    ticked = json.loads(country.get("checklist", "[]"))
    return languages + [item for item in checklist(country) if item not in ticked]


def _own_texts(view: View, organisation_id: str) -> dict[tuple[str, str], str]:
    rows = view.all("SELECT kind, language, body FROM wording WHERE organisation_id = ?", organisation_id)
    return {(row["kind"], row["language"]): row["body"] for row in rows}


# --- the steps -------------------------------------------------------------------------------------------------------


def name_organisation(tx: Transaction, who: Acting, name: str, region: str, language: str, now: int) -> None:
    """Who writes, from which country, in which language. Raises Refused."""
    unit = find_unit(tx, who.organisation_id, "self")
    if not region:
        raise Refused("region_missing", 422, "Choose the country in which the organisation is at home.", field="region")
    people.change_unit(tx, who, unit, {"name": name, "region": region, "language": language}, now)
    setting_up.note(tx, who, "organisation", now)


def set_zone(tx: Transaction, who: Acting, zone: str, now: int) -> None:
    """The zone of clocks, days and months. Raises Refused `invalid_timezone`."""
    unit = find_unit(tx, who.organisation_id, "self")
    people.change_unit(tx, who, unit, {"zone": zone}, now)
    setting_up.note(tx, who, "zone", now)


def put_sender(tx: Transaction, who: Acting, box: Keys, modem_id: str, number: str, now: int) -> None:
    """The telephone number of the SIM card in a modem. Raises Refused `invalid_number`, `no_card`, `duplicate_number`."""
    who.require(tx, SETTINGS_EDIT)
    found = normalise(number, None)
    if found.state != "ok" or found.e164 is None or found.country is None:
        text = "Enter the card's mobile number in international form, such as +46 70 …"
        raise Refused("invalid_number", 422, text, field="number")
    modem = tx.one("SELECT * FROM modem WHERE id = ? AND state = 'ready'", modem_id)
    if modem is None or not modem["iccid"]:
        raise Refused("no_card", 409, "No SIM card is ready in this modem.", field="modem")
    before = tx.one("SELECT * FROM sender WHERE iccid = ? AND organisation_id = ?", modem["iccid"], who.organisation_id)
    if before is not None and before["number"] != found.e164:  # typed wrongly the first time; nothing has left yet
        taken = tx.one("SELECT 1 AS yes FROM sender WHERE number = ?", found.e164)
        if taken is not None:
            raise Refused("duplicate_number", 409, "Another SIM card has this number.", field="number")
        tx.execute("UPDATE sender SET number = ?, updated_at = ? WHERE id = ?", found.e164, now, before["id"])
        tx.audit(now, who.actor, "sender.update", before["id"], {"number": "changed", **who.told})
    Applying(tx, box, who.actor, now).put(
        "sender", {"number": found.e164}, {"iccid": modem["iccid"], "countries": [found.country], "active": True}
    )
    tx.memo.clear()
    tx.wake = True


def prepare_country(tx: Transaction, who: Acting, iso: str, texts: Mapping[str, str], ticked: Collection[str], now: int) -> None:
    """Bring a country to the state testing: opt-in texts in its languages, its checklist, a sender that writes there.

    Raises Refused `text_missing`, and what the flows of countries and texts raise.
    """
    who.require(tx, COMPLIANCE_EDIT)
    country = countries.find(tx, iso, "sms")
    for language in languages_of(country):
        body = texts.get(language, "").strip()
        if not body:
            raise Refused("text_missing", 422, f"The text in {language} is missing.", field=f"text_{language}")
        try:
            compliance.put_text(tx, who.organisation_id, text_kind(country), language, body, who.actor, now)
        except Refused as refused:
            place = f"text_{language}"
            raise Refused(refused.code, refused.status, refused.detail, field=place, facts=refused.facts) from refused
    missing = [item for item in checklist(country) if item not in ticked]
    if missing:
        raise Refused("unticked", 422, "Tick each point once it is true.", field="checklist", facts={"missing": missing})
    for state in _TO_TESTING.get(country.get("state", "off"), ()):
        countries.change(tx, who, country.iso, "sms", {"state": state}, now)
    countries.change(tx, who, country.iso, "sms", {"checklist": dict.fromkeys(checklist(country), True)}, now)
    for sender in tx.all("SELECT * FROM sender WHERE organisation_id = ? AND active = 1", who.organisation_id):
        served = json.loads(sender["countries"])
        if country.iso not in served:
            senders.change_sender(
                tx, who.organisation_id, sender["id"], {"countries": [*served, country.iso]}, who.told, who.actor, now
            )
    tx.memo.clear()


def activate(tx: Transaction, who: Acting, now: int) -> None:
    """Open the country whose test message has arrived. Raises Refused `not_tested`, `checklist_incomplete`."""
    country = _country(tx)
    if country is None:
        raise Refused("no_country", 409, "No country is being commissioned.")
    if country.get("state") != "active":
        countries.change(tx, who, country.iso, "sms", {"state": "active"}, now)


def send_test(tx: Transaction, who: Acting, number: str, now: int) -> str:
    """Send the country's test message; its id. Raises Refused, also `test_under_way`."""
    country = _country(tx)
    if country is None:
        raise Refused("no_country", 409, "No country is being commissioned.", field="number")
    before = lists_modems.trial_message(tx, who.organisation_id, country.get("test_message_id"))
    if before is not None and before["state"] in (State.QUEUED, State.SENDING):
        raise Refused("test_under_way", 409, "A test message is on its way already.", field="number")
    return countries.send_test(tx, who, country.iso, "sms", number, now)


def first_credits(tx: Transaction, who: Acting, amount: int, now: int) -> None:
    """Credits to begin with, once. Raises Refused."""
    who.require(tx, CREDITS_GRANT)
    credits.grant(tx, who.organisation_id, amount, CREDITS_REFERENCE, "first credits", who.actor, now)
    setting_up.note(tx, who, "credits", now)


def first_key(tx: Transaction, who: Acting, name: str, now: int) -> str:
    """A key for the applicant tracking system, shown once. Raises Refused."""
    who.require(tx, SETTINGS_EDIT)
    _row, secret = setup.create_key(tx, who.organisation_id, name, setup.ATS_SCOPES, who.actor, now)
    setting_up.note(tx, who, "key", now)
    return secret


def finish(tx: Transaction, who: Acting, now: int) -> None:
    """Everything is there: messages may leave. Raises Refused `steps_missing`, `setup_incomplete`."""
    setting_up.finish(tx, who, situation(tx, who.organisation_id).missing, now)


# --- what a country needs --------------------------------------------------------------------------------------------


def languages_of(country: countries.Country) -> list[str]:
    """In which languages a country's candidates are written to."""
    return list((country.shipped or {}).get("languages", ["en"]))


def text_kind(country: countries.Country) -> str:
    """Which text its opt-in needs."""
    return "identification" if country.get("opt_in", "double") == "single" else "consent_optin"


def checklist(country: countries.Country) -> dict[str, str]:
    """What must be true before it is opened."""
    return checklist_of(None if country.shipped is None else country.shipped["sims"])


def texts(view: View, organisation_id: str, country: countries.Country) -> dict[str, dict[str, Any]]:
    """By language: the organisation's own text, or the shipped proposal."""
    kind, own = text_kind(country), _own_texts(view, organisation_id)
    found = {}
    for language in languages_of(country):
        body = own.get((kind, language))
        found[language] = {"body": body or shipped_text(kind, language) or "", "is_own": body is not None}
    return found
