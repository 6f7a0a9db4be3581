"""Who acts: the key, or the person it names. One rule for every route that changes something; and a GET changes nothing."""

from typing import Any

import httpx
import pytest
from flask import Flask

from gateway.store import ids, setup
from gateway.store.database import Transaction
from tests.web.conftest import CLI, Box, message, problem
from web.app import create_app

EVA = "eva@acme.example"
"""A recruiter on the team of job-7."""
OLLE = "olle@acme.example"
"""A viewer on the team: reads, and changes nothing."""
ADMIN = "ada@acme.example"
STRANGER = "sten@acme.example"
"""A recruiter like Eva, on no team."""


@pytest.fixture(autouse=True)
def people(box: Box) -> None:
    """An administrator, and a recruiter of no team."""

    def step(tx: Transaction) -> None:
        for email, roles in ((ADMIN, ["admin"]), (STRANGER, ["recruiter"])):
            setup.create_user(
                tx, box.organisation_id, email=email, name=email, roles=roles, seat=False, actor=CLI, now=box.clock.now_ms()
            )

    box.write(step)


def user_id(box: Box, email: str) -> str:
    return str(box.value("SELECT id FROM app_user WHERE email = ?", email))


def actor_of(box: Box, action: str) -> str:
    """Who the audit says did this last."""
    return str(box.value("SELECT actor FROM audit WHERE action = ? ORDER BY serial DESC LIMIT 1", action))


def task(box: Box) -> str:
    """A candidate of job-7 seems to have asked for no more messages; the task's id."""
    now, task_id = box.clock.now_ms(), ids.new("task")

    def step(tx: Transaction) -> None:
        tx.insert(
            "task",
            id=task_id,
            organisation_id=box.organisation_id,
            kind="possible_opt_out",
            candidate_id=tx.value("SELECT id FROM candidate WHERE ref = 'anna'"),
            case_id=tx.value("SELECT id FROM hiring_case WHERE ref = 'job-7'"),
            state="open",
            due_at=now,
            created_at=now,
        )

    box.write(step)
    return task_id


def unknown(api: httpx.Client, box: Box) -> str:
    """A message whose fate nobody knows; its id."""
    made = str(api.post("/messages", json=message()).json()["id"])

    def step(tx: Transaction) -> None:
        tx.execute("UPDATE message SET state = 'unknown' WHERE id = ?", made)
        tx.execute("UPDATE part SET state = 'unknown' WHERE message_id = ?", made)

    box.write(step)
    return made


def interview(api: httpx.Client) -> str:
    """An invitation by Eva; its id."""
    body = {"user": EVA, "candidate_ref": "anna", "case_ref": "job-7", "type": "scheduled", "tz": "Europe/Stockholm"}
    body |= {"starts_at": "2026-03-05T09:00:00Z", "text": "Hej! {{interview_link}}", "response_url": "https://ats.example/i/1"}
    made = api.post("/interviews", json=body)
    assert made.status_code == 202, made.text
    return str(made.json()["id"])


ACTS: list[tuple[str, str, dict[str, Any], str, str, str]] = [
    ("POST", "/messages/{queued}/cancel", {}, EVA, OLLE, "message.cancel"),
    ("POST", "/messages/{unknown}/resolve", {"choice": "send_again"}, EVA, OLLE, "message.override"),
    ("POST", "/tasks/{task}/done", {"outcome": "resume"}, EVA, STRANGER, "task.done"),
    ("PATCH", "/compliance/settings", {"grant_days": 200}, ADMIN, EVA, "config.change"),
    ("PATCH", "/compliance/countries/SE", {"opt_in": "double"}, ADMIN, EVA, "country.opt_in"),
    ("PUT", "/compliance/texts/help/sv", {"body": "{{company}}. STOPP avslutar."}, ADMIN, EVA, "text.update"),
    ("POST", "/compliance/keywords", {"word": "nejtack", "kind": "stop"}, ADMIN, EVA, "keyword.add"),
    ("PUT", "/retention", {"raw_days": 6}, ADMIN, EVA, "config.change"),
    ("POST", "/candidates/anna/export", {}, ADMIN, EVA, "export.run"),
    ("PUT", "/organisations/self/allowances/self", {"monthly": 5}, ADMIN, EVA, "config.change"),
    ("POST", "/webhooks", {"url": "http://127.0.0.1:9/x"}, ADMIN, EVA, "webhook.create"),
    ("PATCH", "/countries/SE", {"lead_time_days": 3}, ADMIN, EVA, "country.update"),
    ("POST", "/countries/SE/holidays", {"day": "2027-06-06"}, ADMIN, EVA, "country.quiet_hours"),
    ("PATCH", "/interviews/{interview}", {"location": "Room 7"}, EVA, STRANGER, "interview.reschedule"),
]


