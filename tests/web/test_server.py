"""The server itself: patience, TLS, limits, a clean stop, several processes; and `python -m web` as a program."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import keys
from gateway.config import Listen
from gateway.store import setup
from gateway.store.database import Database
from tests.processes import until
from tests.support import START_MS
from tests.web.conftest import Box, message
from web import certificates
from web.server import Handover, Server

ROOT = Path(__file__).resolve().parents[2]
DAY_MS = 86_400_000


def hello(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    """An application that never reads its body."""
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


@contextmanager
def served(application: Any = hello, **how: Any) -> Iterator[Server]:
    running = Server(application, Listen("127.0.0.1", 0), threads=how.pop("threads", 4), **how)
    running.open()
    try:
        yield running
    finally:
        running.close()


def talk(server: Server, octets: bytes) -> bytes:
    """Send octets in clear, and all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(octets)
        return b"".join(iter(lambda: line.recv(65_536), b""))


class TestPatience:
    @pytest.mark.parametrize("tls", [False, True])
    def test_twenty_silent_clients_hold_nobody_up(self, tls: bool, leaf: certificates.Certificate, tmp_path: Path) -> None:
        with served(certificate=leaf if tls else None, threads=2) as server, ExitStack() as silent:
            for _ in range(20):
                silent.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            verify: Any = trusting(leaf) if tls else False
            url = f"{'https' if tls else 'http'}://localhost:{server.port}/"
            answer = httpx.get(url, verify=verify, timeout=3, trust_env=False)
            assert answer.text == "hello"

    def test_one_connection_serves_many_requests(self) -> None:
        with served() as server, socket.create_connection(("127.0.0.1", server.port)) as line:
            for _ in range(3):
                line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b""
                while not answer.endswith(b"hello"):
                    answer += line.recv(4096)


class TestWorkers:
    """One after another, so that a worker's warm database connection is used again; all at once where that is asked."""

    def test_the_worker_that_was_idle_last_takes_the_next_request(self) -> None:
        by: list[str] = []

        def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
            by.append(threading.current_thread().name)
            return hello(environ, start)

        with served(application, threads=4) as server, httpx.Client(trust_env=False) as client:
            for _ in range(7):
                client.get(f"http://127.0.0.1:{server.port}/")
                until(lambda: server.requests.resting == 4)
        _, *later = by  # the first came with its connection, which a worker had looked at before
        assert len(set(later)) == 1, by

    def test_requests_that_come_together_are_answered_together(self) -> None:
        together = threading.Barrier(4, timeout=20)

        def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
            together.wait()
            return hello(environ, start)

        with served(application, threads=4) as server, ThreadPoolExecutor(4) as clients:
            asked = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            answers = list(clients.map(lambda _: talk(server, asked), range(4)))
        assert all(answer.endswith(b"hello") for answer in answers)

    def test_what_waits_for_a_worker_is_served_in_the_order_it_came(self) -> None:
        handover = Handover()
        for item in range(5):
            handover.put(item)
        assert handover.qsize() == 5
        assert [handover.get() for _ in range(5)] == list(range(5))
        assert handover.qsize() == 0

    @given(st.lists(st.booleans(), max_size=40))
    @settings(max_examples=30)
    def test_nothing_is_lost_and_nothing_is_handed_out_twice(self, from_two_sides: list[bool]) -> None:
        handover, taken = Handover(), deque[int]()

        def work() -> None:
            while (item := handover.get()) is not None:
                taken.append(item)

        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        with ThreadPoolExecutor(2) as sides:
            for number, aside in enumerate(from_two_sides):
                sides.submit(handover.put, number) if aside else handover.put(number)
        for _ in workers:
            handover.put(None)
        for worker in workers:
            worker.join(20)
        assert sorted(taken) == list(range(len(from_two_sides)))


