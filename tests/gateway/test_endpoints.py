import base64

import pytest
from cryptography.fernet import Fernet

from gateway.errors import Refused
from gateway.flows import endpoints
from gateway.flows.endpoints import (
    create_endpoint,
    delete_endpoint,
    get_endpoint,
    open_secret,
    replay,
    rotate_secret,
    send_test,
    update_endpoint,
)
from gateway.store.seal import seal
from tests.support import an_organisation

KEY = Fernet.generate_key()
URL = "https://ats.example/hook"
NOW = 1_000_000


@pytest.fixture
def acme(database):
    with database.write() as tx:
        return an_organisation(tx, "acme")


@pytest.fixture
def endpoint(database, acme):
    with database.write() as tx:
        row, _ = create_endpoint(tx, acme, URL, ["*"], "user:usr_1", NOW, seal_key=KEY)
    return row["id"]


def actions(database):
    with database.read() as view:
        return [row["action"] for row in view.all("SELECT action FROM audit ORDER BY serial")]


def put_delivery(tx, endpoint_id, name, state, at=NOW):
    tx.insert("event", id=f"evt_{name}", type="message.state", stream=name, body="{}", at=at, position=None)
    tx.insert(
        "delivery",
        id=f"dlv_{name}",
        endpoint_id=endpoint_id,
        event_id=f"evt_{name}",
        position=at,
        stream=name,
        state=state,
        attempts=9,
        next_at=at,
        first_at=at,
    )


def test_a_new_endpoint_starts_at_the_newest_event_and_keeps_its_secret_sealed(database, acme):
    with database.write() as tx:
        tx.event(1, acme, "message.state", "msg_1", {})
        tx.event(2, acme, "message.state", "msg_1", {})
    seal(database)
    with database.write() as tx:
        row, secret = create_endpoint(tx, acme, URL, ["message.state", "message.state"], "user:usr_1", NOW, seal_key=KEY)
    assert row["cursor"] == 2
    assert row["events"] == '["message.state"]'
    assert secret not in str(dict(row))
    assert open_secret(row["secret_sealed"], KEY) == base64.b64decode(secret.removeprefix("whsec_"))
    with pytest.raises(ValueError, match=r"another seal\.key"):
        open_secret(row["secret_sealed"], Fernet.generate_key())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ats.example/hook",
        "ftp://ats.example",
        "https://",
        "https://eva:secret@ats.example/",
        "https://ats.example/#x",
        "https://ats.example/a b",
        "https://ats.example/\n",
        "https://ats.example:99999/",
        "https://[::1/",
        "https://ats.example/" + "x" * 3000,
    ],
)
def test_it_refuses_a_bad_url(database, acme, url):
    with pytest.raises(Refused) as refused, database.write() as tx:
        create_endpoint(tx, acme, url, ["*"], "user:usr_1", NOW, seal_key=KEY)
    assert (refused.value.code, refused.value.status, refused.value.field) == ("invalid_url", 422, "url")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/hook", "https://ats.example", "http://[::1]:80/"])
def test_it_takes_hosts_of_the_lan(database, acme, url):
    with database.write() as tx:
        create_endpoint(tx, acme, url, ["*"], "user:usr_1", NOW, seal_key=KEY)


@pytest.mark.parametrize("events", [[], ["message.sent"], ["*", "nonsense"]])
def test_it_refuses_unknown_events(database, acme, events):
    with pytest.raises(Refused) as refused, database.write() as tx:
        create_endpoint(tx, acme, URL, events, "user:usr_1", NOW, seal_key=KEY)
    assert (refused.value.code, refused.value.field) == ("unknown_event", "events")


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_abc", "whsec_****", "c2VjcmV0", "whsec_" + "A" * 200])
def test_it_refuses_a_broken_secret(database, acme, secret):
    with pytest.raises(Refused) as refused, database.write() as tx:
        create_endpoint(tx, acme, URL, ["*"], "user:usr_1", NOW, seal_key=KEY, secret=secret)
    assert refused.value.code == "invalid_secret"
    assert actions(database) == []


def test_a_url_twice_is_refused_in_one_organisation_only(database, acme, endpoint):
    with pytest.raises(Refused) as refused, database.write() as tx:
        create_endpoint(tx, acme, URL, ["*"], "user:usr_1", NOW, seal_key=KEY)
    assert (refused.value.code, refused.value.status) == ("duplicate_endpoint", 409)
    with database.write() as tx:
        create_endpoint(tx, an_organisation(tx, "other"), URL, ["*"], "user:usr_2", NOW, seal_key=KEY)


def test_another_organisation_does_not_see_it(database, endpoint):
    with database.write() as tx:
        other = an_organisation(tx, "other")
    acts = [
        lambda tx: get_endpoint(tx, other, endpoint),
        lambda tx: update_endpoint(tx, other, endpoint, "user:usr_2", NOW, active=False),
        lambda tx: delete_endpoint(tx, other, endpoint, "user:usr_2", NOW),
        lambda tx: rotate_secret(tx, other, endpoint, "user:usr_2", NOW, seal_key=KEY),
        lambda tx: replay(tx, other, endpoint, "user:usr_2", NOW),
        lambda tx: send_test(tx, other, endpoint, "user:usr_2", NOW),
    ]
    for act in acts:
        with pytest.raises(Refused) as refused, database.write() as tx:
            act(tx)
        assert (refused.value.code, refused.value.status) == ("endpoint_not_found", 404)


