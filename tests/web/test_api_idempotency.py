"""Idempotency-Key: the same POST twice is one act and one answer."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.web.conftest import Box, message, problem

KEY = {"Idempotency-Key": "order-17"}


def test_the_same_key_and_body_is_one_message(api: httpx.Client, box: Box) -> None:
    first = api.post("/messages", json=message(), headers=KEY)
    box.clock.advance(60)
    second = api.post("/messages", json=message(), headers=KEY)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.text == second.text
    assert second.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert box.value("SELECT COUNT(*) AS n FROM message") == 1
    assert box.value("SELECT available FROM balance") == 9_999


def test_spacing_and_order_of_the_json_do_not_matter(api: httpx.Client) -> None:
    first = api.post("/messages", json=message(), headers=KEY)
    shuffled = json.dumps(dict(reversed(message().items())), indent=3)
    assert api.post("/messages", content=shuffled, headers=KEY).text == first.text


def test_another_body_is_a_conflict(api: httpx.Client, box: Box) -> None:
    api.post("/messages", json=message(), headers=KEY)
    problem(api.post("/messages", json=message(text="Hej då"), headers=KEY), 409, "idempotency_conflict", "Idempotency-Key")
    problem(api.post("/messages/batch", json={"messages": [message()]}, headers=KEY), 409, "idempotency_conflict")
    assert box.value("SELECT COUNT(*) AS n FROM message") == 1


def test_two_keys_are_two_messages(api: httpx.Client, box: Box) -> None:
    for token in ("a", "b"):
        api.post("/messages", json=message(), headers={"Idempotency-Key": token})
    assert box.value("SELECT COUNT(*) AS n FROM message") == 2


def test_twenty_at_once_are_one_message(api: httpx.Client, box: Box) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post("/messages", json=message(), headers=KEY), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert box.value("SELECT COUNT(*) AS n FROM message") == 1


def test_a_refused_request_is_not_remembered(api: httpx.Client, box: Box) -> None:
    box.write(lambda tx: tx.execute("UPDATE balance SET available = 0"))
    problem(api.post("/messages", json=message(), headers=KEY), 402, "insufficient_credits")
    box.write(lambda tx: tx.execute("UPDATE balance SET available = 5"))
    assert api.post("/messages", json=message(), headers=KEY).status_code == 202


def test_a_batch_is_repeatable(api: httpx.Client, box: Box) -> None:
    body = {"messages": [message(), message(candidate_ref="nobody")]}
    first, second = (api.post("/messages/batch", json=body, headers=KEY) for _ in range(2))
    assert first.status_code == second.status_code == 207
    assert first.text == second.text
    assert box.value("SELECT COUNT(*) AS n FROM message") == 1


def test_a_cancellation_and_a_grant_are_repeatable(api: httpx.Client, box: Box) -> None:
    made = api.post("/messages", json=message()).json()["id"]
    answers = [api.post(f"/messages/{made}/cancel", headers={"Idempotency-Key": "c"}).json() for _ in range(2)]
    assert [answer["outcome"] for answer in answers] == ["cancelled", "cancelled"]
    grant = {"amount": 5, "reference": "PO-7"}
    for _ in range(2):
        answer = api.post("/organisations/self/grants", json=grant, headers={"Idempotency-Key": "g"})
        assert answer.status_code == 201
    assert box.value("SELECT available FROM balance") == 10_005


def test_a_secret_is_stored_sealed(api: httpx.Client, box: Box) -> None:
    body = {"url": "http://127.0.0.1:9/hook"}
    first, second = (api.post("/webhooks", json=body, headers=KEY) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert first.json()["secret"].startswith("whsec_")
    assert "whsec_" not in box.value("SELECT body FROM idempotency")


@pytest.mark.parametrize("token", ["", "x" * 256, "ö".encode()])
def test_a_malformed_key_is_400(api: httpx.Client, token: str | bytes) -> None:
    headers = {b"Idempotency-Key": token if isinstance(token, bytes) else token.encode()}
    problem(api.post("/messages", json=message(), headers=headers), 400, "idempotency_key_invalid", "Idempotency-Key")
