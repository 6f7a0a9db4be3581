"""Candidates, cases, consents, credits, modems, events, webhooks, and how the box is."""

import json
import threading
from typing import Any

import httpx
import pytest

from tests.web.conftest import MOBILE, Box, message, problem
from web.server import Server

EVIDENCE = {"captured_at": "2026-03-01T08:00:00Z", "wording_version": "3", "wording_text": "Yes, text me."}


class TestCandidates:
    def test_a_national_number_is_read_in_its_region(self, api: httpx.Client) -> None:
        body = api.put("/candidates/bo", json={"first_name": "Bo", "phone": "070-174 06 05", "region": "SE"}).json()
        assert body["phone"] == {"raw": "070-174 06 05", "e164": MOBILE, "state": "ok", "country": "SE", "subdivision": None}
        assert api.get("/candidates/bo").json() == body

    @pytest.mark.parametrize(("phone", "state"), [("+4687654321", "not_mobile"), ("abc", "invalid"), ("", "missing")])
    def test_a_bad_number_is_stored_and_says_why(self, api: httpx.Client, phone: str, state: str) -> None:
        answer = api.put("/candidates/bo", json={"phone": phone, "region": "SE"})
        assert answer.status_code == 200
        assert answer.json()["phone"]["state"] == state
        assert answer.json()["phone"]["e164"] is None

    def test_what_is_left_out_stays(self, api: httpx.Client) -> None:
        api.put("/candidates/bo", json={"first_name": "Bo", "last_name": "Ek"})
        body = api.put("/candidates/bo", json={"first_name": "Bosse"}).json()
        assert (body["first_name"], body["last_name"]) == ("Bosse", "Ek")

    def test_a_reference_may_hold_a_slash_or_a_space(self, api: httpx.Client) -> None:
        api.put("/candidates/acme%2F7%20b", json={"first_name": "Bo"})
        assert api.get("/candidates/acme%2F7%20b").json()["ref"] == "acme/7 b"

    def test_an_unknown_candidate_is_404(self, api: httpx.Client) -> None:
        for path in ("", "/messages", "/consents", "/consents/sms"):
            problem(api.get(f"/candidates/nobody{path}"), 404, "candidate_not_found")

    def test_a_candidates_messages_are_listed(self, api: httpx.Client) -> None:
        made = api.post("/messages", json=message()).json()["id"]
        assert [row["id"] for row in api.get("/candidates/anna/messages").json()["data"]] == [made]

    def test_channels_say_why_they_are_closed(self, api: httpx.Client, box: Box) -> None:
        where = {"user": "eva@acme.example", "case": "job-7"}
        assert api.get("/candidates/anna/channels", params=where).json()["sms"] == {
            "available": True,
            "reason": None,
            "window_expires_at": None,
        }
        api.put("/candidates/anna/consents/sms", json={"status": "revoked"})
        assert api.get("/candidates/anna/channels", params=where).json()["sms"]["reason"] == "opted_out"
        problem(api.get("/candidates/anna/channels"), 422, "validation_failed", "user")


class TestCases:
    def test_a_case_is_put_and_shown(self, api: httpx.Client) -> None:
        body = api.put("/cases/job-8", json={"title": "Cook", "language": "sv", "team": ["eva@acme.example"]}).json()
        assert (body["title"], body["organisation"], body["team"]) == ("Cook", "acme", ["eva@acme.example"])
        assert api.get("/cases/job-8").json() == body

    def test_an_unknown_colleague_is_404(self, api: httpx.Client) -> None:
        problem(api.put("/cases/job-8", json={"title": "Cook", "team": ["x@acme.example"]}), 404, "user_not_found", "team")
        problem(api.get("/cases/job-8"), 404, "case_not_found")


