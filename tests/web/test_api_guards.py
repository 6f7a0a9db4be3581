"""Who may call, what a request must look like, and that every refusal has the same shape."""

import json
from typing import Any

import httpx
import pytest

from gateway.store import setup
from tests.web.conftest import CLI, MOBILE, Box, message, problem
from web.server import Server


def as_key(server: Server, secret: str | None) -> httpx.Client:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    return httpx.Client(base_url=f"http://127.0.0.1:{server.port}/api/v1", headers=headers, trust_env=False)


class TestKeys:
    def test_a_missing_key_is_401(self, server: Server) -> None:
        with as_key(server, None) as client:
            answer = client.post("/messages", json=message())
        problem(answer, 401, "key_missing", "Authorization")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("header", ["Bearer", "Basic cnA6cnA=", "rp_x"])
    def test_what_is_no_bearer_key_is_401(self, server: Server, header: str) -> None:
        with as_key(server, None) as client:
            problem(client.get("/messages", headers={"Authorization": header}), 401, "key_missing")

    def test_an_unknown_key_is_401(self, server: Server) -> None:
        with as_key(server, "rp_unknown") as client:
            problem(client.get("/messages"), 401, "key_invalid")

    def test_a_key_is_asked_for_before_the_body_is_read(self, server: Server) -> None:
        with as_key(server, None) as client:
            problem(client.post("/messages", content=b"{", headers={"Content-Type": "application/json"}), 401, "key_missing")

    def test_a_revoked_key_is_dead_within_a_second(self, server: Server, box: Box) -> None:
        secret = box.key("messages:read")
        with as_key(server, secret) as client:
            assert client.get("/messages").status_code == 200
            key_id = box.value("SELECT MAX(id) AS id FROM api_key")
            box.write(lambda tx: setup.revoke_key(tx, box.organisation_id, key_id, CLI, box.clock.now_ms()))
            box.clock.advance(1)
            problem(client.get("/messages"), 401, "key_invalid")

    def test_a_wrong_scope_is_403_and_audited(self, server: Server, box: Box) -> None:
        with as_key(server, box.key("messages:read")) as client:
            body = problem(client.post("/messages", json=message()), 403, "scope_missing")
        assert body["scope"] == "messages:write"
        row = box.one("SELECT actor, subject, data FROM audit WHERE action = 'api.deny'")
        assert row["actor"] == f"key:{row['subject']}"
        told = json.loads(row["data"])
        assert (told["code"], told["act"], told["request_id"]) == ("scope_missing", "POST /api/v1/messages", body["request_id"])

    def test_a_key_for_other_addresses_is_403(self, server: Server, box: Box) -> None:
        with as_key(server, box.key("messages:read", allow=["192.0.2.0/24"])) as client:
            problem(client.get("/messages"), 403, "address_not_allowed")
        with as_key(server, box.key("messages:read", allow=["192.0.2.0/24", "127.0.0.0/8"])) as client:
            assert client.get("/messages").status_code == 200

    def test_a_key_has_its_rate(self, server: Server, box: Box) -> None:
        with as_key(server, box.key("messages:read", per_minute=3)) as client:
            assert [client.get("/messages").status_code for _ in range(3)] == [200] * 3
            answer = client.get("/messages")
            problem(answer, 429, "rate_limited")
            box.clock.advance(int(answer.headers["Retry-After"]))
            assert client.get("/messages").status_code == 200

    def test_its_last_use_is_noted(self, server: Server, box: Box) -> None:
        with as_key(server, box.key("messages:read")) as client:
            client.get("/messages")
        assert box.value("SELECT MAX(last_used_at) AS at FROM api_key") == box.clock.now_ms()


