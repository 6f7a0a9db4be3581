"""Messages over HTTP: accepted, refused, batched, previewed, found, called back."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.web.conftest import Box, message, problem


def test_a_message_is_accepted(api: httpx.Client, box: Box) -> None:
    answer = api.post("/messages", json=message(client_ref="ats-1"))
    assert answer.status_code == 202
    body = answer.json()
    assert body.pop("id").startswith("msg_")
    assert body == {
        "state": "queued",
        "hold": None,
        "encoding": "gsm7",
        "parts": 1,
        "credits": 1,
        "sender": "+46700000000",
        "country": "SE",
        "companions": [],
        "created_at": "2026-03-02T10:00:00.000Z",
    }
    assert box.value("SELECT available FROM balance") == 9_999


def test_a_message_is_shown_with_its_parts_and_history(api: httpx.Client) -> None:
    text = "Hej! " * 80
    made = api.post("/messages", json=message(text=text, client_ref="ats-1")).json()
    shown = api.get(f"/messages/{made['id']}").json()
    assert shown["state"] == "queued"
    assert shown["text"] == text
    assert shown["user"] == "eva@acme.example"
    assert (shown["candidate_ref"], shown["case_ref"], shown["client_ref"]) == ("anna", "job-7", "ats-1")
    assert [part["number"] for part in shown["parts"]] == [1, 2, 3]
    assert {part["state"] for part in shown["parts"]} == {"ready"}
    assert all(part["tp_mr"] is None and part["sent_at"] is None and part["report"] is None for part in shown["parts"])
    assert [step["what"] for step in shown["timeline"]] == ["message.accept"]
    assert shown["error"] is None


def test_what_a_modem_did_is_shown(api: httpx.Client, box: Box) -> None:
    made = api.post("/messages", json=message()).json()
    now = box.clock.advance(5)
    box.write(
        lambda tx: tx.execute(
            "UPDATE part SET state = 'delivered', tp_mr = 17, submitted_at = ?, sent_at = ?, reported_at = ?, report_status = 0",
            now,
            now,
            now,
        )
    )
    part = api.get(f"/messages/{made['id']}").json()["parts"][0]
    assert (part["state"], part["tp_mr"], part["sent_at"]) == ("delivered", 17, "2026-03-02T10:00:05.000Z")
    assert part["report"] == {"status": 0, "at": "2026-03-02T10:00:05.000Z"}


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"text": ""}, 422, "text_empty", "text"),
        ({"text": None}, 422, "text_empty", "text"),
        ({"text": " \n"}, 422, "text_empty", "text"),
        ({"text": 5}, 422, "validation_failed", "text"),
        ({"kind": None}, 422, "validation_failed", "kind"),
        ({"kind": "nonsense"}, 422, "unknown_kind", "kind"),
        ({"channel": "fax"}, 422, "unknown_channel", "channel"),
        ({"user": None}, 422, "validation_failed", "user"),
        ({"to": "+46701740605"}, 422, "validation_failed", "to"),
        ({"urgent": "yes"}, 422, "validation_failed", "urgent"),
        ({"send_at": "tomorrow"}, 422, "validation_failed", "send_at"),
        ({"send_at": "2026-03-02T10:00:00"}, 422, "validation_failed", "send_at"),
        ({"case_ref": None}, 422, "context_missing", "case_ref"),
        ({"candidate_ref": "nobody"}, 404, "candidate_not_found", "candidate_ref"),
        ({"case_ref": "job-0"}, 404, "case_not_found", "case_ref"),
        ({"user": "none@acme.example"}, 404, "user_not_found", "user"),
        ({"user": "olle@acme.example"}, 403, "permission_denied", "user"),
        ({"kind": "rejection"}, 422, "kind_not_allowed_on_channel", "kind"),
        ({"channel": "email"}, 409, "channel_disabled", "channel"),
        ({"text": "x" * 700}, 422, "too_long", "text"),
    ],
)
def test_a_refusal_has_a_code_and_its_field(
    api: httpx.Client, box: Box, changes: dict[str, Any], status: int, code: str, field: str
) -> None:
    problem(api.post("/messages", json=message(**changes)), status, code, field)
    assert box.value("SELECT COUNT(*) AS n FROM message") == 0
    assert box.value("SELECT available FROM balance") == 10_000


def test_a_landline_is_not_mobile(api: httpx.Client, box: Box) -> None:
    box.candidate("landline", phone="+4687654321", consent=False)
    problem(api.post("/messages", json=message(candidate_ref="landline")), 422, "not_mobile", "candidate_ref")


def test_without_consent_nothing_is_sent(api: httpx.Client, box: Box) -> None:
    box.candidate("bo", phone="+46701740606", consent=False)
    body = problem(api.post("/messages", json=message(candidate_ref="bo")), 409, "consent_required", "candidate_ref")
    assert body["channel"] == "sms"


def test_a_refusal_is_audited(api: httpx.Client, box: Box) -> None:
    api.post("/messages", json=message(user="olle@acme.example"))
    row = box.one("SELECT actor, data FROM audit WHERE action = 'message.deny'")
    assert row["actor"].startswith("key:")
    assert '"permission_denied"' in row["data"]


def test_one_credit_serves_one_of_two_parallel_messages(api: httpx.Client, box: Box) -> None:
    box.write(lambda tx: tx.execute("UPDATE balance SET available = 1"))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: api.post("/messages", json=message()), range(2)))
    assert sorted(answer.status_code for answer in answers) == [202, 402]
    assert box.value("SELECT available FROM balance") == 0


class TestBatch:
    def test_every_item_has_its_own_answer(self, api: httpx.Client, box: Box) -> None:
        items = [message(), message(candidate_ref="nobody"), message(kind=None), message(text="Hej igen")]
        answer = api.post("/messages/batch", json={"messages": items})
        assert answer.status_code == 207
        body = answer.json()
        assert (body["accepted"], body["refused"]) == (2, 2)
        assert [result["status"] for result in body["results"]] == [202, 404, 422, 202]
        assert body["results"][1]["problem"]["code"] == "candidate_not_found"
        assert body["results"][2]["problem"]["errors"][0]["field"] == "messages[2].kind"
        assert box.value("SELECT COUNT(*) AS n FROM message WHERE lane = 2") == 2  # bulk
        assert box.value("SELECT available FROM balance") == 9_998

    def test_a_thousand_fit(self, api: httpx.Client) -> None:
        body = api.post("/messages/batch", json={"messages": [message(text=f"Nr {n} " + "å" * 450) for n in range(1000)]}).json()
        assert body["accepted"] == 1000

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"messages": []}, "messages"),
            ({"messages": [{}] * 1001}, "messages"),
            ({}, "messages"),
            ({"messages": [1]}, "messages[0]"),
        ],
    )
    def test_what_is_no_batch_is_refused_whole(self, api: httpx.Client, body: Any, field: str) -> None:
        problem(api.post("/messages/batch", json=body), 422, "validation_failed", field)


class TestPreview:
    def test_it_tells_parts_price_and_what_forces_ucs2(self, api: httpx.Client, box: Box) -> None:
        body = api.post("/messages/preview", json=message(text="ą" * 71)).json()
        assert (body["encoding"], body["credits"], body["would_be"], body["problem"]) == ("ucs2", 2, "queued", None)
        assert [part["number"] for part in body["parts"]] == [1, 2]
        assert body["forcing"][0]["character"] == "ą"
        assert box.value("SELECT COUNT(*) AS n FROM message") == 0

    def test_it_tells_which_gate_would_object(self, api: httpx.Client, box: Box) -> None:
        box.candidate("bo", phone="+46701740606", consent=False)
        body = api.post("/messages/preview", json=message(candidate_ref="bo")).json()
        assert (body["would_be"], body["problem"]["code"]) == ("refused", "consent_required")

    def test_an_empty_text_is_refused(self, api: httpx.Client) -> None:
        problem(api.post("/messages/preview", json=message(text="")), 422, "text_empty", "text")


class TestList:
    def test_it_goes_page_by_page(self, api: httpx.Client) -> None:
        made = [api.post("/messages", json=message()).json()["id"] for _ in range(5)]
        first = api.get("/messages", params={"limit": 2}).json()
        second = api.get("/messages", params={"limit": 2, "after": first["next"]}).json()
        last = api.get("/messages", params={"limit": 2, "after": second["next"]}).json()
        seen = [row["id"] for page in (first, second, last) for row in page["data"]]
        assert seen == made[::-1]
        assert last["next"] is None

    @pytest.mark.parametrize(
        ("filters", "count"),
        [
            ({"state": "queued"}, 2),
            ({"state": "held"}, 0),
            ({"client_ref": "b"}, 1),
            ({"candidate_ref": "anna", "kind": "contact"}, 2),
            ({"case_ref": "job-7"}, 2),
            ({"candidate_ref": "nobody"}, 0),
        ],
    )
    def test_it_filters(self, api: httpx.Client, filters: dict[str, str], count: int) -> None:
        for client_ref in ("a", "b"):
            api.post("/messages", json=message(client_ref=client_ref))
        assert len(api.get("/messages", params=filters).json()["data"]) == count

    @pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "state=nonsense", "offset=5", "limit=1&limit=2"])
    def test_a_wrong_filter_is_refused(self, api: httpx.Client, query: str) -> None:
        problem(api.get(f"/messages?{query}"), 422, "validation_failed", query.split("=")[0])

    def test_another_organisation_sees_nothing(self, api: httpx.Client, box: Box) -> None:
        made = api.post("/messages", json=message()).json()["id"]
        box.write(lambda tx: tx.execute("UPDATE message SET organisation_id = 'org_other'"))
        assert api.get("/messages").json()["data"] == []
        problem(api.get(f"/messages/{made}"), 404, "message_not_found", "id")
        problem(api.get(f"/messages/{made}/explain"), 404, "message_not_found", "id")
        problem(api.post(f"/messages/{made}/cancel"), 404, "message_not_found", "id")


def test_a_waiting_message_is_explained(api: httpx.Client) -> None:
    made = api.post("/messages", json=message(send_at="2026-03-02T12:00:00+01:00")).json()
    assert made["state"] == "held"
    assert made["hold"] == {"reason": "scheduled", "not_before": "2026-03-02T11:00:00.000Z"}
    told = api.get(f"/messages/{made['id']}/explain").json()
    assert (told["waiting_for"], told["until"]) == ("scheduled", "2026-03-02T11:00:00.000Z")
    assert told["text"]


def test_cancelling_is_truthful_and_refunds(api: httpx.Client, box: Box) -> None:
    made = api.post("/messages", json=message()).json()["id"]
    first = api.post(f"/messages/{made}/cancel").json()
    assert first == {"id": made, "outcome": "cancelled", "state": "cancelled", "credits_refunded": 1}
    assert api.post(f"/messages/{made}/cancel").json()["outcome"] == "already"
    assert box.value("SELECT available FROM balance") == 10_000


def test_only_an_unknown_message_is_resolved(api: httpx.Client, box: Box) -> None:
    made = api.post("/messages", json=message()).json()["id"]
    problem(api.post(f"/messages/{made}/resolve", json={"choice": "send_again"}), 409, "not_unknown", "id")
    problem(api.post(f"/messages/{made}/resolve", json={"choice": "forget"}), 422, "validation_failed", "choice")
    box.write(lambda tx: tx.execute("UPDATE message SET state = 'unknown'"))
    box.write(lambda tx: tx.execute("UPDATE part SET state = 'unknown', submitted_at = 1"))
    assert api.post(f"/messages/{made}/resolve", json={"choice": "send_again"}).json() == {"id": made, "state": "queued"}