class TestConsents:
    def test_a_granted_consent_opens_the_channel(self, api: httpx.Client, box: Box) -> None:
        box.candidate("bo", phone="+46701740606", consent=False)
        problem(api.post("/messages", json=message(candidate_ref="bo")), 409, "consent_required")
        body = api.put("/candidates/bo/consents/sms", json={"status": "granted", "evidence": EVIDENCE}).json()
        assert (body["channel"], body["purpose"], body["status"]) == ("sms", "recruiting_process", "granted")
        assert api.post("/messages", json=message(candidate_ref="bo")).status_code == 202

    @pytest.mark.parametrize(
        ("evidence", "code", "field"),
        [
            ({"wording_version": None}, "evidence_incomplete", "evidence.wording_version"),
            ({"captured_at": None}, "evidence_incomplete", "evidence.captured_at"),
            ({"captured_at": "2027-03-01T08:00:00Z"}, "evidence_incomplete", "evidence.captured_at"),
            ({"captured_at": "last week"}, "validation_failed", "evidence.captured_at"),
            ({"prechecked": True}, "prechecked", "evidence.prechecked"),
        ],
    )
    def test_evidence_must_prove_something(self, api: httpx.Client, evidence: dict[str, Any], code: str, field: str) -> None:
        whole = {name: value for name, value in {**EVIDENCE, **evidence}.items() if value is not None}
        body = {"status": "granted", "evidence": whole}
        problem(api.put("/candidates/anna/consents/sms", json=body), 422, code, field)

    def test_what_else_the_ats_knows_is_kept(self, api: httpx.Client, box: Box) -> None:
        body = {"status": "granted", "evidence": {**EVIDENCE, "ip": "192.0.2.1", "form_snapshot_hash": "ab12"}}
        assert api.put("/candidates/anna/consents/sms", json=body).status_code == 200
        kept = json.loads(box.value("SELECT evidence FROM consent ORDER BY version DESC LIMIT 1"))
        assert (kept["ip"], kept["form_snapshot_hash"], kept["wording_text"]) == ("192.0.2.1", "ab12", "Yes, text me.")

    def test_consents_are_told_per_channel_and_purpose(self, api: httpx.Client) -> None:
        states = {(row["channel"], row["purpose"]): row["status"] for row in api.get("/candidates/anna/consents").json()["data"]}
        assert states["sms", "recruiting_process"] == "granted"
        assert states["whatsapp", "recruiting_process"] == "none"
        assert {row["channel"] for row in api.get("/candidates/anna/consents/sms").json()["data"]} == {"sms"}

    def test_a_withdrawal_cancels_what_waits(self, api: httpx.Client) -> None:
        made = api.post("/messages", json=message()).json()["id"]
        api.put("/candidates/anna/consents/sms", json={"status": "revoked"})
        shown = api.get(f"/messages/{made}").json()
        assert shown["state"] == "cancelled"
        assert shown["error"]["code"] == "opted_out"
        problem(api.post("/messages", json=message()), 409, "opted_out")


class TestCredits:
    def test_balance_and_ledger(self, api: httpx.Client) -> None:
        api.post("/messages", json=message(text="Hej " * 80))
        assert api.get("/organisations/self/credits").json() == {"organisation": "acme", "available": 9_997, "reserved": 3}
        entries = api.get("/organisations/acme/ledger").json()["data"]
        assert [(entry["kind"], entry["amount"]) for entry in entries] == [("reserve", -3), ("grant", 10_000)]
        first = api.get("/organisations/acme/ledger", params={"limit": 1}).json()
        assert [entry["kind"] for entry in first["data"]] == ["reserve"]
        second = api.get("/organisations/acme/ledger", params={"limit": 1, "after": first["next"]}).json()
        assert [entry["kind"] for entry in second["data"]] == ["grant"]
        assert second["next"] is None

    def test_a_grant_is_booked_once_per_reference(self, api: httpx.Client) -> None:
        body = {"amount": 500, "reference": "PO-7"}
        assert api.post("/organisations/self/grants", json=body).json()["available"] == 10_500
        problem(api.post("/organisations/self/grants", json=body), 409, "duplicate_reference", "reference")

    @pytest.mark.parametrize("amount", [-5, 0, 1.5, "5", True, None, 10**19])
    def test_a_grant_is_a_whole_number_above_zero(self, api: httpx.Client, amount: Any) -> None:
        body = {"amount": amount, "reference": "PO-7"}
        problem(api.post("/organisations/self/grants", json=body), 422, "validation_failed", "amount")

    def test_another_organisation_is_404(self, api: httpx.Client) -> None:
        problem(api.get("/organisations/other/credits"), 404, "organisation_not_found", "id")


