"""Numbers from the application (S2): read as people write them, never guessed, refused at sending with the code that says why."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.ats import Box
from tests.processes import until

Unchanged = Callable[[], AbstractContextManager[None]]

MORE = """
[[country]]
iso = "US"
state = "active"
opt_in = "single"
acknowledgement = { text = "Without START", name = "Ann Ek", reference = "Legal advice 7/25", date = 2025-06-01 }
hours = "always"
[[country]]
iso = "CA"
state = "active"
opt_in = "single"
acknowledgement = { text = "Without START", name = "Ann Ek", reference = "Legal advice 7/25", date = 2025-06-01 }
hours = "always"
[[country]]
iso = "DK"
state = "active"
opt_in = "single"
acknowledgement = { text = "Without START", name = "Ann Ek", reference = "Legal advice 7/25", date = 2025-06-01 }
hours = "always"
"""


@pytest.fixture(scope="module", autouse=True)
def countries(box: Box) -> None:
    """Countries whose numbers do not tell whether they are mobile."""
    file = box.site.directory / "more.toml"
    file.write_text(MORE)
    box.site.ringpost("apply", str(file))


def push(box: Box, ref: str, phone: str | None, region: str | None) -> dict[str, Any]:
    """PUT a candidate as an application filled it in; the phone of the 200."""
    body = {"first_name": "Kim", "last_name": "Sjöberg", "language": "sv", "phone": phone, "region": region}
    answer = box.ats.http.put(
        f"/api/v1/candidates/{ref}", json={name: value for name, value in body.items() if value is not None}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert box.ats.get(f"/api/v1/candidates/{ref}")["phone"] == found["phone"]
    return dict(found["phone"])


@pytest.mark.requirement("S2")
@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("070-174 06 01", "SE"),
        ("070 174 06 01", "se"),
        ("(070) 174 06 01", "SE"),
        ("0701740601", "SE"),
        ("+46701740601", None),
        ("+46 70 174 06 01", None),
        ("  +46 (0)70-174 06 01 ", None),
        ("+46 70 174 06 01", "DE"),
        ("0046701740601", "SE"),
        ("0046 70-174 06 01", "SE"),
        ("0046701740601", None),
    ],
)
def test_a_mobile_number_is_read_in_every_form_that_people_write(box: Box, written: str, region: str | None) -> None:
    found = push(box, "forms", written, region)
    assert found == {"raw": written, "e164": "+46701740601", "state": "ok", "country": "SE", "subdivision": None}


@pytest.mark.requirement("S2")
def test_a_national_number_is_read_in_the_region_told_and_in_no_other(box: Box) -> None:
    assert push(box, "british", "07400 123456", "GB")["e164"] == "+447400123456"
    assert push(box, "danish", "20 12 34 56", "DK")["e164"] == "+4520123456"
    assert push(box, "not-there", "07400 123456", "DK") == {
        "raw": "07400 123456",
        "e164": None,
        "state": "invalid",
        "country": None,
        "subdivision": None,
    }


@pytest.mark.requirement("S2")
@pytest.mark.parametrize(
    ("ref", "written", "region", "e164", "country"),
    [
        ("american", "(415) 555-2671", "US", "+14155552671", "US"),
        ("canadian", "416-555-0100", "CA", "+14165550100", "CA"),
        ("dane", "32 12 34 56", "DK", "+4532123456", "DK"),
    ],
)
def test_numbers_that_may_be_fixed_or_mobile_pass(box: Box, ref: str, written: str, region: str, e164: str, country: str) -> None:
    found = push(box, ref, written, region)
    assert (found["e164"], found["state"], found["country"]) == (e164, "ok", country)
    box.ats.consent(ref)
    sent = box.ats.accepted(ref, "Hello")
    assert sent["country"] == country
    box.ats.until_state(sent["id"], "sent", "delivered")
    assert [part.text for part in box.on_air(e164)][-1] == "Hello"


@pytest.mark.requirement("S2")
@pytest.mark.parametrize(
    ("ref", "written", "state", "code", "status"),
    [
        ("none", None, "missing", "number_missing", 422),
        ("empty", "", "missing", "number_missing", 422),
        ("blank", "  ", "missing", "number_missing", 422),
        ("landline", "+4687654321", "not_mobile", "not_mobile", 422),
        ("landline-at-home", "08-765 43 21", "not_mobile", "not_mobile", 422),
        ("freephone", "+1 800 555 0100", "not_mobile", "not_mobile", 422),
        ("words", "abc", "invalid", "invalid_number", 422),
        ("short", "+4670", "invalid", "invalid_number", 422),
        ("emergency", "112", "invalid", "invalid_number", 422),
        ("long", "+46701740605123456", "invalid", "invalid_number", 422),
        ("nowhere", "+999701740605", "invalid", "invalid_number", 422),
    ],
)
def test_a_number_that_cannot_be_written_to_is_kept_told_and_refused(
    box: Box, unchanged: Unchanged, ref: str, written: str | None, state: str, code: str, status: int
) -> None:
    found = push(box, ref, written, "SE")
    assert found["state"] == state
    assert found["raw"] == (written or "")
    calm(box)
    with unchanged():
        answer = box.ats.submit(ref, "Hej!")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        look = box.ats.post("/api/v1/messages/preview", box.ats.body(ref, "Hej!")).json()
        assert (look["would_be"], look["problem"]["code"]) == ("refused", code)
        many = box.ats.post("/api/v1/messages/batch", {"messages": [box.ats.body(ref, "Hej!")]}).json()
        assert [(each["status"], each["problem"]["code"]) for each in many["results"]] == [(status, code)]
    open_to = box.ats.get(f"/api/v1/candidates/{ref}/channels", user="eva@acme.example", case="job-7")["sms"]
    assert (open_to["available"], open_to["reason"]) == (False, code)


@pytest.mark.requirement("S2")
def test_a_message_goes_to_the_record_and_to_no_number_in_the_request(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    calm(box)
    with unchanged():
        for field in ("to", "phone"):
            answer = box.ats.post("/api/v1/messages", {**box.ats.body(kim.ref, "Hej!"), field: "+46701740602"})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    sent = box.ats.accepted(kim, "Hej!")
    box.ats.until_state(sent["id"], "delivered")
    assert [part.text for part in box.on_air(kim.phone)] == ["Hej!"]
    assert box.on_air("+46701740602") == []


@pytest.mark.requirement("S2")
def test_a_number_put_right_can_be_written_to(box: Box) -> None:
    assert push(box, "mended", "08-765 43 21", "SE")["state"] == "not_mobile"
    assert push(box, "mended", "070-174 06 03", "SE")["state"] == "ok"
    box.ats.consent("mended")
    sent = box.ats.accepted("mended", "Hej!")
    box.ats.until_state(sent["id"], "delivered")
    assert box.on_air("+46701740603")[-1].text == "Hej!"


def calm(box: Box) -> None:
    """Until what was sent before has come to its end."""

    def none_moves() -> bool:
        with box.site.store.read() as view:
            busy = "SELECT COUNT(*) AS n FROM message WHERE state IN ('queued', 'sending', 'sent') OR hold_reason = 'waits_for'"
            return bool(view.value(busy) == 0)

    until(none_moves, about="no message on its way")
