"""Templates, kinds, text and batches: S1, S6–S9, S11–S14, S51, S58."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from tests.ats import Box, Person
from tests.processes import until

Unchanged = Callable[[], AbstractContextManager[None]]
SE = "/api/v1/organisations/acme%2Fse/templates"
TOP = "/api/v1/organisations/self/templates"
COMPANY = "{{company}}. Svara STOPP för att slippa sms."


@pytest.fixture(scope="module", autouse=True)
def _people(box: Box) -> None:
    """A second unit, and an administrator of each."""
    assert box.ats.post("/api/v1/organisations", {"ref": "acme/de", "name": "Deutschland", "language": "de"}).status_code == 201
    for name, unit in (("ada", "self"), ("sven", "acme/se"), ("dora", "acme/de")):
        body = {"email": f"{name}@acme.example", "roles": ["admin"], "unit": unit}
        assert box.ats.post("/api/v1/users", body).status_code == 201


@pytest.fixture
def unchanged(box: Box, unchanged: Unchanged) -> Unchanged:
    """The same, once what was sent before has come to its end."""

    def calm() -> bool:
        with box.site.store.read() as view:
            busy = "SELECT COUNT(*) AS n FROM message WHERE state IN ('queued', 'sending', 'sent')"
            return view.value(busy) == 0

    def watch() -> AbstractContextManager[None]:
        until(calm, about="no message on its way")
        return unchanged()

    return watch


def template(path: str, box: Box, name: str, body: str, **more: Any) -> dict[str, Any]:
    answer = box.ats.post(path, {"name": name, "kind": "contact", "language": "sv", "body": body, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def known(box: Box) -> Person:
    """A candidate who has had the identification already, so that a message is one message."""
    kim = box.someone()
    sent = box.ats.accepted(kim, "Hej!")
    box.ats.until_state(sent["id"], "delivered")
    return kim


def preview(box: Box, to: Person, text: str | None, **more: Any) -> dict[str, Any]:
    answer = box.ats.post("/api/v1/messages/preview", box.ats.body(to.ref, text, **more))
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


def audits(box: Box, action: str) -> list[str]:
    with box.site.store.read() as view:
        return [row["data"] for row in view.all("SELECT data FROM audit WHERE action = ? ORDER BY serial", action)]


# --- S6, S7, S1: counting ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("S6", "S7")
def test_preview_counts_as_the_alphabets_say_and_charges_what_is_sent(box: Box) -> None:
    kim = known(box)
    for text, parts in (
        ("å" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ą" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ):
        seen = preview(box, kim, text)
        assert (len(seen["parts"]), seen["credits"]) == (parts, parts), text[:1]
    for character in "êõç’":
        assert preview(box, kim, character)["encoding"] == "ucs2"
    seen = preview(box, kim, "a" * 307)
    available = box.ats.credits()[0]
    sent = box.ats.accepted(kim, "a" * 307)
    assert (sent["parts"], sent["credits"]) == (3, seen["credits"])
    assert box.ats.credits()[0] == available - seen["total_credits"]
    box.ats.until_state(sent["id"], "delivered")
    assert [part.total for part in box.on_air(kim.phone)][-3:] == [3, 3, 3]


@pytest.mark.requirement("S7")
def test_credits_count_after_merge_fields_and_too_long_is_refused(box: Box, unchanged: Unchanged) -> None:
    kim = known(box)
    fields = [{"name": "note", "type": "text", "sample": "kort"}]
    made = template(SE, box, "Note", "{{note}}", fields=fields)
    data = {"note": "b" * 200}
    seen = preview(box, kim, None, template_id=made["id"], data=data)
    looked = box.ats.post(f"{SE}/{made['id']}/preview", {"data": data, "candidate_ref": kim.ref, "user": "eva@acme.example"})
    sent = box.ats.submit(kim, None, template_id=made["id"], data=data).json()
    assert sent["credits"] == seen["credits"] == looked.json()["credits"] == 2
    with unchanged():
        answer = box.ats.submit(kim, None, template_id=made["id"], data={"note": "b" * 613})
        assert refused(answer) == (422, "too_long")
        assert (answer.json()["segments"], answer.json()["max"]) == (5, 4)
        tight = box.ats.http.patch(f"{SE}/{made['id']}", json={"max_segments": 11})
        assert tight.status_code == 422
    assert box.ats.http.patch(f"{SE}/{made['id']}", json={"max_segments": 5}).status_code == 200
    assert preview(box, kim, None, template_id=made["id"], data={"note": "b" * 613})["would_be"] == "queued"


@pytest.mark.requirement("S6")
def test_letters_are_replaced_only_on_request_and_preview_shows_the_gain(box: Box) -> None:
    kim = known(box)
    text = "Zażółć gęślą jaźń " * 5
    seen = preview(box, kim, text)
    assert (seen["encoding"], len(seen["parts"])) == ("ucs2", 2)
    assert (seen["transliterated"]["encoding"], seen["transliterated"]["parts"]) == ("gsm7", 1)
    silent = box.ats.accepted(kim, text)
    assert silent["encoding"] == "ucs2"
    plain = box.ats.accepted(kim, text, transliterate=True)
    assert (plain["encoding"], plain["parts"], plain["credits"]) == ("gsm7", 1, 1)
    box.ats.until_state(plain["id"], "delivered")
    assert box.on_air(kim.phone)[-1].text == seen["transliterated"]["text"]
    assert '"transliterated":true' in audits(box, "message.accept")[-1]


@pytest.mark.requirement("S1", "S9")
def test_a_message_has_case_candidate_user_and_kind(box: Box, unchanged: Unchanged) -> None:
    kim = known(box)
    found = box.ats.message(box.ats.accepted(kim, "Hej")["id"])
    assert (found["case_ref"], found["candidate_ref"], found["user"], found["kind"]) == (
        "job-7",
        kim.ref,
        "eva@acme.example",
        "contact",
    )
    body = box.ats.body(kim.ref, "Hej")
    with unchanged():
        for missing in ("user", "candidate_ref", "kind"):
            answer = box.ats.post("/api/v1/messages", {name: value for name, value in body.items() if name != missing})
            assert answer.status_code == 422
        assert refused(box.ats.post("/api/v1/messages", {**body, "candidate_ref": "none"})) == (404, "candidate_not_found")
        assert refused(box.ats.post("/api/v1/messages", {**body, "user": "no@acme.example"})) == (404, "user_not_found")


# --- S8: the account's switch ------------------------------------------------------------------------------------------


@pytest.mark.requirement("S8")
def test_a_channel_is_never_switched_silently(box: Box, unchanged: Unchanged) -> None:
    kim = known(box)
    with unchanged():
        assert box.ats.submit(kim, "Hej", channel="fax").status_code == 422
        by_mail = box.ats.submit(kim, "Hej", channel="email")
        assert (refused(by_mail), by_mail.json()["use"]) == ((409, "channel_disabled"), "email")
    assert box.ats.http.patch("/api/v1/organisations/self", json={"sms_enabled": False}).status_code == 200
    try:
        with unchanged():
            assert refused(box.ats.submit(kim, "Hej")) == (409, "channel_disabled")
    finally:
        assert box.ats.http.patch("/api/v1/organisations/self", json={"sms_enabled": True}).status_code == 200
    assert box.ats.submit(kim, "Hej").status_code == 202


# --- S9: kinds -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S9")
def test_a_rejection_never_goes_by_sms_whatever_is_set(box: Box, unchanged: Unchanged) -> None:
    kim = known(box)
    path = "/api/v1/organisations/self/kinds"
    with unchanged():
        assert refused(box.ats.submit(kim, "Hej", kind="rejection")) == (422, "kind_not_allowed_on_channel")
        for channel in ("sms", "whatsapp"):
            body = {"name": "No", "kind": "rejection", "channel": channel, "body": COMPANY}
            assert refused(box.ats.post(SE, body)) == (422, "kind_not_allowed_on_channel")
            cell = {"kind": "rejection", "channel": channel, "allowed": True}
            assert refused(box.ats.http.put(path, json=cell)) == (422, "kind_not_allowed_on_channel")
    locked = [(cell["kind"], cell["channel"]) for cell in box.ats.get(path)["data"] if cell["locked"]]
    assert locked == [("rejection", "sms"), ("rejection", "whatsapp")]
    template(SE, box, "No", "Tyvärr har du inte gått vidare.", kind="rejection", channel="email")


@pytest.mark.requirement("S9")
def test_other_cells_of_the_matrix_are_the_administrators_and_audited(box: Box, unchanged: Unchanged) -> None:
    kim = known(box)
    path, cell = "/api/v1/organisations/self/kinds", {"kind": "offer_notice", "channel": "sms"}
    assert box.ats.submit(kim, "Hej", kind="offer_notice").status_code == 202
    assert refused(box.ats.http.put(path, json={**cell, "allowed": False, "user": "eva@acme.example"})) == (
        403,
        "permission_denied",
    )
    assert box.ats.http.put(path, json={**cell, "allowed": False, "user": "ada@acme.example"}).status_code == 200
    with unchanged():
        assert refused(box.ats.submit(kim, "Hej", kind="offer_notice")) == (422, "kind_not_allowed_on_channel")
    assert '"kind":"offer_notice"' in audits(box, "config.change")[-1]
    assert box.ats.http.put(path, json={**cell, "allowed": True}).status_code == 200


@pytest.mark.requirement("S9")
@pytest.mark.parametrize(
    "text",
    [
        "Hej Kim, TYVÄRR måste vi meddela att det blev nej.",
        "We regret to  inform you, Kim.",
        "Leider müssen wir Ihnen mitteilen …",
    ],
)
def test_a_text_that_reads_like_a_rejection_needs_a_word(box: Box, unchanged: Unchanged, text: str) -> None:
    kim = known(box)
    with unchanged():
        answer = box.ats.submit(kim, text)
        assert refused(answer) == (409, "looks_like_rejection")
        assert answer.json()["phrase"]
        assert preview(box, kim, text)["problem"]["code"] == "looks_like_rejection"
    before = len(audits(box, "message.override"))
    assert box.ats.submit(kim, text, confirm_not_rejection=True).status_code == 202
    assert '"code":"looks_like_rejection"' in audits(box, "message.override")[before]


@pytest.mark.requirement("S9")
def test_the_phrases_of_a_language_are_the_administrators(box: Box, unchanged: Unchanged) -> None:
    kim, path = known(box), "/api/v1/organisations/self/rejection-phrases/sv"
    assert box.ats.http.put(path, json={"phrases": ["kaffet är slut"]}).status_code == 200
    with unchanged():
        assert refused(box.ats.submit(kim, "Kaffet är slut!")) == (409, "looks_like_rejection")
        assert box.ats.http.put(path, json={"phrases": ["  "]}).status_code == 422
    assert box.ats.submit(kim, "Tjänsten är tillsatt").status_code == 202
    back = box.ats.http.put(path, json={"phrases": None})
    assert back.json()["sv"]["shipped"] is True
    with unchanged():
        assert refused(box.ats.submit(kim, "Tjänsten är tillsatt")) == (409, "looks_like_rejection")


# --- S11, S14: what a template must and may hold ------------------------------------------------------------------------


@pytest.mark.requirement("S11", "S14")
@pytest.mark.parametrize(
    ("body", "more", "code", "fact"),
    [
        ("Välkommen! " + COMPANY, {"kind": "interview_invite"}, "missing_merge_field", ("merge_field", "interview_link")),
        ("Hej {{candidate.firstname}}", {}, "unknown_merge_field", ("position", 4)),
        ("Hej {{candidate.first_name}", {}, "template_invalid", ("position", 4)),
        ("Hej candidate.first_name}}", {}, "template_invalid", ("position", 24)),
        ("Hej {% if x %}", {}, "template_invalid", ("position", 4)),
        ("Hej {{ 7*7 }}", {}, "template_invalid", None),
        ("Hej {{ company.__class__ }}", {}, "unknown_merge_field", None),
        ("Hej {{note}}", {"fields": [{"name": "note", "type": "song", "sample": "x"}]}, "invalid_field", None),
        ("Hej {{note}}", {"fields": [{"name": "company", "type": "text", "sample": "x"}]}, "invalid_field", None),
        ("Hej {{at}}", {"fields": [{"name": "at", "type": "url", "sample": "http://x.example/"}]}, "merge_value_invalid", None),
        ("a" * 700, {}, "too_long", ("segments", 5)),
        ("Vi måste tyvärr: tjänsten är tillsatt.", {}, "looks_like_rejection", None),
        ("Hej", {"kind": "gossip"}, "unknown_kind", None),
        ("Hej", {"channel": "fax"}, "unknown_channel", None),
        ("Hej", {"language": "svenska!"}, "invalid_language", None),
    ],
)
def test_a_template_that_cannot_be_sent_is_not_saved(
    box: Box, unchanged: Unchanged, body: str, more: dict[str, Any], code: str, fact: tuple[str, Any] | None
) -> None:
    with unchanged():
        answer = box.ats.post(SE, {"name": "Bad", "kind": "contact", "body": body, **more})
        assert answer.json()["code"] == code, answer.text
        assert answer.status_code == (409 if code == "looks_like_rejection" else 422)
        if fact is not None:
            assert answer.json()[fact[0]] == fact[1]


@pytest.mark.requirement("S14", "S12")
def test_values_are_text_and_nothing_else(box: Box, unchanged: Unchanged) -> None:
    box.ats.http.put("/api/v1/candidates/evil", json={"first_name": "{{7*7}}", "phone": box.a_number(), "region": "SE"})
    box.ats.consent("evil")
    fields = [{"name": "at", "type": "url", "sample": "https://x.example/"}, {"name": "note", "sample": "x"}]
    made = template(SE, box, "Values", "Hej {{candidate.first_name}}! {{note}} {{at}}", fields=fields)
    data = {"note": "a\x07b\u202ec", "at": "https://x.example/1"}
    sent = box.ats.submit("evil", None, template_id=made["id"], data=data).json()
    assert box.ats.message(sent["id"])["text"] == "Hej {{7*7}}! abc https://x.example/1"
    with unchanged():
        for bad, code in (
            ({"note": "x"}, "merge_value_missing"),
            ({"note": "x", "at": "http://x.example/"}, "merge_value_invalid"),
            ({"note": ["x"], "at": "https://x.example/"}, "merge_value_invalid"),
        ):
            answer = box.ats.submit("evil", None, template_id=made["id"], data=bad)
            assert refused(answer) == (422, code)


@pytest.mark.requirement("S14", "S7")
def test_the_linter_names_the_very_character_and_the_longest_case(box: Box) -> None:
    def lint(body: str, **more: Any) -> dict[str, Any]:
        answer = box.ats.post(f"{SE}/lint", {"body": body, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def codes(seen: dict[str, Any]) -> list[str]:
        return [finding["code"] for finding in seen["findings"]]

    assert codes(lint("Hej {{candidate.first_name}}! " + COMPANY)) == []
    seen = lint("It’s {{company}}. Reply STOP.")
    assert (seen["findings"][0]["code"], seen["findings"][0]["position"], seen["findings"][0]["character"]) == (
        "forces_ucs2",
        2,
        "’",
    )
    assert seen["findings"][0]["replacement"] == "'"
    seen = lint("10 € {{company}}. Reply STOP.")
    assert (codes(seen), seen["findings"][0]["position"]) == (["counts_twice"], 3)
    assert codes(lint("Hej!")) == ["identity_missing", "opt_out_missing"]
    assert codes(lint("Hej från Acme AB! Svara STOPP.")) == []
    body = "Hej {{candidate.first_name}}! " + "a" * 100 + " {{company}} STOPP"
    assert lint(body)["longest"]["segments"] == 1
    box.ats.http.put("/api/v1/candidates/long", json={"first_name": "Łucja" * 8, "phone": "+46701740698", "region": "SE"})
    seen = lint(body, max_segments=2)
    assert (seen["longest"]["segments"], seen["longest"]["encoding"]) == (3, "ucs2")
    assert codes(seen) == ["may_be_too_long", "value_forces_ucs2"]
    assert "Łucja" not in str(seen["findings"])


# --- S12, S13: the tree ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S12", "S13")
def test_the_nearest_node_wins_and_says_from_where_it_inherits(box: Box, unchanged: Unchanged) -> None:
    top = template(TOP, box, "Interview", "Hej från toppen. " + COMPANY)

    def seen_in(unit: str) -> dict[str, Any]:
        rows = box.ats.get(f"/api/v1/organisations/{unit}/templates", name="Interview", channel="sms")["data"]
        assert len(rows) == 1
        found: dict[str, Any] = rows[0]
        return found

    assert (seen_in("acme%2Fse")["body"], seen_in("acme%2Fse")["inherited_from"]) == (top["body"], "acme")
    with unchanged():
        inherited = box.ats.http.patch(f"{SE}/{top['id']}", json={"body": "Annat"})
        assert refused(inherited) == (409, "template_is_inherited")
    own = template(SE, box, "Interview", "Hej från Sverige. " + COMPANY, user="sven@acme.example")
    assert (seen_in("acme%2Fse")["id"], seen_in("acme%2Fse")["inherited_from"]) == (own["id"], None)
    assert seen_in("acme%2Fde")["id"] == top["id"]
    with unchanged():
        for name in ("dora", "eva"):
            mine = box.ats.http.patch(f"{SE}/{own['id']}", json={"body": "Annat", "user": f"{name}@acme.example"})
            assert refused(mine) == (403, "permission_denied")
        gone = box.ats.http.delete(f"{SE}/{own['id']}", params={"user": "dora@acme.example"})
        assert refused(gone) == (403, "permission_denied")
        assert refused(box.ats.http.get(f"/api/v1/organisations/acme%2Fde/templates/{own['id']}")) == (404, "template_not_found")
    assert box.ats.http.delete(f"{SE}/{own['id']}").status_code == 204
    assert seen_in("acme%2Fse")["id"] == top["id"]
    again = template(SE, box, "Interview", "Hej igen. " + COMPANY)
    assert (again["id"], again["version"]) == (own["id"], 2)


@pytest.mark.requirement("S12")
def test_a_used_version_stays_as_it_was(box: Box, unchanged: Unchanged) -> None:
    kim = known(box)
    made = template(SE, box, "Versions", "Ett. " + COMPANY)
    sent = box.ats.submit(kim, None, template_id=made["id"]).json()
    path = f"{SE}/{made['id']}"
    changed = box.ats.http.patch(path, json={"body": "Två. " + COMPANY, "version": 1, "user": "sven@acme.example"})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    with unchanged():
        stale = box.ats.http.patch(path, json={"body": "Tre. " + COMPANY, "version": 1})
        assert (refused(stale), stale.json()["version"]) == ((409, "stale_version"), 2)
    versions = box.ats.get(f"{path}/versions")["data"]
    assert [(row["version"], row["body"][:3], row["used_at"] is None) for row in versions] == [
        (2, "Två", True),
        (1, "Ett", False),
    ]
    assert box.ats.message(sent["id"])["text"].startswith("Ett.")
    assert audits(box, "template.version")


@pytest.mark.requirement("S13")
def test_one_name_for_several_channels_is_told_apart_by_its_label(box: Box, unchanged: Unchanged) -> None:
    by_sms = template(SE, box, "Interview Invitation", "Hej. " + COMPANY)
    by_mail = template(SE, box, "Interview Invitation", "Hej.", channel="email")
    assert (by_sms["label"], by_mail["label"]) == ("Interview Invitation (SMS)", "Interview Invitation (Email)")
    with unchanged():
        body = {"name": "Interview Invitation", "kind": "contact", "language": "sv", "body": COMPANY}
        assert refused(box.ats.post(SE, body)) == (409, "duplicate_template")
    template(SE, box, "Interview Invitation", "Hi. {{company}} Reply STOP.", language="en")
    rows = box.ats.get(SE, channel="sms", name="Interview Invitation")["data"]
    assert [(row["channel"], row["language"]) for row in rows] == [("sms", "en"), ("sms", "sv")]
    assert box.ats.submit(known(box), None, template_id=by_mail["id"]).json()["code"] == "template_of_other_channel"


@pytest.mark.requirement("S12", "S41")
def test_a_template_by_name_is_taken_in_the_job_ads_language_or_the_next_best(box: Box) -> None:
    kim = known(box)
    for unit, language in ((TOP, "en"), (TOP, "sv"), (SE, "de")):
        template(unit, box, "Ladder", f"In {language}. {COMPANY}", language=language)
    for number, (wanted, found, reason) in enumerate(
        (("de-AT", "de", "base"), ("sv", "sv", "job_ad"), ("fi", "sv", "organisation"))
    ):
        ref = f"job-lang-{number}"
        body = {"title": "T", "language": wanted, "organisation": "acme/se", "team": ["eva@acme.example"]}
        assert box.ats.http.put(f"/api/v1/cases/{ref}", json=body).status_code == 200
        seen = preview(box, kim, None, template_name="Ladder", case_ref=ref)
        assert (seen["template"]["language"], seen["template"]["found_by"]) == (found, reason)
        assert seen["text"].startswith(f"In {found}.")
    template(TOP, box, "Only English", "In en. " + COMPANY, language="en")
    assert preview(box, kim, None, template_name="Only English")["template"]["found_by"] == "english"
    template(TOP, box, "Only Polish", "In pl. " + COMPANY, language="pl")
    assert refused(box.ats.submit(kim, None, template_name="Only Polish")) == (404, "template_not_found")


# --- S58: many at once ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S58")
def test_a_batch_is_many_single_sends_through_all_gates(box: Box) -> None:
    three = [known(box) for _ in range(3)]
    evidence = {"captured_at": "2026-01-06T09:00:00Z", "wording_version": "7", "wording_text": "Nej."}
    stopped = box.ats.http.put(
        f"/api/v1/candidates/{three[1].ref}/consents/sms", json={"status": "revoked", "evidence": evidence}
    )
    assert stopped.status_code == 200, stopped.text
    before = box.books()
    answer = box.ats.post("/api/v1/messages/batch", {"messages": [box.ats.body(kim.ref, "Hej alla") for kim in three]})
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [202, 409, 202]
    assert results[1]["problem"]["code"] == "opted_out"
    assert box.ats.credits()[0] == before["credits"][0] - 2
    for number in (0, 2):
        box.ats.until_state(results[number]["message"]["id"], "delivered")
        assert box.on_air(three[number].phone)[-1].text == "Hej alla"
    assert "Hej alla" not in [part.text for part in box.on_air(three[1].phone)]


@pytest.mark.requirement("S58", "S9", "S14")
def test_each_item_of_a_batch_has_its_own_answer(box: Box) -> None:
    kim = known(box)
    good = box.ats.body(kim.ref, "Hej")
    items = [
        good,
        {**good, "kind": "rejection"},
        {**good, "text": "Tjänsten är tillsatt"},
        {**good, "text": ""},
        {**good, "candidate_ref": "none"},
        {**good, "user": "mia@acme.example"},
        {**good, "shoe_size": 43},
    ]
    answer = box.ats.post("/api/v1/messages/batch", {"messages": items})
    assert [(item["status"], item.get("problem", {}).get("code")) for item in answer.json()["results"]] == [
        (202, None),
        (422, "kind_not_allowed_on_channel"),
        (409, "looks_like_rejection"),
        (422, "text_empty"),
        (404, "candidate_not_found"),
        (403, "seat_required"),
        (422, "validation_failed"),
    ]