class TestModems:
    @pytest.fixture
    def modem(self, box: Box) -> str:
        now = box.clock.now_ms()

        def step(tx: Any) -> None:
            tx.insert("gateway", name="test", epoch=1, holder="x", started_at=now, heartbeat_at=now, version="0")
            tx.insert("modem", id="mdm_1", gateway="test", name="modem1", state="ready", iccid="894", signal_dbm=-71, seen_at=now)
            tx.insert("signal_sample", modem_id="mdm_1", at=now, dbm=-71)

        box.write(step)
        return "mdm_1"

    def test_a_modem_is_shown_with_its_signal(self, api: httpx.Client, box: Box, modem: str) -> None:
        row = api.get("/modems").json()["data"][0]
        assert (row["state"], row["signal_dbm"], row["stale"], row["sim"]["iccid"]) == ("ready", -71, False, "894")
        assert api.get(f"/modems/{modem}").json()["signal"] == [{"at": "2026-03-02T10:00:00.000Z", "dbm": -71}]
        box.clock.advance(60)
        assert api.get(f"/modems/{modem}").json()["stale"] is True
        problem(api.get("/modems/none"), 404, "modem_not_found", "id")

    def test_a_command_is_a_row_that_is_asked_for(self, api: httpx.Client, box: Box, modem: str) -> None:
        given = api.post(f"/modems/{modem}/commands", json={"verb": "ussd", "args": {"code": "*100#"}})
        assert given.status_code == 202
        assert given.json()["state"] == "waiting"
        where = f"/modems/{modem}/commands/{given.json()['id']}"
        box.write(lambda tx: tx.execute("UPDATE command SET state = 'done', result = ?", '{"text": "Saldo 20 kr"}'))
        assert api.get(where).json()["result"] == {"text": "Saldo 20 kr"}
        problem(api.post(f"/modems/{modem}/commands", json={"verb": "format"}), 422, "validation_failed", "verb")

    def test_a_command_that_nobody_took_has_expired(self, api: httpx.Client, box: Box, modem: str) -> None:
        given = api.post(f"/modems/{modem}/commands", json={"verb": "park", "expires_in_s": 5}).json()
        box.clock.advance(5)
        assert api.get(f"/modems/{modem}/commands/{given['id']}").json()["state"] == "expired"


class TestEvents:
    @pytest.fixture(autouse=True)
    def sealed(self, box: Box) -> None:
        box.seal()

    def test_they_are_followed_by_their_ids(self, api: httpx.Client, box: Box) -> None:
        made = [api.post("/messages", json=message()).json()["id"] for _ in range(3)]
        box.seal()
        first = api.get("/events", params={"limit": 2, "types": "message.state"}).json()
        assert [event["data"]["message_id"] for event in first["data"]] == made[:2]
        rest = api.get("/events", params={"after": first["next"], "types": "message.state"}).json()
        assert [event["data"]["message_id"] for event in rest["data"]] == made[2:]
        nothing = api.get("/events", params={"after": rest["next"]}).json()
        assert nothing == {"data": [], "next": rest["next"]}

    def test_a_long_poll_ends_with_the_next_event(self, api: httpx.Client, box: Box) -> None:
        seen = api.get("/events").json()["next"]
        answers: list[dict[str, Any]] = []

        def poll() -> None:
            answers.append(api.get("/events", params={"after": seen, "wait": 30}, timeout=20).json())

        waiting = threading.Thread(target=poll)
        waiting.start()
        made = api.post("/messages", json=message()).json()["id"]
        box.seal()
        waiting.join()
        assert [event["data"]["message_id"] for event in answers[0]["data"]] == [made]

    def test_a_long_poll_ends_with_its_time(self, api: httpx.Client, box: Box) -> None:
        seen = api.get("/events").json()["next"]
        ended = threading.Event()

        def poll() -> None:
            assert api.get("/events", params={"after": seen, "wait": 30}, timeout=20).json()["data"] == []
            ended.set()

        waiting = threading.Thread(target=poll)
        waiting.start()
        while not ended.wait(0.01):
            box.clock.advance(5)
        waiting.join()

    def test_an_unknown_id_is_404(self, api: httpx.Client) -> None:
        problem(api.get("/events", params={"after": "evt_none"}), 404, "event_not_found", "after")


