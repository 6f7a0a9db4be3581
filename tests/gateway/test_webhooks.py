import json
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.fernet import Fernet
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.flows.endpoints import create_endpoint, replay, rotate_secret, send_test, update_endpoint
from gateway.outward import http, webhooks
from gateway.outward.webhooks import Dispatcher, retry_after_ms
from gateway.store.seal import seal
from tests.processes import until
from tests.support import ManualClock, an_organisation

KEY = Fernet.generate_key()
HOUR_S = 3600


class Receiver:
    """An ATS that notes what it is told; `answer(path, number of calls to it so far)` decides the status."""

    def __init__(self):
        self.calls = []
        self.answer = lambda path, number: 200
        self.headers = {}
        self.more = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.more:
                    number = sum(path == self.path for path, _, _ in receiver.calls)
                    receiver.calls.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                    receiver.more.notify_all()
                status = receiver.answer(self.path, number)
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def url(self, path="/hook"):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def ids(self):
        return [headers["webhook-id"] for _, headers, _ in self.calls]

    def told(self):
        return [json.loads(body)["data"]["n"] for _, _, body in self.calls]

    def wait(self, count, timeout_s=10):
        with self.more:
            assert self.more.wait_for(lambda: len(self.calls) >= count, timeout_s), self.calls

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    http.close()
    receiver.close()