@pytest.mark.parametrize(("method", "path", "body", "may", "may_not", "action"), ACTS, ids=[act[1] for act in ACTS])
def test_the_person_named_must_have_the_right_and_is_who_the_audit_names(
    api: httpx.Client, box: Box, method: str, path: str, body: dict[str, Any], may: str, may_not: str, action: str
) -> None:
    ready = {"queued": lambda: api.post("/messages", json=message()).json()["id"]}
    ready |= {"unknown": lambda: unknown(api, box), "task": lambda: task(box), "interview": lambda: interview(api)}
    path = path.format(**{name: make() for name, make in ready.items() if f"{{{name}}}" in path})
    refused = api.request(method, path, json={**body, "user": may_not})
    assert (refused.status_code, refused.json()["code"]) in ((403, "permission_denied"), (403, "not_on_hiring_team"))
    problem(api.request(method, path, json={**body, "user": "nobody@acme.example"}), 404, "user_not_found", "user")
    done = api.request(method, path, json={**body, "user": may})
    assert done.status_code < 300, done.text
    assert actor_of(box, action) == f"user:{user_id(box, may)}"


@pytest.mark.parametrize(
    ("path", "may", "may_not", "action"),
    [
        ("/interviews/{made}", EVA, STRANGER, "interview.cancel"),
        ("/webhooks/{made}", ADMIN, EVA, "webhook.delete"),
        ("/compliance/texts/help/sv", ADMIN, EVA, "text.delete"),
        ("/compliance/keywords/nejtack", ADMIN, EVA, "keyword.remove"),
        ("/countries/SE/holidays/2027-06-06", ADMIN, EVA, "country.quiet_hours"),
    ],
)
def test_who_deletes_is_named_in_the_query(api: httpx.Client, box: Box, path: str, may: str, may_not: str, action: str) -> None:
    if path.startswith("/interviews"):
        path = path.format(made=interview(api))
    else:
        method, where, body = max((act[:3] for act in ACTS if path.startswith(act[1])), key=lambda act: len(act[1]))
        path = path.format(made=api.request(method, where, json=body).json().get("id"))
    assert api.delete(path, params={"user": may_not}).status_code == 403
    done = api.delete(path, params={"user": may})
    assert done.status_code < 300, done.text
    assert actor_of(box, action) == f"user:{user_id(box, may)}"


def test_a_key_that_names_nobody_acts_by_its_scopes(api: httpx.Client, box: Box) -> None:
    made = api.post("/messages", json=message()).json()["id"]
    assert api.post(f"/messages/{made}/cancel").json()["outcome"] == "cancelled"
    assert actor_of(box, "message.cancel").startswith("key:")


def test_what_others_wrote_is_cancelled_by_the_team_alone_and_ones_own_by_oneself(api: httpx.Client, box: Box) -> None:
    made = api.post("/messages", json=message()).json()["id"]
    problem(api.post(f"/messages/{made}/cancel", json={"user": STRANGER}), 403, "not_on_hiring_team", "user")
    api.put("/cases/job-7", json={"team": [OLLE]})
    assert api.post(f"/messages/{made}/cancel", json={"user": EVA}).json()["outcome"] == "cancelled"


def test_the_audit_keeps_the_key_beside_the_person(api: httpx.Client, box: Box) -> None:
    api.patch("/countries/SE", json={"lead_time_days": 3, "user": ADMIN})
    data = box.value("SELECT data FROM audit WHERE action = 'country.update' ORDER BY serial DESC LIMIT 1")
    assert '"via":"key:' in data


# --- a GET changes nothing --------------------------------------------------------------------------------------------

MAY_GROW = {"audit", "audit_private", "subject_salt", "api_key", "idempotency", "export_link"}
"""That somebody read much is noted; nothing else is."""


def _state(box: Box) -> dict[str, list[tuple[Any, ...]]]:
    tables = [name for name in box.database.peewee.get_tables() if name not in MAY_GROW]
    with box.database.read() as view:
        return {name: [tuple(dict(row).values()) for row in view.all(f"SELECT * FROM {name}")] for name in sorted(tables)}


def _gets(app: Flask) -> list[str]:
    return sorted(rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/v1/") and "GET" in rule.methods)


def test_no_get_changes_anything(api: httpx.Client, box: Box) -> None:
    made = api.post("/messages", json=message()).json()["id"]
    link = api.post("/candidates/anna/export").json()["url"].rsplit("/", 1)[1]
    hook = api.post("/webhooks", json={"url": "http://127.0.0.1:9/x"}).json()["id"]
    thread = box.value("SELECT id FROM thread")
    values = {"ref": "job-7", "id": "self", "channel": "sms", "iso": "SE", "kind": "help", "token": link, "unit": "self"}
    before = _state(box)
    reached = 0
    for rule in _gets(create_app(box.config, box.clock, box.database)):
        if rule.startswith("/api/v1/events"):
            continue  # waits for events
        area = rule.split("/")[3]
        known = {"candidates": {"ref": "anna"}, "messages": {"id": made}, "webhooks": {"id": hook}, "threads": {"id": thread}}
        known |= {"users": {"id": EVA}}
        filled = rule.removeprefix("/api/v1")
        for name, value in {**values, **known.get(area, {})}.items():
            filled = filled.replace(f"<{name}>", value)
        query = {"user": EVA} if rule.endswith("/channels") else {"case": "job-7"} if rule.endswith("/options") else {}
        answer = api.get(filled, params=query)
        reached += answer.status_code == 200
        assert answer.status_code in (200, 404, 405), f"{filled}: {answer.text}"
        assert _state(box) == before, f"GET {filled} changed something"
    assert reached > 40