class TestWebhooks:
    URL = "http://127.0.0.1:9/hook"

    def test_an_endpoint_lives_and_dies(self, api: httpx.Client) -> None:
        made = api.post("/webhooks", json={"url": self.URL, "events": ["message.state"]}).json()
        assert made["secret"].startswith("whsec_")
        shown = api.get(f"/webhooks/{made['id']}").json()
        assert "secret" not in shown
        assert shown["events"] == ["message.state"]
        assert api.patch(f"/webhooks/{made['id']}", json={"active": False}).json()["active"] is False
        assert api.get("/webhooks").json()["data"][0]["active"] is False
        assert api.delete(f"/webhooks/{made['id']}").status_code == 204
        problem(api.get(f"/webhooks/{made['id']}"), 404, "endpoint_not_found")

    def test_what_has_only_optional_fields_needs_no_body(self, api: httpx.Client) -> None:
        made = api.post("/webhooks", json={"url": self.URL}).json()["id"]
        assert api.post(f"/webhooks/{made}/secret").status_code == 200
        assert api.post(f"/webhooks/{made}/replay").json() == {"replayed": 0}

    def test_a_secret_is_rotated(self, api: httpx.Client) -> None:
        made = api.post("/webhooks", json={"url": self.URL}).json()
        fresh = api.post(f"/webhooks/{made['id']}/secret", json={}).json()["secret"]
        assert fresh != made["secret"]
        assert api.get(f"/webhooks/{made['id']}").json()["old_secret_until"] == "2026-03-03T10:00:00.000Z"

    @pytest.mark.parametrize(
        ("body", "code", "field"),
        [
            ({"url": "ftp://x/"}, "invalid_url", "url"),
            ({"url": "http://u:p@x/"}, "invalid_url", "url"),
            ({"url": URL, "events": ["message.lost"]}, "unknown_event", "events"),
            ({"url": URL, "events": []}, "validation_failed", "events"),
            ({"url": URL, "secret": "whsec_x"}, "invalid_secret", "secret"),
        ],
    )
    def test_a_wrong_endpoint_is_refused(self, api: httpx.Client, body: dict[str, Any], code: str, field: str) -> None:
        problem(api.post("/webhooks", json=body), 422, code, field)

    def test_the_same_url_twice_is_409(self, api: httpx.Client) -> None:
        api.post("/webhooks", json={"url": self.URL})
        problem(api.post("/webhooks", json={"url": self.URL}), 409, "duplicate_endpoint", "url")

    def test_dead_letters_are_listed_and_replayed(self, api: httpx.Client, box: Box) -> None:
        made = api.post("/webhooks", json={"url": self.URL}).json()["id"]
        event = api.post(f"/webhooks/{made}/test").json()["event_id"]
        now = box.clock.now_ms()
        box.write(
            lambda tx: tx.insert(
                "delivery",
                id="dlv_1",
                endpoint_id=made,
                event_id=event,
                position=1,
                stream=made,
                state="dead",
                attempts=9,
                next_at=now,
                first_at=now,
                done_at=now,
                answer="500",
            )
        )
        rows = api.get(f"/webhooks/{made}/deliveries", params={"state": "dead"}).json()["data"]
        assert [(row["id"], row["type"], row["answer"]) for row in rows] == [("dlv_1", "webhook.test", "500")]
        assert api.post(f"/webhooks/{made}/replay", json={"deliveries": ["dlv_1"]}).json() == {"replayed": 1}
        assert api.get(f"/webhooks/{made}/deliveries").json()["data"][0]["state"] == "waiting"


class TestSystem:
    @pytest.fixture
    def root(self, server: Server) -> str:
        return f"http://127.0.0.1:{server.port}"

    def test_alive_and_ready(self, root: str, box: Box) -> None:
        assert httpx.get(f"{root}/healthz", trust_env=False).json() == {"status": "ok"}
        answer = httpx.get(f"{root}/readyz", trust_env=False)
        assert (answer.status_code, answer.json()["checks"]["gateway"]) == (503, "never seen")
        now = box.clock.now_ms()

        def step(tx: Any) -> None:
            tx.insert("gateway", name="test", epoch=1, holder="x", started_at=now, heartbeat_at=now, version="0")
            tx.insert("modem", id="mdm_1", gateway="test", name="modem1", state="ready")

        box.write(step)
        assert httpx.get(f"{root}/readyz", trust_env=False).status_code == 200
        box.clock.advance(100)
        answer = httpx.get(f"{root}/readyz", trust_env=False)
        assert (answer.status_code, answer.json()["checks"]["gateway"]) == (503, "silent for 100 s")

    def test_figures_for_prometheus(self, api: httpx.Client, root: str) -> None:
        api.post("/messages", json=message())
        answer = httpx.get(f"{root}/metrics", trust_env=False)
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'ringpost_messages{state="queued"} 1.0' in answer.text

    def test_the_document_describes_every_route(self, root: str) -> None:
        document = httpx.get(f"{root}/api/openapi.json", trust_env=False).json()
        assert document["openapi"].startswith("3.1")
        post = document["paths"]["/api/v1/messages"]["post"]
        assert "Idempotency-Key" in [parameter["name"] for parameter in post["parameters"]]
        assert post["x-scope"] == "messages:write"
        assert "application/problem+json" in post["responses"]["422"]["content"]
        text = json.dumps(document)
        for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
            assert name in document["components"]["schemas"], name
        assert len(document["paths"]) >= 20
        assert all(path.startswith("/api/v1/") for path in document["paths"])

    def test_the_docs_page_loads_local_assets_only(self, root: str) -> None:
        page = httpx.get(f"{root}/api/docs", trust_env=False)
        assert page.status_code == 200
        assert "http" not in page.text.replace("http-equiv", "")
        for path in ("/api/docs/assets/css/swagger-ui.css", "/api/docs/assets/js/swagger-ui-bundle.js", "/static/docs.js"):
            assert path in page.text
            asset = httpx.get(root + path, trust_env=False)
            assert asset.status_code == 200
            assert asset.headers.get("Content-Encoding") == "gzip" or len(asset.content) < 1024
        assert "<script>" not in page.text
        assert "style=" not in page.text