def test_a_change_of_url_clears_the_breaker_and_tries_at_once(database, acme, endpoint):
    with database.write() as tx:
        put_delivery(tx, endpoint, "msg_1", "waiting", at=NOW + 9000)
        tx.execute("UPDATE endpoint SET failing_since = 5, paused_until = 99 WHERE id = ?", endpoint)
    with database.write() as tx:
        row = update_endpoint(tx, acme, endpoint, "user:usr_1", NOW, url="https://ats.example/new", events=["credits.low"])
        assert tx.wake
        assert (row["url"], row["events"]) == ("https://ats.example/new", '["credits.low"]')
        assert (row["failing_since"], row["paused_until"]) == (None, None)
        assert tx.value("SELECT next_at FROM delivery") == NOW
    assert actions(database)[-1] == "webhook.update"


def test_a_change_to_the_same_leaves_no_trace(database, acme, endpoint):
    with database.write() as tx:
        update_endpoint(tx, acme, endpoint, "user:usr_1", NOW, url=URL, events=["*"], active=True)
    assert actions(database) == ["webhook.create"]


def test_a_url_in_use_cannot_be_taken_over(database, acme, endpoint):
    with database.write() as tx:
        second, _ = create_endpoint(tx, acme, URL + "2", ["*"], "user:usr_1", NOW, seal_key=KEY)
    with pytest.raises(Refused, match="duplicate_endpoint"), database.write() as tx:
        update_endpoint(tx, acme, second["id"], "user:usr_1", NOW, url=URL)


def test_delete_takes_the_deliveries_along(database, acme, endpoint):
    with database.write() as tx:
        put_delivery(tx, endpoint, "msg_1", "waiting")
    with database.write() as tx:
        delete_endpoint(tx, acme, endpoint, "user:usr_1", NOW)
        assert tx.value("SELECT COUNT(*) FROM endpoint") == 0
        assert tx.value("SELECT COUNT(*) FROM delivery") == 0
    assert actions(database) == ["webhook.create", "webhook.delete"]


def test_the_old_secret_goes_on_for_the_overlap(database, acme, endpoint):
    with database.write() as tx:
        before = get_endpoint(tx, acme, endpoint)["secret_sealed"]
        secret = rotate_secret(tx, acme, endpoint, "user:usr_1", NOW, seal_key=KEY)
        row = get_endpoint(tx, acme, endpoint)
    assert open_secret(row["secret_sealed"], KEY) == endpoints.secret_bytes(secret)
    assert row["old_secret_sealed"] == before
    assert row["old_secret_until"] == NOW + 24 * 3600 * 1000
    with database.write() as tx:
        rotate_secret(tx, acme, endpoint, "user:usr_1", NOW, seal_key=KEY, overlap_ms=0)
        assert get_endpoint(tx, acme, endpoint)["old_secret_sealed"] is None


def test_replay_by_id_by_time_and_of_everything(database, acme, endpoint):
    with database.write() as tx:
        put_delivery(tx, endpoint, "early", "dead", at=100)
        put_delivery(tx, endpoint, "late", "dead", at=200)
        put_delivery(tx, endpoint, "done", "delivered", at=100)

    def again(**chosen):
        with database.write() as tx:
            count = replay(tx, acme, endpoint, "user:usr_1", NOW, **chosen)
            waiting = {row["stream"] for row in tx.all("SELECT stream FROM delivery WHERE state = 'waiting'")}
            tx.execute("UPDATE delivery SET state = 'dead' WHERE state = 'waiting'")
        return count, waiting

    assert again(delivery_ids=["dlv_late", "dlv_done", "dlv_unknown"]) == (1, {"late"})
    assert again(since=100, until=200) == (1, {"early"})
    assert again(since=101) == (1, {"late"})
    assert again(until=100) == (0, set())
    assert again() == (2, {"early", "late"})
    assert actions(database).count("webhook.replay") == 4


def test_a_replayed_letter_starts_anew(database, acme, endpoint):
    with database.write() as tx:
        put_delivery(tx, endpoint, "early", "dead", at=100)
    with database.write() as tx:
        replay(tx, acme, endpoint, "user:usr_1", NOW)
        assert tx.wake
        row = tx.one("SELECT * FROM delivery")
    assert (row["attempts"], row["next_at"], row["first_at"], row["event_id"]) == (0, NOW, NOW, "evt_early")


def test_a_test_event_needs_an_active_endpoint(database, acme, endpoint):
    with database.write() as tx:
        event_id = send_test(tx, acme, endpoint, "user:usr_1", NOW)
        assert event_id.startswith("evt_")
        assert tx.wake
        update_endpoint(tx, acme, endpoint, "user:usr_1", NOW, active=False)
    with pytest.raises(Refused, match="endpoint_inactive"), database.write() as tx:
        send_test(tx, acme, endpoint, "user:usr_1", NOW)