class TestBodies:
    @pytest.mark.parametrize(
        "octets",
        [
            b"{",
            b"",
            b"\xff\xfe",
            b'{"user": "a" "b"}',
            b'{"a": NaN}',
            b'{"a": ' + b"9" * 5000 + b"}",
            b"[" * 100_000,
            b'{"text": "\n"}',
        ],
    )
    def test_malformed_json_is_400(self, api: httpx.Client, octets: bytes) -> None:
        problem(
            api.post("/messages", content=octets, headers={"Content-Type": "application/json"}), 400, "malformed_json", "body"
        )

    @pytest.mark.parametrize("value", [[], [message()], "text", 5, None, True])
    def test_what_is_no_object_is_422(self, api: httpx.Client, value: Any) -> None:
        answer = api.post("/messages", content=json.dumps(value), headers={"Content-Type": "application/json"})
        problem(answer, 422, "validation_failed", "body")

    def test_two_megabytes_are_413(self, api: httpx.Client) -> None:
        for _ in range(3):
            problem(api.post("/messages", json=message(text="x" * 2_000_000)), 413, "body_too_large")

    def test_two_megabytes_in_chunks_are_413(self, api: httpx.Client) -> None:
        chunks = (b"x" * 65_536 for _ in range(32))
        answer = api.post("/messages", content=chunks, headers={"Content-Type": "application/json"})
        problem(answer, 413, "body_too_large")

    def test_a_body_in_chunks_is_read_whole(self, api: httpx.Client) -> None:
        chunks = iter([b"{", json.dumps(message())[1:].encode()])
        assert api.post("/messages", content=chunks, headers={"Content-Type": "application/json"}).status_code == 202

    def test_other_media_types_are_415(self, api: httpx.Client) -> None:
        problem(api.post("/messages", data={"text": "Hej"}), 415, "unsupported_media_type")

    def test_json_without_a_media_type_is_read(self, api: httpx.Client) -> None:
        assert api.post("/messages", content=json.dumps(message())).status_code == 202

    @pytest.mark.parametrize("text", ["\\u0000", "\\ud83d", "a\\udc00b"])
    def test_what_no_database_stores_is_422(self, api: httpx.Client, text: str) -> None:
        octets = json.dumps(message()).replace("Hej!", text)
        problem(api.post("/messages", content=octets), 422, "validation_failed", "text")

    def test_emoji_written_as_surrogates_are_text(self, api: httpx.Client) -> None:
        octets = json.dumps(message(text="😀"))
        assert "\\ud83d" in octets
        made = api.post("/messages", content=octets).json()
        assert api.get(f"/messages/{made['id']}").json()["text"] == "😀"

    def test_a_misspelt_field_is_named_with_its_neighbour(self, api: httpx.Client) -> None:
        body = problem(api.post("/messages", json=message(candidat_ref="x")), 422, "validation_failed", "candidat_ref")
        assert "did you mean candidate_ref" in body["errors"][0]["detail"]

    def test_every_wrong_field_is_named(self, api: httpx.Client) -> None:
        body = problem(api.post("/messages", json={"text": 5}), 422, "validation_failed")
        assert {error["field"] for error in body["errors"]} == {"user", "candidate_ref", "kind", "text"}

    def test_personal_values_are_never_echoed(self, api: httpx.Client) -> None:
        secret = "Anna-Karin-Lundqvist"
        for changes in (
            {"user": [secret]},
            {"candidate_ref": secret},
            {"send_at": secret},
            {"text": {"a": secret}},
            {"kind": secret},
        ):
            assert secret not in api.post("/messages", json=message(**changes)).text
        assert secret not in api.put("/candidates/x", json={"first_name": [secret], "language": secret}).text
        assert MOBILE not in api.put("/candidates/x", json={"phone": [MOBILE]}).text


class TestPaths:
    def test_an_unknown_path_is_404(self, api: httpx.Client) -> None:
        problem(api.get("/nothing"), 404, "not_found")

    def test_a_wrong_method_is_405_and_names_the_right_ones(self, api: httpx.Client) -> None:
        answer = api.delete("/messages")
        problem(answer, 405, "method_not_allowed")
        assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))

    def test_a_bug_is_500_without_its_details(self, api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr("gateway.store.lists_web.messages", broken)
        answer = api.get("/messages")
        problem(answer, 500, "internal_error")
        assert "secret detail" not in answer.text

    def test_a_full_disk_is_503_and_worth_another_try(self, api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        from gateway.store.database import StoreUnavailable

        def full(*_: object) -> None:
            raise StoreUnavailable("disk full")

        monkeypatch.setattr("web.api.messages.submit", full)
        answer = api.post("/messages", json=message())
        problem(answer, 503, "store_unavailable")
        assert answer.headers["Retry-After"] == "5"

    def test_the_callers_request_id_is_kept(self, api: httpx.Client) -> None:
        body = api.get("/nothing", headers={"X-Request-Id": "ats-2026-0001"}).json()
        assert body["request_id"] == "ats-2026-0001"
        body = api.get("/nothing", headers={"X-Request-Id": "a b\tc"}).json()
        assert body["request_id"].startswith("req_")


def test_answers_carry_the_security_headers_and_no_cookie(api: httpx.Client) -> None:
    for answer in (api.get("/messages"), api.get("/nothing"), api.get("/messages/x")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers


def test_long_answers_are_packed_for_those_who_take_it(api: httpx.Client) -> None:
    for _ in range(5):
        api.post("/messages", json=message())
    packed = api.get("/messages")
    plain = api.get("/messages", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()