class TestLimits:
    def test_a_body_too_long_is_refused_so_that_the_client_can_read_it(self) -> None:
        with served() as server:
            octets = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 4_000_000
            answer = talk(server, octets)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"Content-Type: application/problem+json" in answer
        assert b'"code":"body_too_large"' in answer

    def test_who_asks_first_is_told_before_the_body_is_sent(self) -> None:
        with served() as server:
            answer = talk(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\nExpect: 100-continue\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")

    def test_endless_headers_are_refused(self) -> None:
        with served() as server:
            answer = talk(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")

    def test_what_is_no_http_is_refused(self) -> None:
        with served() as server:
            answer = talk(server, b"AT+CMGF=0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"code":"bad_request"' in answer

    def test_an_unread_chunked_body_is_never_the_next_request(self) -> None:
        inner = b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
        with served() as server:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
                line.sendall(head + body)
                line.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: line.recv(65_536), b""))
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"Connection: close" in answer


@pytest.fixture
def leaf(tmp_path: Path) -> certificates.Certificate:
    return certificates.ensure(tmp_path / "tls", ["localhost", "127.0.0.1"], now_ms())


def now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000


def trusting(leaf: certificates.Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(leaf.certificate.parent / "ca.pem"))


class TestTls:
    def test_a_client_that_trusts_the_box_is_served(self, leaf: certificates.Certificate) -> None:
        with served(certificate=leaf) as server:
            for host in ("localhost", "127.0.0.1"):
                assert httpx.get(f"https://{host}:{server.port}/", verify=trusting(leaf), trust_env=False).text == "hello"

    def test_http_on_the_tls_port_is_sent_to_https(self, leaf: certificates.Certificate) -> None:
        with served(certificate=leaf) as server:
            answer = httpx.get(f"http://127.0.0.1:{server.port}/a?b=c", trust_env=False, follow_redirects=False)
            assert answer.status_code == 308
            assert answer.headers["Location"] == f"https://127.0.0.1:{server.port}/a?b=c"
            assert talk(server, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n") == b""

    def test_tls_1_1_is_refused(self, leaf: certificates.Certificate) -> None:
        old = trusting(leaf)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            served(certificate=leaf) as server,
            socket.create_connection(("127.0.0.1", server.port)) as line,
            pytest.raises(ssl.SSLError),
        ):
            old.wrap_socket(line, server_hostname="localhost")

    def test_openssl_finds_nothing_to_complain_about(self, leaf: certificates.Certificate) -> None:
        authority = leaf.certificate.parent / "ca.pem"
        checked = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", authority, leaf.certificate],
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 0, checked.stderr

    def test_it_is_made_once_and_renewed_in_time(self, tmp_path: Path) -> None:
        made = certificates.ensure(tmp_path, ["a"], START_MS)
        first = made.certificate.read_bytes()
        authority = (tmp_path / "ca.pem").read_bytes()
        assert certificates.ensure(tmp_path, ["a"], START_MS + 300 * DAY_MS).certificate.read_bytes() == first
        renewed = certificates.ensure(tmp_path, ["a"], START_MS + 380 * DAY_MS).certificate.read_bytes()
        assert renewed != first
        assert (tmp_path / "ca.pem").read_bytes() == authority
        assert certificates.ensure(tmp_path, ["a", "10.0.0.9"], START_MS + 380 * DAY_MS).certificate.read_bytes() != renewed

    def test_its_keys_are_the_owners_only(self, leaf: certificates.Certificate) -> None:
        for path in (leaf.key, leaf.key.parent / "ca.key"):
            assert path.stat().st_mode & 0o777 == 0o600
        assert leaf.key.parent.stat().st_mode & 0o777 == 0o700

    def test_the_api_speaks_tls(self, box: Box, leaf: certificates.Certificate) -> None:
        from web.app import create_app

        with served(create_app(box.config, box.clock, box.database), certificate=leaf) as server:
            answer = httpx.post(
                f"https://localhost:{server.port}/api/v1/messages",
                json=message(text="å" * 5000),
                headers={"Authorization": f"Bearer {box.key(*setup.SCOPES)}"},
                verify=trusting(leaf),
                trust_env=False,
            )
        assert answer.json()["code"] == "too_long"


def test_a_running_request_is_waited_for() -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        running.set()
        go_on.wait(10)
        return hello(environ, start)

    answers: list[str] = []
    with served(slow) as server:
        asking = threading.Thread(
            target=lambda: answers.append(httpx.get(f"http://127.0.0.1:{server.port}/", trust_env=False).text)
        )
        asking.start()
        running.wait(10)
        closing = threading.Thread(target=server.close)
        closing.start()
        go_on.set()
        closing.join(10)
        asking.join(10)
    assert answers == ["hello"]


class TestProgram:
    @pytest.fixture
    def house(self, tmp_path: Path, sqlite_url: str) -> Path:
        """A directory with keys, database and an organisation; what `ringpost init` leaves behind."""
        box_keys = keys.ensure(tmp_path)
        database = Database(sqlite_url)
        with database.write() as tx:
            setup.bind_keys(tx, box_keys)
        database.close()
        return tmp_path

    def configure(self, house: Path, web: str) -> Path:
        path = house / "ringpost.toml"
        path.write_text(f'[gateway]\nstate_dir = "{house}"\n[web]\nlisten = "127.0.0.1:0"\nthreads = 4\n{web}\n')
        return path

    @contextmanager
    def running(self, file: Path) -> Iterator["subprocess.Popen[str]"]:
        program = subprocess.Popen([sys.executable, "-m", "web", "-c", str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            yield program
        finally:
            program.kill()
            program.wait()
            assert program.stdout is not None
            program.stdout.close()

    def listening(self, program: "subprocess.Popen[str]") -> str:
        assert program.stdout is not None
        for line in program.stdout:
            found = re.search(r"listening url=(\S+)", line)
            if found:
                return found[1]
        raise AssertionError("it never listened")

    def test_it_serves_and_stops_when_told(self, house: Path) -> None:
        with self.running(self.configure(house, 'tls = "off"')) as program:
            url = self.listening(program)
            assert httpx.get(f"{url}/healthz", trust_env=False).json() == {"status": "ok"}
            program.send_signal(signal.SIGTERM)
            assert program.wait(10) == 0

    def test_it_makes_its_own_certificate(self, house: Path) -> None:
        with self.running(self.configure(house, 'tls = "auto"')) as program:
            url = self.listening(program)
            trust = ssl.create_default_context(cafile=str(house / "tls" / "ca.pem"))
            assert httpx.get(f"{url}/healthz", verify=trust, trust_env=False).status_code == 200
            program.send_signal(signal.SIGINT)
            assert program.wait(10) == 0

    def test_several_processes_share_the_port_and_the_dead_are_replaced(self, house: Path) -> None:
        with self.running(self.configure(house, 'tls = "off"\nprocesses = 2')) as program:
            urls = {self.listening(program), self.listening(program)}
            assert len(urls) == 1
            url = urls.pop()
            children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
            assert len(children) == 2
            os.kill(int(children[0]), signal.SIGKILL)
            assert self.listening(program) == url
            for _ in range(8):
                assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
            program.send_signal(signal.SIGTERM)
            assert program.wait(10) == 0

    @pytest.mark.parametrize("processes", [1, 2])
    def test_another_schema_version_stops_it_with_3(self, house: Path, processes: int, sqlite_url: str) -> None:
        database = Database(sqlite_url)
        with database.write() as tx:
            last = tx.value("SELECT MAX(name) AS name FROM schema_migration")
            tx.execute("UPDATE schema_migration SET name = '9999_later' WHERE name = ?", last)
        database.close()
        ended = self.ended(self.configure(house, f'tls = "off"\nprocesses = {processes}'))
        assert ended.returncode == 3
        assert "schema" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_wrong_configuration_stops_it_with_2(self, house: Path) -> None:
        ended = self.ended(self.configure(house, "thread = 4"))
        assert ended.returncode == 2
        assert "ringpost.toml:6" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_taken_port_is_said_plainly(self, house: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            file = self.configure(house, 'tls = "off"')
            file.write_text(file.read_text().replace("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"))
            ended = self.ended(file)
        assert ended.returncode == 1
        assert "in use" in ended.stderr
        assert "Traceback" not in ended.stderr

    def ended(self, file: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "web", "-c", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=20
        )
