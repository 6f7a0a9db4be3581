"""People, rights and seats: S3, S25, S31, S46–S49."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ats import Ats, Box
from tests.processes import Site, until

Unchanged = Callable[[], AbstractContextManager[None]]
CARRIER = {"content-type": "text/csv"}


@pytest.fixture(scope="module", autouse=True)
def _admins(box: Box) -> None:
    """Two administrators and a second unit, made as an ATS would make them."""
    made = (
        ("ada@acme.example", ["admin"], "self", False),
        ("sven@acme.example", ["admin"], "acme/se", False),
        ("olga@acme.example", ["operator"], "self", False),
    )
    assert box.ats.post("/api/v1/organisations", {"ref": "acme/de", "name": "Deutschland", "language": "de"}).status_code == 201
    for email, roles, unit, seat in made:
        body = {"email": email, "name": email.split("@")[0].title(), "roles": roles, "unit": unit, "seat": seat}
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


def patch(box: Box, whom: str, **body: Any) -> httpx.Response:
    return box.ats.http.patch(f"/api/v1/users/{whom}", json=body)


def user(box: Box, email: str) -> dict[str, Any]:
    found: dict[str, Any] = box.ats.get(f"/api/v1/users/{email}")
    return found


def person(box: Box, email: str, **more: Any) -> str:
    answer = box.ats.post("/api/v1/users", {"email": email, "roles": ["recruiter"], "unit": "acme/se", **more})
    assert answer.status_code == 201, answer.text
    return email


def case(box: Box, ref: str, *team: str, unit: str = "acme/se") -> str:
    body = {"title": "Svetsare", "language": "sv", "organisation": unit, "team": list(team)}
    assert box.ats.http.put(f"/api/v1/cases/{ref}", json=body).status_code == 200
    return ref


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def actions(box: Box, subject: str) -> list[str]:
    with box.site.store.read() as view:
        return [row["action"] for row in view.all("SELECT action FROM audit WHERE subject = ? ORDER BY serial", subject)]


def audits(box: Box, action: str) -> list[str]:
    with box.site.store.read() as view:
        return [row["data"] for row in view.all("SELECT data FROM audit WHERE action = ? ORDER BY serial", action)]


def csv(box: Box, text: str, **query: Any) -> httpx.Response:
    return box.ats.http.post("/api/v1/users/import", params=query, content=text.encode(), headers=CARRIER)


# --- S3, S25, S49: effective rights ----------------------------------------------------------------------------------


@pytest.mark.requirement("S49", "S3", "S25", "S46")
def test_each_missing_term_has_its_own_code_in_gate_order(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    tess = person(box, "tess@acme.example", roles=[], active=False)
    job = case(box, "job-terms")
    wanted = [
        ("user_inactive", {"active": True}),
        ("permission_denied", {"roles": ["candidate_management.recruitment_sms"]}),
        ("communications_tab_required", {"roles": ["recruiter"]}),
        ("not_on_hiring_team", None),
        ("seat_required", {"seat": True}),
    ]
    for code, cure in wanted:
        with unchanged():
            assert refused(box.ats.submit(kim, "Hej", user=tess, case_ref=job)) == (403, code)
        told = box.ats.get(f"/api/v1/users/{tess}/effective", case=job)
        assert (told["code"], told["may_send"]) == (code, False)
        missing = [term["code"] for term in told["terms"] if not term["holds"]]
        assert missing[0] == code
        assert [term["term"] for term in told["terms"]] == [
            "account_active",
            "permission",
            "communications_tab",
            "team_or_role_scope",
            "seat",
        ]
        if cure is None:
            case(box, job, tess)
        else:
            assert patch(box, tess, **cure).status_code == 200
    assert box.ats.get(f"/api/v1/users/{tess}/effective", case=job)["may_send"] is True
    assert box.ats.submit(kim, "Hej", user=tess, case_ref=job).status_code == 202


@pytest.mark.requirement("S49")
def test_a_role_whose_scope_reaches_the_case_needs_no_place_on_the_team(box: Box) -> None:
    mona = person(box, "mona@acme.example", roles=["recruiting_manager"], seat=True)
    here, there = case(box, "job-here"), case(box, "job-there", unit="acme/de")
    assert box.ats.submit(box.someone(), "Hej", user=mona, case_ref=here).status_code == 202
    assert refused(box.ats.submit(box.someone(), "Hej", user=mona, case_ref=there)) == (403, "permission_denied")


@pytest.mark.requirement("S25", "S49")
def test_a_reader_without_seat_reads_and_cannot_send(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    told = box.ats.get("/api/v1/users/mia@acme.example/effective", case="job-7")
    assert (told["may_read"], told["may_send"], told["code"]) == (True, False, "seat_required")
    answer = box.ats.http.get(f"/api/v1/candidates/{kim.ref}/channels", params={"user": "mia@acme.example", "case": "job-7"})
    assert (answer.status_code, answer.json()["sms"]["reason"]) == (200, "seat_required")
    with unchanged():
        assert refused(box.ats.submit(kim, "Hej", user="mia@acme.example")) == (403, "seat_required")


@pytest.mark.requirement("S3")
def test_the_right_is_granted_per_role_or_user_at_a_node_and_holds_below_it(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    nils = person(box, "nils@acme.example", roles=["viewer"], seat=True)
    job, other = case(box, "job-grant", nils), case(box, "job-grant-de", nils, unit="acme/de")
    denied = len(audits(box, "message.deny"))
    with unchanged():
        assert refused(box.ats.submit(kim, "Hej", user=nils, case_ref=job)) == (403, "permission_denied")
    assert len(audits(box, "message.deny")) == denied + 1
    right = {"permission": "candidate_management.recruitment_sms"}
    to_nils = box.ats.post("/api/v1/organisations/acme%2Fse/rights", {**right, "holder": nils})
    assert to_nils.status_code == 201, to_nils.text
    assert (to_nils.json()["category"], to_nils.json()["label"]) == ("Candidate Management", "Recruitment - SMS")
    sent = box.ats.submit(kim, "Hej", user=nils, case_ref=job, send_at=box.moment(3600))
    assert sent.status_code == 202, sent.text
    assert refused(box.ats.submit(kim, "Hej", user=nils, case_ref=other)) == (403, "permission_denied")
    again = box.ats.post("/api/v1/organisations/acme%2Fse/rights", {**right, "holder": nils})
    assert refused(again) == (409, "duplicate_grant")
    # to a role, at the top: holds everywhere below
    to_role = box.ats.post("/api/v1/organisations/self/rights", {**right, "role": "viewer"})
    assert to_role.status_code == 201
    below = box.ats.get("/api/v1/organisations/acme%2Fde/rights")["data"]
    assert [(row["role"], row["inherited_from"]) for row in below if row["role"]] == [("viewer", "acme")]
    assert box.ats.submit(kim, "Hej", user=nils, case_ref=other).status_code == 202
    # taken back while a message waits: it still goes, and the audit says so
    for unit, row in (("self", to_role), ("acme%2Fse", to_nils)):
        assert box.ats.http.delete(f"/api/v1/organisations/{unit}/rights/{row.json()['id']}").status_code == 204
    with unchanged():
        assert refused(box.ats.submit(kim, "Hej", user=nils, case_ref=job)) == (403, "permission_denied")
    assert '"waiting_messages_still_go":' in audits(box, "permission.change")[-1]
    box.advance(3700)
    box.ats.until_state(sent.json()["id"], "sent", "delivered")
    accepted = box.ats.message(sent.json()["id"])["timeline"][0]
    assert accepted["what"] == "message.accept"


@pytest.mark.requirement("S3")
def test_an_unknown_right_or_holder_changes_nothing(box: Box, unchanged: Unchanged) -> None:
    path = "/api/v1/organisations/self/rights"
    right = "candidate_management.recruitment_sms"
    with unchanged():
        assert refused(box.ats.post(path, {"permission": "everything", "role": "viewer"})) == (422, "unknown_permission")
        assert refused(box.ats.post(path, {"permission": right})) == (422, "holder_missing")
        assert refused(box.ats.post(path, {"permission": right, "role": "king"})) == (422, "unknown_role")
        assert refused(box.ats.post(path, {"permission": right, "holder": "no@acme.example"})) == (404, "user_not_found")
        assert refused(box.ats.post("/api/v1/organisations/none/rights", {"permission": right, "role": "viewer"})) == (
            404,
            "organisation_not_found",
        )
        body = {"permission": right, "role": "viewer", "user": "eva@acme.example"}
        assert refused(box.ats.post(path, body)) == (403, "permission_denied")


@pytest.mark.requirement("S3")
def test_roles_and_permissions_stand_under_their_headings(box: Box) -> None:
    told = box.ats.get("/api/v1/roles")
    found = {row["name"]: (row["category"], row["label"]) for row in told["permissions"]}
    assert found["candidate_management.recruitment_sms"] == ("Candidate Management", "Recruitment - SMS")
    sending = [role["name"] for role in told["roles"] if "candidate_management.recruitment_sms" in role["permissions"]]
    assert sending == ["recruiter", "recruiting_manager"]


# --- S31: a fresh box ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S31")
def test_a_fresh_box_sends_nothing_before_an_administrator_grants(tmp_path: Path) -> None:
    with Site(tmp_path, test_clock=True) as site:
        (tmp_path / "password").write_text("correct horse battery\n")
        site.ringpost("init", "--test", "--admin", "ann@acme.example", "--password-file", str(tmp_path / "password"))
        key = site.ringpost("key", "add", "ats", "--scope", "*").strip()
        site.web()
        ats = Ats(f"http://127.0.0.1:{site.port}", key)
        try:
            assert [row["seat"] for row in ats.get("/api/v1/users")["data"]] == [False]
            assert ats.http.put("/api/v1/cases/job-1", json={"title": "T", "team": ["ann@acme.example"]}).status_code == 200
            ats.candidate("+46701740605", ref="kim", consent=False)
            answer = ats.submit("kim", "Hej", user="ann@acme.example", case_ref="job-1")
            assert refused(answer) == (403, "permission_denied")
            assert ats.get("/api/v1/messages")["data"] == []
        finally:
            ats.close()


# --- S46: change one user --------------------------------------------------------------------------------------------


@pytest.mark.requirement("S46")
def test_a_seat_is_granted_singly_and_a_stale_version_is_refused(box: Box, unchanged: Unchanged) -> None:
    rut = person(box, "rut@acme.example")
    before = user(box, rut)
    answer = patch(box, rut, seat=True, version=before["version"], user="ada@acme.example")
    assert (answer.status_code, answer.json()["seat"], answer.json()["version"]) == (200, True, before["version"] + 1)
    assert actions(box, before["id"]) == ["user.create", "user.update", "seat.grant"]
    with unchanged():
        stale = patch(box, rut, seat=False, version=before["version"])
        assert refused(stale) == (409, "stale_version")
        assert stale.json()["version"] == before["version"] + 1
        assert patch(box, rut, seat="yes").status_code == 422
        assert refused(patch(box, rut, roles=["king"])) == (422, "unknown_role")
        assert refused(patch(box, "nobody@acme.example", seat=True)) == (404, "user_not_found")
        assert refused(patch(box, rut, unit="acme/none")) == (404, "organisation_not_found")
    assert user(box, rut)["seat"] is True


@pytest.mark.requirement("S46")
def test_the_last_administrator_cannot_drop_the_right(box: Box, unchanged: Unchanged) -> None:
    assert patch(box, "sven@acme.example", roles=["viewer"]).status_code == 200
    with unchanged():
        for body in ({"roles": ["recruiter"]}, {"active": False}):
            assert refused(patch(box, "ada@acme.example", user="ada@acme.example", **body)) == (409, "last_admin")
    assert patch(box, "sven@acme.example", roles=["admin"]).status_code == 200


@pytest.mark.requirement("S46", "S3")
def test_an_administrator_of_a_node_reaches_that_node_only_and_cannot_make_an_operator(box: Box, unchanged: Unchanged) -> None:
    gerd = person(box, "gerd@acme.example", unit="acme/de")
    with unchanged():
        assert refused(patch(box, gerd, seat=True, user="sven@acme.example")) == (403, "permission_denied")
        assert refused(patch(box, "eva@acme.example", unit="acme/de", user="sven@acme.example")) == (403, "permission_denied")
        assert refused(patch(box, gerd, roles=["operator"], user="ada@acme.example")) == (403, "permission_denied")
        assert refused(patch(box, "olga@acme.example", roles=[], user="ada@acme.example")) == (403, "permission_denied")
        link = box.ats.post("/api/v1/users/olga@acme.example/password-link", {"user": "ada@acme.example"})
        assert refused(link) == (403, "permission_denied")
    assert patch(box, gerd, seat=True, user="ada@acme.example").status_code == 200


@pytest.mark.requirement("S46")
def test_a_link_sets_a_new_password_once(box: Box) -> None:
    lin = person(box, "lin@acme.example")
    old = box.ats.post(f"/api/v1/users/{lin}/password-link").json()["url"]
    link = box.ats.post(f"/api/v1/users/{lin}/password-link")
    assert link.status_code == 201
    url = link.json()["url"]
    with box.site.store.read() as view:
        kept = view.all("SELECT token_hash FROM password_link")
    assert all(url.rsplit("/", 1)[1] != row["token_hash"] for row in kept)
    with httpx.Client(trust_env=False) as browser:
        assert browser.get(old).status_code == 404
        page = browser.get(url)
        assert page.status_code == 200
        token = page.text.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
        form = {"csrf_token": token, "fresh": "four easy words here", "again": "four easy words here"}
        weak = browser.post(url, data={**form, "fresh": "short", "again": "short"}, headers={"origin": url.split("/admin")[0]})
        assert weak.status_code == 422
        done = browser.post(url, data=form, headers={"origin": url.split("/admin")[0]})
        assert done.status_code == 303, done.text
        assert browser.get(url).status_code == 410
    assert "auth.reset" in actions(box, user(box, lin)["id"])


# --- S47: CSV --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S47")
def test_the_download_can_be_uploaded_again_and_changes_nothing(box: Box, unchanged: Unchanged) -> None:
    person(box, "formula@acme.example", name="=HYPERLINK(1)")
    person(box, "quoted@acme.example", name="'=cmd")
    answer = box.ats.http.get("/api/v1/users.csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    text = answer.text
    assert "'=HYPERLINK(1)" in text
    assert not [cell for line in text.splitlines() for cell in line.split(",") if cell.startswith(("=", "+", "-", "@"))]
    semicolons = box.ats.http.get("/api/v1/users.csv", params={"delimiter": ";"}).text
    with unchanged():
        for file in (text, semicolons):
            done = csv(box, file)
            assert (done.status_code, done.json()["changes"]) == (200, 0)
    assert user(box, "formula@acme.example")["name"] == "=HYPERLINK(1)"
    assert audits(box, "users.export")


@pytest.mark.requirement("S47")
def test_an_upload_tells_per_row_what_happens_and_the_same_file_twice_changes_nothing(box: Box, unchanged: Unchanged) -> None:
    file = (
        "\ufeffemail;name;roles;unit\r\nimp1@acme.example;Ida;recruiter;acme/se\r\n"
        "imp2@acme.example;Per;viewer recruiter;acme/de\r\n"
    )
    with unchanged():
        tried = csv(box, file, dry_run=1)
        assert (tried.status_code, tried.json()["dry_run"], tried.json()["created"]) == (200, True, 2)
        assert refused(box.ats.http.get("/api/v1/users/imp1@acme.example")) == (404, "user_not_found")
    done = csv(box, file).json()
    assert [(row["line"], row["email"], row["action"]) for row in done["rows"]] == [
        (2, "imp1@acme.example", "created"),
        (3, "imp2@acme.example", "created"),
    ]
    with unchanged():
        assert csv(box, file).json()["changes"] == 0
    changed = csv(box, file.replace("Ida", "Ida Ek")).json()
    assert (changed["changed"], changed["same"], changed["rows"][0]["changed"]) == (1, 1, ["name"])


@pytest.mark.requirement("S47")
def test_one_bad_row_or_column_changes_nothing(box: Box, unchanged: Unchanged) -> None:
    good = "email,name,roles,unit,seat\nbad1@acme.example,A,recruiter,acme/se,no\n"
    with unchanged():
        answer = csv(box, good.replace("unit", "shoe_size"))
        assert (refused(answer), answer.json()["column"]) == ((422, "unknown_column"), "shoe_size")
        for row, column in (
            ("bad2@acme.example,B,king,acme/se,no", "roles"),
            ("not an address,B,recruiter,acme/se,no", "email"),
            ("bad2@acme.example,B,recruiter,acme/none,no", "unit"),
            ("bad2@acme.example,B,recruiter,acme/se,perhaps", "seat"),
            ("bad1@acme.example,B,recruiter,acme/se,no", "email"),
            ("bad2@acme.example,B", None),
        ):
            answer = csv(box, good + row + "\n")
            assert refused(answer) == (422, "bad_row")
            told = answer.json()
            assert (told["line"], told["rows"][0]["column"]) == (3, column)
            assert told["reason"]
        assert refused(csv(box, "")) == (422, "empty_file")
        assert refused(csv(box, "name\nA\n")) == (422, "missing_column")
        raw = box.ats.http.post("/api/v1/users/import", content=b"email,name\na@b.c,\xff\n", headers=CARRIER)
        assert refused(raw) == (422, "not_utf8")
        assert refused(csv(box, good, user="eva@acme.example")) == (422, "bad_row")
    assert refused(box.ats.http.get("/api/v1/users/bad1@acme.example")) == (404, "user_not_found")


# --- S48: seats ------------------------------------------------------------------------------------------------------


def seats(box: Box) -> tuple[int | None, int]:
    found = box.ats.get("/api/v1/organisations/self")["seats"]
    return found["total"], found["used"]


@pytest.fixture
def full(box: Box) -> Iterator[int]:
    """A licence whose every seat is taken."""
    used = seats(box)[1]
    path = "/api/v1/organisations/self/seats"
    assert box.ats.http.put(path, json={"total": used, "user": "olga@acme.example"}).status_code == 200
    yield used
    assert box.ats.http.put(path, json={"total": None}).status_code == 200


@pytest.mark.requirement("S48", "S47")
def test_no_seat_is_given_beyond_the_licence_by_any_way(box: Box, full: int, unchanged: Unchanged) -> None:
    ned = person(box, "ned@acme.example")
    with unchanged():
        for answer in (
            patch(box, ned, seat=True),
            box.ats.post("/api/v1/users", {"email": "nil@acme.example", "seat": True}),
            csv(box, f"email,seat\n{ned},yes\n"),
        ):
            assert refused(answer) == (409, "seat_limit")
            assert (answer.json()["have"], answer.json()["want"]) == (full, full + 1)
        lower = box.ats.http.put("/api/v1/organisations/self/seats", json={"total": full - 1})
        assert refused(lower) == (409, "seat_limit")
        mine = box.ats.http.put("/api/v1/organisations/self/seats", json={"total": 999, "user": "ada@acme.example"})
        assert refused(mine) == (403, "permission_denied")
    swapped = csv(box, f"email,seat\n{ned},yes\notto@acme.example,no\n")
    assert (swapped.status_code, seats(box)) == (200, (full, full)), swapped.text
    assert csv(box, f"email,seat\n{ned},no\notto@acme.example,yes\n").status_code == 200


@pytest.mark.requirement("S48")
def test_a_seat_moves_in_one_act(box: Box, full: int, unchanged: Unchanged) -> None:
    kim = box.someone()
    ula, tom = person(box, "ula@acme.example"), person(box, "tom@acme.example")
    job = case(box, "job-seat", "otto@acme.example", ula, tom)
    sent = box.ats.accepted(kim, "Nu", user="otto@acme.example", case_ref=job)
    box.ats.until_state(sent["id"], "sent", "delivered")
    waits = box.ats.accepted(kim, "Sedan", user="otto@acme.example", case_ref=job, send_at=box.moment(7200))
    with unchanged():
        assert refused(box.ats.submit(kim, "Hej", user=ula, case_ref=job)) == (403, "seat_required")
        for body, code in (
            ({"to": "otto@acme.example"}, (422, "same_user")),
            ({"to": "eva@acme.example"}, (409, "seat_taken")),
            ({"to": ula, "scheduled_to": tom}, (409, "owner_without_seat")),
            ({"to": "nobody@acme.example"}, (404, "user_not_found")),
        ):
            assert refused(box.ats.post("/api/v1/users/otto@acme.example/seat-move", body)) == code
        assert refused(box.ats.post(f"/api/v1/users/{ula}/seat-move", {"to": tom})) == (409, "seat_required")
    moved = box.ats.post("/api/v1/users/otto@acme.example/seat-move", {"to": ula})
    assert (moved.status_code, moved.json()["scheduled"], moved.json()["scheduled_to"]) == (200, 1, ula)
    assert box.ats.submit(kim, "Hej", user=ula, case_ref=job).status_code == 202
    with unchanged():
        assert refused(box.ats.submit(kim, "Hej", user="otto@acme.example", case_ref=job)) == (403, "seat_required")
    assert box.ats.message(waits["id"])["user"] == ula
    assert box.ats.message(sent["id"])["user"] == "otto@acme.example"
    assert "seat.move" in actions(box, user(box, ula)["id"])
    back = box.ats.post(f"/api/v1/users/{ula}/seat-move", {"to": "otto@acme.example", "scheduled_to": "eva@acme.example"})
    assert back.status_code == 200, back.text
    assert box.ats.message(waits["id"])["user"] == "eva@acme.example"
    assert seats(box) == (full, full)
    box.ats.cancel(waits["id"])


@pytest.mark.requirement("S48")
def test_idle_seats_are_found(box: Box) -> None:
    ulf = person(box, "ulf@acme.example", seat=True)
    case(box, "job-idle", ulf)
    idle = {row["email"] for row in box.ats.pages("/api/v1/users", seat=True, idle_days=1)}
    assert ulf in idle
    assert box.ats.submit(box.someone(), "Hej", user=ulf, case_ref="job-idle").status_code == 202
    assert user(box, ulf)["last_used_at"] is not None
    assert ulf not in {row["email"] for row in box.ats.pages("/api/v1/users", seat=True, idle_days=1)}
    assert {row["unit"] for row in box.ats.pages("/api/v1/users", unit="acme/de")} <= {"acme/de"}


@pytest.mark.requirement("S12")
def test_the_tree_is_shown_and_changed(box: Box, unchanged: Unchanged) -> None:
    made = box.ats.post("/api/v1/organisations", {"ref": "acme/se/gbg", "name": "Göteborg", "parent": "acme/se"})
    assert (made.status_code, made.json()["depth"], made.json()["language"]) == (201, 2, "sv")
    refs = [unit["ref"] for unit in box.ats.get("/api/v1/organisations")["data"]]
    assert refs[0] == "acme"
    assert refs.index("acme/se") < refs.index("acme/se/gbg")
    path = "/api/v1/organisations/acme%2Fse"
    with unchanged():
        assert refused(box.ats.http.patch(path, json={"parent": "acme/se/gbg"})) == (409, "circular_tree")
        assert refused(box.ats.http.patch(path, json={"zone": "CET+1"})) == (422, "invalid_timezone")
        assert refused(box.ats.post("/api/v1/organisations", {"ref": "acme/se", "name": "X"})) == (409, "duplicate_ref")
        answer = box.ats.http.patch(path, json={"name": "X", "user": "eva@acme.example"})
        assert refused(answer) == (403, "permission_denied")