@pytest.fixture
def clock():
    return ManualClock(time.time_ns() // 1_000_000)  # standardwebhooks compares with the real time


class Box:
    """A gateway's outbox with one organisation and one endpoint."""

    def __init__(self, database, clock, url):
        self.database, self.clock = database, clock
        self.dispatcher = Dispatcher(database, clock, KEY, chance=random.Random(1))
        with database.write() as tx:
            self.acme = an_organisation(tx)
        self.endpoint, self.secret = self.add_endpoint(url)

    def add_endpoint(self, url, events=("*",), organisation=None):
        with self.database.write() as tx:
            row, secret = create_endpoint(
                tx, organisation or self.acme, url, events, "user:usr_1", self.clock.now_ms(), seal_key=KEY
            )
        return row["id"], secret

    def happen(self, *streams, kind="message.state", organisation=None, start=0):
        """One event per stream named, numbered n = start, start + 1 …; their ids."""
        with self.database.write() as tx:
            happened = [
                tx.event(self.clock.now_ms(), organisation or self.acme, kind, stream, {"n": number, "text": "å€"})
                for number, stream in enumerate(streams, start)
            ]
        seal(self.database)
        return happened

    def turn(self, after_s=0.0):
        self.clock.advance(after_s)
        return self.dispatcher.turn(self.clock.now_ms())

    def turns(self, count, every_s):
        return [self.turn(every_s) for _ in range(count)]

    def states(self):
        return [row["state"] for row in self.rows("SELECT state FROM delivery ORDER BY position, endpoint_id")]

    def rows(self, sql, *values):
        with self.database.read() as view:
            return [dict(row) for row in view.all(sql, *values)]

    def row(self):
        return self.rows("SELECT * FROM endpoint WHERE id = ?", self.endpoint)[0]


@pytest.fixture
def box(database, clock, receiver):
    return Box(database, clock, receiver.url())


def test_it_tells_what_happened_signed_as_the_standard_says(box, receiver):
    [event_id] = box.happen("msg_1")
    assert box.turn() == 1
    [(path, headers, body)] = receiver.calls
    assert path == "/hook"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == event_id
    told = Webhook(box.secret).verify(body, headers)
    assert told["type"] == "message.state"
    assert told["data"] == {"n": 0, "text": "å€"}
    assert told["timestamp"].endswith("Z")
    with pytest.raises(WebhookVerificationError):
        Webhook(box.secret).verify(body.replace(b'"n":0', b'"n":1'), headers)
    assert box.states() == ["delivered"]
    assert box.turn(HOUR_S) == 0


def test_500_twice_and_it_comes_once_more_under_the_same_id(box, receiver):
    receiver.answer = lambda path, number: 500 if number < 2 else 204
    [event_id] = box.happen("msg_1")
    assert box.turns(4, 0.1) == [1, 0, 0, 0]
    assert box.turns(2, 1.2) == [1, 0]
    assert box.turns(2, 6) == [1, 0]
    assert receiver.ids() == [event_id] * 3
    assert len({body for _, _, body in receiver.calls}) == 1
    for _, headers, body in receiver.calls:
        Webhook(box.secret).verify(body, headers)
    assert box.states() == ["delivered"]
    assert box.row()["failing_since"] is None


def test_only_what_the_endpoint_asked_for_and_only_its_organisation(box, receiver):
    with box.database.write() as tx:
        other = an_organisation(tx, "other")
    box.add_endpoint(receiver.url("/credits"), ["credits.low"])
    box.add_endpoint(receiver.url("/other"), ["*"], other)
    box.happen("msg_1")
    box.happen("acme", kind="credits.low", start=1)
    box.happen("msg_9", organisation=other, start=2)
    assert box.turn() == 4
    told = sorted((path, json.loads(body)["data"]["n"]) for path, _, body in receiver.calls)
    assert told == [("/credits", 1), ("/hook", 0), ("/hook", 1), ("/other", 2)]


def test_an_event_of_the_box_goes_to_every_organisation(box, receiver):
    with box.database.write() as tx:
        tx.event(box.clock.now_ms(), None, "modem.state", "modem_1", {"n": 0})
    seal(box.database)
    assert box.turn() == 1


def test_a_stream_is_told_in_order_and_a_failing_one_holds_up_no_other(box, receiver):
    failing = {"on": True}
    receiver.answer = lambda path, number: 500 if failing["on"] and json.loads(receiver.calls[-1][2])["data"]["n"] == 1 else 200
    box.dispatcher.turn(box.clock.now_ms())
    box.happen("msg_a", "msg_a", "msg_a")
    box.turn()
    assert receiver.told() == [0, 1]
    box.happen("msg_b", start=3)
    box.turn()
    assert receiver.told()[2:] == [3]
    failing["on"] = False
    box.turn(2)
    assert receiver.told()[3:] == [1, 2]
    assert box.states() == ["delivered"] * 4


def test_after_72_hours_it_is_dead_frees_its_stream_and_can_be_replayed(box, receiver):
    receiver.answer = lambda path, number: 500
    box.happen("msg_a", "msg_a")
    started = box.clock.now_ms()
    box.turn()
    while "dead" not in box.states():
        box.turn(300)
    assert 72 * HOUR_S * 1000 <= box.clock.now_ms() - started <= 72.1 * HOUR_S * 1000
    assert set(receiver.told()) == {0}
    assert 20 < len(receiver.calls) < 40
    with box.database.read() as view:
        assert view.value("SELECT COUNT(*) FROM audit WHERE action = 'webhook.fail'") == 1
    receiver.answer = lambda path, number: 200
    box.turn(60)
    assert receiver.told()[-1] == 1
    with box.database.write() as tx:
        assert replay(tx, box.acme, box.endpoint, "user:usr_1", box.clock.now_ms()) == 1
    box.turn()
    assert receiver.told()[-1] == 0
    assert box.states() == ["delivered", "delivered"]


def test_an_endpoint_that_is_down_is_left_alone_but_for_probes(box, receiver):
    receiver.answer = lambda path, number: 503
    box.happen(*[f"msg_{number:03}" for number in range(200)])
    box.turn()
    first = len(receiver.calls)
    assert first < webhooks._LANE + webhooks._THREADS
    box.turns(3, 1)
    assert len(receiver.calls) == first
    assert box.row()["paused_until"] is not None
    hour = sum(box.turns(3600 // 10, 10))
    assert 5 <= hour <= 20
    probed = receiver.ids()[first:]
    assert len(set(probed)) == len(probed), "each probe tries another stream"
    receiver.answer = lambda path, number: 200
    while box.row()["paused_until"] is not None:
        assert box.turn(60) <= 1
    while box.turn():
        pass
    assert box.states() == ["delivered"] * 200
    assert box.row()["failing_since"] is None


def test_an_endpoint_down_for_72_hours_leaves_dead_letters_only(box, receiver):
    receiver.answer = lambda path, number: 503
    box.happen(*[f"msg_{number:03}" for number in range(50)])
    box.turns(74 * 6, 600)
    assert box.states() == ["dead"] * 50
    assert len(receiver.calls) < 450


def test_one_poisoned_stream_does_not_pause_the_endpoint(box, receiver):
    receiver.answer = lambda path, number: 400
    box.happen("msg_a")
    box.turns(20, 60)
    assert box.row()["paused_until"] is None
    assert box.row()["failing_since"] is not None


def test_410_gone_switches_the_endpoint_off(box, receiver):
    receiver.answer = lambda path, number: 410
    box.happen("msg_a", "msg_b")
    box.turn()
    assert box.row()["active"] == 0
    assert [row["action"] for row in box.rows("SELECT action FROM audit ORDER BY serial")][1:] == ["webhook.disable"]
    calls = len(receiver.calls)
    box.happen("msg_c", start=2)
    assert box.turns(3, HOUR_S) == [0, 0, 0]
    receiver.answer = lambda path, number: 200
    with box.database.write() as tx:
        update_endpoint(tx, box.acme, box.endpoint, "user:usr_1", box.clock.now_ms(), active=True)
    box.turn()
    assert sorted(receiver.told()[calls:]) == [0, 1, 2], "what happened meanwhile comes as well"


@pytest.mark.parametrize("status", [301, 307, 404, 422])
def test_anything_but_2xx_is_a_failure_and_redirects_are_not_followed(box, receiver, status):
    receiver.answer = lambda path, number: status
    receiver.headers = {"location": receiver.url("/elsewhere")}
    box.happen("msg_a")
    box.turn()
    assert [path for path, _, _ in receiver.calls] == ["/hook"]
    assert box.rows("SELECT state, attempts, answer FROM delivery") == [
        {"state": "waiting", "attempts": 1, "answer": str(status)}
    ]


def test_retry_after_is_respected(box, receiver):
    receiver.answer = lambda path, number: 429 if number == 0 else 200
    receiver.headers = {"retry-after": "60"}
    box.happen("msg_a")
    assert box.turns(3, 10) == [1, 0, 0]
    assert sum(box.turns(5, 10)) == 1


def test_both_secrets_sign_while_one_is_rotated(box, receiver):
    with box.database.write() as tx:
        fresh = rotate_secret(tx, box.acme, box.endpoint, "user:usr_1", box.clock.now_ms(), seal_key=KEY)
    box.happen("msg_a")
    box.turn()
    [(_, headers, body)] = receiver.calls
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (box.secret, fresh):
        Webhook(secret).verify(body, headers)
    box.happen("msg_b", start=1)
    box.turn(25 * HOUR_S)
    assert receiver.calls[1][1]["webhook-signature"].count("v1,") == 1


def test_nothing_leaves_unsigned(box, receiver, caplog):
    box.add_endpoint(receiver.url("/fine"))
    with box.database.write() as tx:
        tx.execute(
            "UPDATE endpoint SET secret_sealed = ? WHERE id = ?",
            Fernet(Fernet.generate_key()).encrypt(box.secret.encode()).decode(),
            box.endpoint,
        )
    box.happen("msg_a")
    assert box.turns(2, 1) == [1, 0]
    assert [path for path, _, _ in receiver.calls] == ["/fine"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "webhook secret cannot be opened, rotate it: the secret was sealed with another seal.key"
    ]


def test_a_test_event_goes_to_that_endpoint_alone(box, receiver):
    box.add_endpoint(receiver.url("/second"))
    quiet, _ = box.add_endpoint(receiver.url("/quiet"), ["credits.low"])
    with box.database.write() as tx:
        send_test(tx, box.acme, quiet, "user:usr_1", box.clock.now_ms())
    seal(box.database)
    assert box.turn() == 1
    [(path, _, body)] = receiver.calls
    assert path == "/quiet"
    assert json.loads(body)["type"] == "webhook.test"


def test_nobody_listening_is_a_failure_to_be_retried(box):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        with box.database.write() as tx:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
            update_endpoint(tx, box.acme, box.endpoint, "user:usr_1", box.clock.now_ms(), url=url)
        box.happen("msg_a")
        box.turn()
    [row] = box.rows("SELECT state, answer FROM delivery")
    assert row["state"] == "waiting"
    assert "refused" in row["answer"]


def test_a_result_that_cannot_be_committed_is_kept_and_nothing_is_sent_twice(box, receiver, monkeypatch):
    box.happen("msg_a")
    write = Dispatcher._write
    monkeypatch.setattr(Dispatcher, "_write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        box.turn()
    with pytest.raises(ZeroDivisionError):
        box.turn(5)
    monkeypatch.setattr(Dispatcher, "_write", write)
    box.turn()
    assert len(receiver.calls) == 1
    assert box.states() == ["delivered"]


def test_a_killed_dispatcher_tells_it_again_under_the_same_id(box, receiver, monkeypatch):
    [event_id] = box.happen("msg_a")
    monkeypatch.setattr(Dispatcher, "_write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        box.turn()
    monkeypatch.undo()
    assert Dispatcher(box.database, box.clock, KEY).turn(box.clock.now_ms()) == 1
    assert receiver.ids() == [event_id, event_id]


def test_many_events_of_many_streams_come_complete_and_in_order(box, receiver):
    streams = [f"msg_{random.Random(number).randrange(40):02}" for number in range(400)]
    box.happen(*streams)
    while box.turn():
        pass
    told = receiver.told()
    assert sorted(told) == list(range(400))
    place = {number: index for index, number in enumerate(told)}
    for stream in set(streams):
        own = [number for number in range(400) if streams[number] == stream]
        assert sorted(own, key=place.__getitem__) == own


def test_a_busy_stream_takes_turns_with_a_quiet_one(box, receiver, monkeypatch):
    monkeypatch.setattr(webhooks, "_LANE", 1)
    box.happen(*["msg_a"] * 60, "msg_b")
    box.turn()
    box.turn()
    assert 60 in receiver.told()


def test_the_thread_tells_at_once_and_ends_when_told_to(box, receiver):
    stop = threading.Event()
    thread = threading.Thread(target=box.dispatcher.run, args=(stop,))
    thread.start()
    try:
        box.happen("msg_a", "msg_a", "msg_b")
        box.dispatcher.nudge()
        receiver.wait(3)
    finally:
        stop.set()
        box.dispatcher.nudge()
        thread.join(10)
    assert not thread.is_alive()
    assert box.states() == ["delivered"] * 3


def test_a_slow_endpoint_delays_nobody_else(box, receiver):
    release = threading.Event()
    receiver.answer = lambda path, number: 200 if path == "/quick" or release.wait(30) else 500
    box.add_endpoint(receiver.url("/quick"))
    stop = threading.Event()
    thread = threading.Thread(target=box.dispatcher.run, args=(stop,))
    thread.start()
    try:
        for number in range(20):
            box.happen(f"msg_{number}", start=number)
        box.dispatcher.nudge()
        with receiver.more:
            assert receiver.more.wait_for(lambda: sum(path == "/quick" for path, _, _ in receiver.calls) == 20, 10)
        assert sum(path == "/hook" for path, _, _ in receiver.calls) <= webhooks._THREADS
        release.set()
        receiver.wait(40)
    finally:
        release.set()
        stop.set()
        box.dispatcher.nudge()
        thread.join(10)


def test_a_trickling_answer_cannot_hold_a_thread_for_long():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def trickle():
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.recv(65536)
                    for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1000:
                        if done.wait(0.05):
                            return
                        connection.send(bytes([byte]))
                except OSError:
                    pass

        thread = threading.Thread(target=trickle)
        thread.start()
        began = time.monotonic()
        answer = http.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {}, timeout_s=0.4)
        took = time.monotonic() - began
        done.set()
        thread.join()
    assert answer.status is None
    assert "no answer within" in answer.reason
    assert took < 5
    http.close()


def test_without_an_endpoint_nothing_is_done(database, clock):
    dispatcher, threads = Dispatcher(database, clock, KEY), threading.active_count()
    with database.write() as tx:
        tx.event(1, None, "modem.state", "modem_1", {})
    seal(database)
    assert dispatcher.turn(clock.now_ms()) == 0
    assert dispatcher._lanes == {}
    assert threading.active_count() <= threads


def test_first_retries_are_quick_and_later_ones_spread():
    chance = random.Random(7)
    for attempts, base_s in [(1, 1), (2, 5), (3, 30), (4, 120), (9, 14400), (50, 14400)]:
        waits = [retry_after_ms(attempts, chance) for _ in range(200)]
        assert 0.8 * base_s * 1000 <= min(waits) < max(waits) <= 1.2 * base_s * 1000
    assert retry_after_ms(1, chance, 30) == 30_000
    assert retry_after_ms(1, chance, 10**6) == 3_600_000


@pytest.mark.postgresql
def test_one_dispatcher_of_a_fleet_works_and_another_takes_over(postgresql_url, opened, clock, receiver):
    box = Box(opened(postgresql_url), clock, receiver.url())
    other = Dispatcher(opened(postgresql_url), clock, KEY)
    box.happen("msg_a")
    assert box.turn() == 1
    box.happen("msg_b", start=1)
    assert other.turn(clock.now_ms()) == 0
    box.database.close()
    until(lambda: other.turn(clock.now_ms()) == 1, about="the server sees that the first is gone, and frees its lock")
    assert receiver.told() == [0, 1]
