"""Threads, channels, reply intents and notices: S5, S8, S18, S19, S22–S25, S38, S50."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.ats import SENDER, Box, Hook, Person, decoded
from tests.processes import free_port, until

Unchanged = Callable[[], AbstractContextManager[None]]
EVA, MIA, OTTO = "eva@acme.example", "mia@acme.example", "otto@acme.example"


@pytest.fixture(scope="module", autouse=True)
def second_case(box: Box) -> None:
    """Eva recruits for two jobs, Otto alone for a third."""
    for ref, team in (("job-8", [EVA, MIA]), ("job-9", [OTTO])):
        answer = box.ats.http.put(f"/api/v1/cases/{ref}", json={"title": f"Job {ref}", "language": "sv", "team": team})
        assert answer.status_code == 200, answer.text


@pytest.fixture
def unchanged(box: Box, unchanged: Unchanged) -> Unchanged:
    """As everywhere, once what earlier acts have set in motion has arrived."""

    @contextmanager
    def watch() -> Iterator[None]:
        until(lambda: not _moving(box), about="nothing is on its way")
        with unchanged():
            yield

    return watch


def _moving(box: Box) -> bool:
    with box.site.store.read() as view:
        return view.one("SELECT 1 AS yes FROM message WHERE state IN ('queued', 'sending', 'sent')") is not None


def write(box: Box, kim: Person, text: str = "Hej!", **more: Any) -> dict[str, Any]:
    """Send a text and see it arrive, whatever went before it as well."""
    sent = box.ats.accepted(kim, text, **more)
    for message_id in (*(each["id"] for each in sent["companions"]), sent["id"]):
        box.ats.until_state(message_id, "delivered")
    return sent


def hear(box: Box, phone: str, text: str) -> dict[str, Any]:
    """A candidate writes; the event that tells it."""
    after = box.ats.last_event()
    box.stick.control.deliver(phone, text)

    def told() -> dict[str, Any] | None:
        events = box.ats.get("/api/v1/events", types="message.received", **({} if after is None else {"after": after}))["data"]
        return next((event["data"] for event in events if event["data"]["text"] == text), None)

    return until(told, about=f"message.received for {text!r}", timeout_s=5)


def threads(box: Box, **query: Any) -> list[dict[str, Any]]:
    return box.ats.pages("/api/v1/threads", **query)


def thread(box: Box, thread_id: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = box.ats.get(f"/api/v1/threads/{thread_id}", **query)
    return found


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# --- S19: where a message belongs ------------------------------------------------------------------------------------


@pytest.mark.requirement("S19")
@pytest.mark.requirement("S18")
def test_a_reply_lands_in_the_thread_of_the_case_and_on_no_phone(box: Box) -> None:
    kim = box.someone()
    sent = write(box, kim, "Kan du komma på tisdag?")
    before = len(box.site.air("submit"))
    told = hear(box, kim.phone, "Det kan jag säkert, hälsar Kim")
    assert (told["case_ref"], told["candidate_ref"], told["user"], told["ambiguous"]) == ("job-7", kim.ref, EVA, False)
    shown = thread(box, told["thread_id"])
    assert (shown["context"], shown["state"], shown["case_ref"]) == ("case", "active", "job-7")
    first, *rest = shown["messages"]
    assert (first["direction"], first["id"]) == ("in", told["received_id"])
    assert sent["id"] in [each["id"] for each in rest]
    assert len(box.site.air("submit")) == before, "nothing is forwarded to anybody's phone"


@pytest.mark.requirement("S19")
def test_with_two_open_cases_a_reply_goes_to_the_newest_outbounds_thread_marked_ambiguous(box: Box) -> None:
    kim = box.someone()
    write(box, kim, "Om jobb sju")
    write(box, kim, "Om jobb åtta", case_ref="job-8")
    told = hear(box, kim.phone, "Vilket av dem menar du")
    assert (told["case_ref"], told["ambiguous"]) == ("job-8", True)
    write(box, kim, "Jag menade jobb sju")
    assert hear(box, kim.phone, "Då förstår jag")["case_ref"] == "job-7"
    rows = thread(box, told["thread_id"])["messages"]
    assert next(row for row in rows if row["id"] == told["received_id"])["ambiguous"] is True
    other = next(each for each in threads(box, candidate_ref=kim.ref) if each["case_ref"] == "job-7")
    closed = box.ats.post(f"/api/v1/threads/{other['id']}/close", {"user": EVA})
    assert closed.status_code == 200
    assert hear(box, kim.phone, "Nu är det bara en")["ambiguous"] is False


@pytest.mark.requirement("S19")
def test_an_unknown_sender_goes_to_the_unassigned_inbox_and_only_stop_and_help_are_answered(box: Box) -> None:
    stranger = box.a_number()
    told = hear(box, stranger, "Hej, är tjänsten ledig")
    shown = thread(box, told["thread_id"], user=EVA)
    assert (shown["context"], shown["from"], shown["candidate_ref"], told["case_ref"]) == ("unassigned", stranger, None, None)
    assert (shown["locked"], shown["lock_reason"]) == (True, "unknown_sender")
    assert hear(box, stranger, "Hallå där")["thread_id"] == told["thread_id"]
    assert told["thread_id"] in [each["id"] for each in threads(box, unassigned="true", user=EVA)]
    assert box.on_air(stranger) == []
    hear(box, stranger, "STOPP")
    until(lambda: len(box.on_air(stranger)) == 1, about="the confirmation of the STOP")
    answers = [row for row in thread(box, told["thread_id"])["messages"] if row["direction"] == "out"]
    assert [row["kind"] for row in answers] == ["stop_confirmation"]


@pytest.mark.requirement("S19")
def test_a_strangers_messages_can_be_given_to_the_case_of_the_candidate_whose_number_it_is(
    box: Box, unchanged: Unchanged
) -> None:
    number = box.a_number()
    told = hear(box, number, "Jag har bytt nummer")
    kim = box.someone()
    give = {"user": EVA, "assignee": EVA, "candidate_ref": kim.ref, "case_ref": "job-7"}
    with unchanged():
        assert code(box.ats.post(f"/api/v1/threads/{told['thread_id']}/assign", give)) == (409, "number_differs")
    box.ats.http.put(f"/api/v1/candidates/{kim.ref}", json={"phone": number})
    answer = box.ats.post(f"/api/v1/threads/{told['thread_id']}/assign", give)
    assert answer.status_code == 200, answer.text
    now = answer.json()
    assert (now["candidate_ref"], now["case_ref"], now["assignee"], now["unread_count"]) == (kim.ref, "job-7", EVA, 1)
    assert [row["text"] for row in thread(box, now["id"])["messages"]] == ["Jag har bytt nummer"]
    left = thread(box, told["thread_id"])
    assert (left["state"], left["moved_to"], left["messages"], left["from"]) == ("closed", now["id"], [], None)


@pytest.mark.requirement("S19")
def test_a_closed_thread_stays_as_it_is_and_new_traffic_opens_another(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    write(box, kim)
    first = hear(box, kim.phone, "Tack för det")["thread_id"]
    assert box.ats.post(f"/api/v1/threads/{first}/close", {"user": EVA}).json()["state"] == "closed"
    kept = thread(box, first)
    told = hear(box, kim.phone, "En sak till")
    assert told["thread_id"] != first
    assert told["case_ref"] == "job-7", "the latest case"
    assert thread(box, first) == kept
    with unchanged():
        assert code(box.ats.post(f"/api/v1/threads/{first}/close", {"user": EVA})) == (409, "thread_closed")
        assert code(box.ats.post(f"/api/v1/threads/{first}/assign", {"user": EVA, "assignee": MIA})) == (409, "thread_closed")
        assert code(box.ats.post("/api/v1/threads/thr_0/close", {"user": EVA})) == (404, "thread_not_found")


@pytest.mark.requirement("S19")
def test_prospects_have_threads_of_their_pool(box: Box) -> None:
    kim = box.someone()
    sent = box.ats.accepted(kim, "Nyheter för svetsare", case_ref=None, pool_ref="welders")
    box.ats.until_state(sent["id"], "sent", "delivered")
    told = hear(box, kim.phone, "Intressant, berätta")
    assert (told["pool_ref"], told["case_ref"]) == ("welders", None)
    assert thread(box, told["thread_id"])["context"] == "pool"


# --- S23: one inbox, one profile -------------------------------------------------------------------------------------


def _unread(box: Box, kim: Person, user: str) -> tuple[list[str], list[str]]:
    """What is unread for a user: threads in the inbox, messages on the candidate's page."""
    inbox = [each["id"] for each in threads(box, user=user, unread="true", candidate_ref=kim.ref)]
    page = box.ats.pages(f"/api/v1/candidates/{kim.ref}/messages", user=user)
    return inbox, [row["id"] for row in page if row.get("unread")]


@pytest.mark.requirement("S23")
def test_an_inbound_message_is_unread_in_both_views_within_five_seconds_and_reading_it_in_one_changes_the_other(box: Box) -> None:
    kim = box.someone()
    write(box, kim)
    box.stick.control.deliver(kim.phone, "Läs mig")
    until(lambda: all(_unread(box, kim, EVA)), timeout_s=5, about="unread in both views")
    (thread_id,), (message_id,) = _unread(box, kim, EVA)
    rows = thread(box, thread_id, user=EVA)["messages"]
    assert rows == box.ats.get(f"/api/v1/candidates/{kim.ref}/messages", user=EVA)["data"], "identical rows in both views"
    assert rows[0]["direction"] == "in"
    answer = box.ats.post(f"/api/v1/threads/{thread_id}/read", {"user": EVA, "until": message_id})
    assert (answer.status_code, answer.json()["unread"]) == (200, 0)
    assert _unread(box, kim, EVA) == ([], [])
    assert _unread(box, kim, MIA) == ([thread_id], [message_id]), "read state is everybody's own"


@pytest.mark.requirement("S23")
@pytest.mark.requirement("S25")
def test_who_is_off_the_hiring_team_sees_neither_view(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    write(box, kim)
    thread_id = hear(box, kim.phone, "Bara för teamet")["thread_id"]
    with unchanged():
        for path in (f"/api/v1/threads/{thread_id}", f"/api/v1/candidates/{kim.ref}/messages"):
            assert code(box.ats.http.get(path, params={"user": OTTO})) == (403, "not_on_hiring_team")
        for act in ("read", "close"):
            assert code(box.ats.post(f"/api/v1/threads/{thread_id}/{act}", {"user": OTTO})) == (403, "not_on_hiring_team")
        give = {"user": EVA, "assignee": OTTO}
        assert code(box.ats.post(f"/api/v1/threads/{thread_id}/assign", give)) == (422, "assignee_cannot_read")
        assert code(box.ats.http.get("/api/v1/threads", params={"unread": "true"})) == (422, "user_missing")
        assert code(box.ats.http.get("/api/v1/threads", params={"user": "nobody@acme.example"})) == (404, "user_not_found")
    assert thread_id not in [each["id"] for each in threads(box, user=OTTO)]
    assert thread_id in [each["id"] for each in threads(box, user=EVA)]


@pytest.mark.requirement("S23")
def test_threads_are_found_by_assignee_state_and_whether_an_answer_is_due(box: Box) -> None:
    kim = box.someone()
    write(box, kim)
    thread_id = hear(box, kim.phone, "Vem tar hand om mig")["thread_id"]
    assert box.ats.post(f"/api/v1/threads/{thread_id}/assign", {"user": EVA, "assignee": MIA}).json()["assignee"] == MIA
    mine = threads(box, assignee=MIA, user=MIA, awaiting_reply="true", state="active")
    assert [each["id"] for each in mine] == [thread_id]
    assert thread_id not in [each["id"] for each in threads(box, assignee="none")]
    write(box, kim, "Det gör Mia")
    assert thread(box, thread_id)["awaiting_reply"] is False
    assert hear(box, kim.phone, "Tack så mycket då")["user"] == MIA
    assert box.ats.post(f"/api/v1/threads/{thread_id}/assign", {"user": MIA, "assignee": None}).json()["assignee"] is None
    page = box.ats.get("/api/v1/threads", limit=1)
    assert len(page["data"]) == 1
    assert page["next"] == page["data"][0]["id"]
    everything = threads(box)
    assert len({each["id"] for each in everything}) == len(everything)


# --- S24, S25, S38 ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S24")
def test_an_inbound_message_at_an_outage_is_told_again_until_taken_and_then_once(box: Box) -> None:
    hook = Hook([503, 503])
    try:
        made = box.ats.post("/api/v1/webhooks", {"url": hook.url, "events": ["message.received"]})
        assert made.status_code == 201, made.text
        kim = box.someone()
        write(box, kim)
        told = hear(box, kim.phone, "Jag blir tio minuter sen")
        until(lambda: len(hook.requests) >= 1, about="the first try")
        box.advance(5)
        until(lambda: len(hook.requests) >= 2, about="the second try")
        box.advance(30)
        until(lambda: len(hook.requests) >= 3, about="the third try")
        second = hear(box, kim.phone, "Nu är jag här")
        until(lambda: len(hook.requests) >= 4, about="the next event")
        ids = [headers["webhook-id"] for headers, _ in hook.requests]
        assert (len(ids), len(set(ids)), ids.count(ids[0])) == (4, 2, 3), "three tries of one event, then the next, once"
        data = [decoded(body)["data"] for _, body in hook.requests]
        assert [each["received_id"] for each in data] == [told["received_id"]] * 3 + [second["received_id"]]
        for each in data[0], data[3]:
            assert {"thread_id", "case_ref", "user", "intent"} <= set(each)
        assert data[0]["intent"] == {"name": "running_late", "confidence": "phrase"}
    finally:
        box.ats.http.delete(f"/api/v1/webhooks/{made.json()['id']}")
        hook.close()


@pytest.mark.requirement("S25")
def test_a_team_member_without_a_seat_reads_and_may_not_write(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    write(box, kim, "Hälsningar från oss")
    thread_id = hear(box, kim.phone, "Hej hej allihop")["thread_id"]
    shown = thread(box, thread_id, user=MIA)
    out = next(row for row in shown["messages"] if row["text"] == "Hälsningar från oss")
    assert out["author"] == {"user": EVA, "name": "Eva Lind"}, "colleagues see who wrote"
    assert (out["shown_as"], out["sender"], shown["shown_as"]) == ("Acme AB", SENDER, "Acme AB")
    assert box.on_air(kim.phone)[-1].text == "Hälsningar från oss", "the candidate sees the company's number and no name added"
    with unchanged():
        assert code(box.ats.submit(kim, "Hej", user=MIA)) == (403, "seat_required")


@pytest.mark.requirement("S38")
def test_a_thread_is_locked_until_there_is_consent_and_is_read_all_the_same(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    write(box, kim)
    thread_id = hear(box, kim.phone, "Fram tills nu gick det")["thread_id"]
    assert (thread(box, thread_id)["locked"], thread(box, thread_id)["lock_reason"]) == (False, None)
    hear(box, kim.phone, "STOPP")
    locked = thread(box, thread_id)
    assert (locked["locked"], locked["lock_reason"]) == (True, "opted_out")
    with unchanged():
        assert code(box.ats.submit(kim, "Hallå?")) == (409, "opted_out")
    told = hear(box, kim.phone, "Jag läser inte era sms")
    assert told["thread_id"] == thread_id
    assert thread(box, thread_id, user=MIA)["messages"][0]["text"] == "Jag läser inte era sms"
    assert thread(box, thread_id)["locked"] is True, "an ordinary message unlocks nothing"


# --- S5, S8, S22, S50: channels --------------------------------------------------------------------------------------


@pytest.mark.requirement("S5")
@pytest.mark.requirement("S50")
def test_the_channels_of_a_candidate_say_what_accept_would_say(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()

    def channels(user: str = EVA, case: str = "job-7") -> dict[str, Any]:
        found: dict[str, Any] = box.ats.get(f"/api/v1/candidates/{kim.ref}/channels", user=user, case=case)
        return found

    with unchanged():
        assert (channels()["sms"]["available"], channels()["sms"]["reason"]) == (True, None)
        assert channels(MIA)["sms"]["reason"] == "seat_required"
        assert channels(OTTO)["sms"]["reason"] == "not_on_hiring_team"
        assert code(box.ats.http.get(f"/api/v1/candidates/{kim.ref}/channels", params={"user": EVA, "case": "none"}))[0] == 404
        assert code(box.ats.http.get("/api/v1/candidates/none/channels", params={"user": EVA}))[0] == 404
        assert box.ats.http.get(f"/api/v1/candidates/{kim.ref}/channels").status_code == 422
    hear(box, kim.phone, "STOPP")
    assert (channels()["sms"]["available"], channels()["sms"]["reason"]) == (False, "opted_out")
    stranger = box.ats.candidate(box.a_number(), consent=False)
    shown = box.ats.get(f"/api/v1/candidates/{stranger.ref}/channels", user=EVA, case="job-7")
    assert shown["sms"]["reason"] == "consent_required"
    assert {"available", "reason", "window_expires_at"} <= set(shown["sms"])


@pytest.mark.requirement("S8")
@pytest.mark.requirement("S22")
@pytest.mark.requirement("S50")
def test_email_is_handed_back_and_a_channel_that_is_off_is_not_listed(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    path = f"/api/v1/candidates/{kim.ref}/channels"
    with unchanged():
        shown = box.ats.get(path, user=EVA, case="job-7")
        assert set(shown) == {"sms", "email"}, "WhatsApp has no credentials here"
        assert shown["email"]["use"] == "email"
        assert code(box.ats.submit(kim, "Hej", channel="whatsapp")) == (409, "channel_disabled")
        refused = box.ats.submit(kim, "Hej", channel="email")
        assert (code(refused), refused.json()["use"]) == ((409, "channel_disabled"), "email")
        assert box.ats.submit(kim, "Hej", channel="fax").status_code == 422
    switch = "UPDATE organisation SET sms_enabled = ? WHERE ref = 'acme'"
    with box.site.store.write() as tx:
        tx.execute(switch, 0)
    try:
        with unchanged():
            assert "sms" not in box.ats.get(path, user=EVA, case="job-7")
            assert code(box.ats.submit(kim, "Hej")) == (409, "channel_disabled")
    finally:
        with box.site.store.write() as tx:
            tx.execute(switch, 1)


# --- S18: calls ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S18")
def test_a_call_to_the_sim_becomes_one_missed_call_event_with_its_thread(box: Box) -> None:
    kim = box.someone()
    write(box, kim)
    after = box.ats.last_event()
    box.stick.control.ask("ring", **{"from": kim.phone, "count": 3})

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = box.ats.get("/api/v1/events", types="call.missed", after=after)["data"]
        return found

    (event,) = until(told, about="call.missed")
    data = event["data"]
    assert (data["from"], data["candidate_ref"], data["case_ref"]) == (kim.phone, kim.ref, "job-7")
    (shown,) = threads(box, candidate_ref=kim.ref)
    assert data["thread_id"] == shown["id"]
    with box.site.store.read() as view:
        audited = view.all("SELECT data FROM audit WHERE subject = ? AND action = 'inbound.call'", data["call_id"])
    assert len(audited) == 1
    assert kim.phone not in audited[0]["data"]
    log = box.site.programs["gateway"].said
    assert kim.phone not in log
    box.advance(20)
    write(box, kim, "Vi såg att du ringde")  # by then the gateway has seen the new time
    hidden = box.ats.last_event()
    box.stick.control.ask("ring", **{"from": "", "count": 1})

    def unknown() -> list[dict[str, Any]]:
        box.advance(1)
        found: list[dict[str, Any]] = box.ats.get("/api/v1/events", types="call.missed", after=hidden)["data"]
        return found

    (event,) = until(unknown, about="a call without a number is told when the ringing has ended")
    assert (event["data"]["from"], event["data"]["thread_id"]) == (None, None)
    assert len(told()) == 2


# --- reply intents ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S19")
def test_a_reply_tells_what_it_seems_to_say_and_changes_nothing_by_itself(box: Box) -> None:
    kim = box.someone()
    write(box, kim)
    standing = box.ats.consent_status(kim.ref)
    for text, intent in (
        ("Japp!", ("yes", "exact")),
        ("Nej tack", ("no", "exact")),
        ("Kan vi ta en annan dag istället?", ("reschedule", "phrase")),
        ("Sorry, stuck in traffic", ("running_late", "phrase")),
        ("Du har fel nummer", ("wrong_person", "phrase")),
        ("Ja?", None),
        ("Jag undrar över lönen", None),
    ):
        told = hear(box, kim.phone, text)
        expected = None if intent is None else {"name": intent[0], "confidence": intent[1]}
        assert told["intent"] == expected, text
    assert box.ats.consent_status(kim.ref) == standing
    write(box, kim, "Då hörs vi")


# --- S24: notices by e-mail ------------------------------------------------------------------------------------------


class Letterbox:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], Any]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.letters.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"


@pytest.fixture
def posted(tmp_path: Path) -> Iterator[tuple[Box, Letterbox]]:
    """A box of its own with a mail server."""
    letterbox, port = Letterbox(), free_port()
    server = Controller(letterbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        with Box(tmp_path) as made:
            config = made.site.config.read_text()
            smtp = f'[smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\nfrom = "box@acme.example"\n'
            made.site.config.write_text(config + smtp)
            yield made.serve(), letterbox
    finally:
        server.stop()


@pytest.mark.requirement("S24")
def test_a_reply_is_told_by_e_mail_to_who_asked_for_it_and_never_with_what_was_written(posted: tuple[Box, Letterbox]) -> None:
    box, letterbox = posted
    kim = box.someone()
    write(box, kim)
    hear(box, kim.phone, "Ingen har bett om mejl")
    wish = box.ats.http.put(f"/api/v1/users/{EVA}/notices", json={"replies": "at_once"})
    assert (wish.status_code, wish.json()) == (200, {"user": EVA, "replies": "at_once"})
    hear(box, kim.phone, "En hemlighet om min hälsa")
    until(lambda: letterbox.letters, about="the notice")
    ((to, letter),) = letterbox.letters
    assert to == [EVA]
    assert letter["Subject"] == "1 new reply waiting"
    body = letter.get_content()
    assert "Svetsare" in body
    for secret in ("hemlighet", kim.phone, "Kim", "Sjöberg"):
        assert secret not in letter.as_string()
    box.ats.http.put(f"/api/v1/users/{EVA}/notices", json={"replies": "daily"})
    hear(box, kim.phone, "En till")
    thread_id = hear(box, kim.phone, "Och en till")["thread_id"]
    write(box, kim, "Tack")
    assert len(letterbox.letters) == 1, "the digest waits for its hour"
    box.advance(24 * 3600)
    until(lambda: len(letterbox.letters) == 2, about="the digest")
    assert letterbox.letters[1][1]["Subject"] == "2 new replies waiting"
    hear(box, kim.phone, "Läst redan")
    box.ats.post(f"/api/v1/threads/{thread_id}/read", {"user": EVA})
    box.advance(24 * 3600)
    until(lambda: not _noted(box), about="the next digest has come due")
    assert len(letterbox.letters) == 2, "what was read meanwhile is not told"


def _noted(box: Box) -> bool:
    with box.site.store.read() as view:
        return view.one("SELECT 1 AS yes FROM notice") is not None


@pytest.mark.requirement("S24")
def test_notices_need_a_mail_server_and_a_known_choice(box: Box, unchanged: Unchanged) -> None:
    with unchanged():
        assert code(box.ats.http.put(f"/api/v1/users/{EVA}/notices", json={"replies": "at_once"})) == (409, "mail_not_configured")
        assert box.ats.http.put(f"/api/v1/users/{EVA}/notices", json={"replies": "hourly"}).status_code == 422
        assert code(box.ats.http.put("/api/v1/users/nobody@acme.example/notices", json={"replies": "off"}))[0] == 404
    assert box.ats.get(f"/api/v1/users/{EVA}/notices") == {"user": EVA, "replies": "off"}
