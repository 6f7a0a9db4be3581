"""The HTTP server: cheroot, made patient. Threads, TLS, limits and a clean stop; knows nothing of what it serves.

Two habits of cheroot are changed. It hands every new connection to a worker at once, so that a dozen clients that connect and
say nothing stop everybody; here they wait in the selector. And it does the TLS handshake in the loop that accepts; here a
worker does it, once the client has spoken. (Measured with 20 silent clients: 9.8 s before, 5 ms after.)
"""

import logging
import re
import secrets
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Full, SimpleQueue
from typing import Any

from cheroot import wsgi
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.workers.threadpool import ThreadPool, WorkerThread
from werkzeug.http import HTTP_STATUS_CODES

from gateway.config import Listen
from web import problems
from web.answers import json_text
from web.certificates import Certificate
from web.inputs import MOST_BODY_BYTES

log = logging.getLogger(__name__)

MOST_HEADER_BYTES = 32_768
HANDSHAKE_S = 3
DRAIN_S = 5
MOST_DRAINED = 16 * 1024 * 1024
"""What is read and thrown away of a body that is too long, so that its sender gets to read the refusal."""
_HOST = re.compile(rb"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


class Reader:
    """What a connection sent, as the file cheroot reads. Its own is the pure-Python `_pyio`, the dearest part of a request."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._at = 0
        self.closed = False

    def _more(self) -> bool:
        octets = self._socket.recv(65_536)
        self._buffer = self._buffer[self._at :] + octets
        self._at = 0
        return bool(octets)

    def _take(self, end: int) -> bytes:
        octets = self._buffer[self._at : end]
        self._at = end
        return octets

    def readline(self, size: int | None = None) -> bytes:
        """To the next line feed, at most `size` octets (and never an endless line); less only at the end."""
        most = MOST_HEADER_BYTES if size is None or size < 0 else size
        while True:
            limit = self._at + most
            end = self._buffer.find(b"\n", self._at, limit)
            if end >= 0:
                return self._take(end + 1)
            if len(self._buffer) >= limit:
                return self._take(limit)
            if not self._more():
                return self._take(len(self._buffer))

    def read(self, size: int | None = None) -> bytes:
        """`size` octets, or all to the end; less only at the end."""
        if size is None or size < 0:
            size = MOST_DRAINED
        chunks = [self._take(min(len(self._buffer), self._at + size))]
        left = size - len(chunks[0])
        while left > 0:
            octets = self._socket.recv(min(left, 262_144))
            if not octets:
                break
            chunks.append(octets)
            left -= len(octets)
        return b"".join(chunks)

    def has_data(self) -> bool:
        """Whether there is more to read without asking the network."""
        if self._at < len(self._buffer):
            return True
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def close(self) -> None:
        """Read no more."""
        self.closed = True


class Writer:
    """Where answers go. After `hold` the next octets wait for those behind them: head and body leave as one."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._held: bytes | None = None

    def hold(self) -> None:
        """Keep back what is written next."""
        self._held = b""

    def write(self, octets: bytes) -> int:
        """Send these octets, with what was kept back before them."""
        if self._held == b"":
            self._held = octets
        elif self._held is not None:
            held, self._held = self._held, None
            self._socket.sendall(held + octets)
        else:
            self._socket.sendall(octets)
        return len(octets)

    def flush(self) -> None:
        """Send what is still kept back."""
        if self._held:
            held, self._held = self._held, None
            self._socket.sendall(held)


def make_file(sock: socket.socket, mode: str = "r", bufsize: int = -1) -> Reader | Writer:
    """What cheroot calls MakeFile."""
    return Reader(sock) if "r" in mode else Writer(sock)


class Request(HTTPRequest):
    """A request whose refusals by the server itself are problem+json like all others."""

    def simple_response(self, status: str, msg: str = "") -> None:
        """Refuse before the application has seen the request, and close the connection."""
        number = int(str(status)[:3])
        if number < 400:
            super().simple_response(status, msg)
            return
        request_id = "req_" + secrets.token_hex(12)
        body = json_text(problems.body(problems.for_status(number), request_id)).encode()
        head = (
            f"HTTP/1.1 {number} {HTTP_STATUS_CODES.get(number, 'Error')}\r\n"
            "Content-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"X-Request-Id: {request_id}\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        self.close_connection = True
        try:
            self.conn.wfile.write(head.encode() + body)
        except OSError:
            return  # the client is gone
        if number == 413 and self.inheaders.get(b"Expect", b"").lower() != b"100-continue":
            self.conn.drain()

    def respond(self) -> None:
        """Let the application answer; what is left of a chunked body must never be read as the next request."""
        try:
            super().respond()
        finally:
            self.conn.wfile.flush()
        if self.chunked_read and not self.rfile.closed:
            self.close_connection = True
            self.conn.drain()

    def send_headers(self) -> None:
        """Say `Connection: close` where a chunked body was not read to its end."""
        if self.chunked_read and not getattr(self.rfile, "closed", True):
            self.close_connection = True
        self.conn.wfile.hold()
        super().send_headers()


class PatientConnection(HTTPConnection):
    """A client that has said nothing waits in the selector, not in a worker thread."""

    RequestHandlerClass = Request
    stage = 0
    most_waiting = 500  # without a bound, running out of files makes cheroot spin and log for ever

    def __init__(self, server: Any, sock: socket.socket, makefile: Any = None) -> None:
        super().__init__(server, sock, make_file)

    def communicate(self) -> bool:
        """One step of this connection; whether it stays open."""
        self.stage += 1
        if self.stage == 1:
            return bool(self.server._connections._num_connections < self.most_waiting)
        if self.stage == 2 and isinstance(self.socket, ssl.SSLSocket):
            try:
                # socket.socket.recv and send speak in clear on an SSLSocket
                if socket.socket.recv(self.socket, 1, socket.MSG_PEEK) != b"\x16":
                    return self._redirect_to_https()
                self.socket.settimeout(HANDSHAKE_S)
                self.socket.do_handshake()
                self.socket.settimeout(self.server.timeout)
            except OSError:  # ssl.SSLError is one
                return False
            return True
        return bool(super().communicate())  # type: ignore[no-untyped-call]

    def _redirect_to_https(self) -> bool:
        """Answer `http://` on the TLS port with the address to use; cheroot itself would just hang up."""
        self.socket.settimeout(HANDSHAKE_S)
        head = socket.socket.recv(self.socket, 4096)
        path = re.match(rb"[A-Z]+ (/[\x21-\x7e]*) HTTP/1\.[01]\r\n", head)
        host = re.search(rb"\r\n[Hh]ost:[ \t]*([^\r\n]+)\r\n", head)
        if path is None or host is None or not _HOST.fullmatch(host[1].strip()):
            return False
        answer = b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://%b%b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        socket.socket.sendall(self.socket, answer % (host[1].strip(), path[1]))
        return False

    def drain(self) -> None:
        """Read on for a while after a refusal: closing at once would reset the connection before the client has read it."""
        until, taken = time.monotonic() + DRAIN_S, 0
        try:
            if not isinstance(self.socket, ssl.SSLSocket):
                self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(1)
            while taken < MOST_DRAINED and time.monotonic() < until:
                octets = self.socket.recv(65_536)
                if not octets:
                    return
                taken += len(octets)
        except OSError:
            return


class LateHandshake(BuiltinSSLAdapter):
    """TLS without the handshake in the accepting loop."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(str(certificate.certificate), str(certificate.key))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """The TLS socket, still silent, and what the application learns of it."""
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class Worker(WorkerThread):
    """A worker that puts its things away when it ends."""

    def run(self) -> None:
        """Serve until told to stop."""
        try:
            super().run()
        finally:
            self.server.at_thread_end()


class Handover:
    """What waits for a worker, first come first served; what finds several idle goes to the one that was idle last.

    Each worker's database connection has a page cache and prepared statements of its own: in turns, as `queue.Queue` hands
    work out, a dozen workers meet a cold one at nearly every request of a quiet office. (Measured on the pages over a full
    store: p95 falls by a third.) The methods are those that cheroot's pool calls.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Any] = deque()
        self._idle: list[SimpleQueue[Any]] = []

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Hand over or keep. It never blocks: how many may wait is for `Pool.put` to say."""
        with self._lock:
            if self._idle:
                self._idle.pop().put(item)
            else:
                self._waiting.append(item)

    def get(self) -> Any:
        """The next item, in the order they came; waits for it."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            mine: SimpleQueue[Any] = SimpleQueue()
            self._idle.append(mine)
        return mine.get()

    def qsize(self) -> int:
        """How many wait for a worker."""
        return len(self._waiting)

    def resting(self) -> int:
        """How many workers wait for an item."""
        return len(self._idle)


class Pool(ThreadPool):
    """Threads that are workers of ours, and the one used last works first."""

    def __init__(self, server: "Server", threads: int) -> None:
        super().__init__(server, min=threads, max=threads)
        self._queue = Handover()
        self.get = self._queue.get

    def put(self, obj: Any) -> None:
        """Hand a connection to a worker. Raises queue.Full where too many wait already: cheroot then closes it."""
        if self.qsize >= PatientConnection.most_waiting:
            raise Full
        super().put(obj)

    @property
    def resting(self) -> int:
        """How many workers wait for a connection that wants something."""
        return self._queue.resting()

    def _spawn_worker(self) -> Worker:
        worker = Worker(self.server)  # type: ignore[no-untyped-call]
        worker.start()
        return worker


class Server(wsgi.Server):
    """A server with the settings that a small box needs."""

    ConnectionClass = PatientConnection
    keep_alive_conn_limit = 100  # cheroot's 10 would close the 11th client after each answer
    max_request_header_size = MOST_HEADER_BYTES
    max_request_body_size = MOST_BODY_BYTES
    timeout = 10

    def __init__(
        self,
        application: Callable[..., Any],
        listen: Listen,
        *,
        threads: int,
        certificate: Certificate | None = None,
        reuse_port: bool = False,
        at_thread_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`at_thread_end` is called in every worker thread as it ends: the place to close its database connection."""
        super().__init__(
            (listen.host, listen.port),
            application,
            numthreads=threads,
            request_queue_size=128,
            server_name="Ringpost",
            reuse_port=reuse_port,
            timeout=10,
            shutdown_timeout=5,
        )
        if certificate is not None:
            self.ssl_adapter = LateHandshake(certificate)
        self.at_thread_end = at_thread_end
        self.requests = Pool(self, threads)
        self.requests._force_close = _force_close
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on, also where the system chose it."""
        return int(self.socket.getsockname()[1])

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Into our own log; clients that go away are no news."""
        log.log(min(level, logging.WARNING) if "socket.error" in msg else level, "%s", msg, exc_info=traceback)

    def put_conn(self, conn: Any) -> None:
        """Take a connection back into the selector; an error here would otherwise end the whole server."""
        try:
            super().put_conn(conn)
        except (OSError, ValueError, KeyError, Full):
            conn.close()

    def open(self) -> None:
        """Listen, and serve in a thread of its own. Raises OSError where the address is taken."""
        self.prepare()
        self._thread = threading.Thread(target=self.serve, name="serve")
        self._thread.start()

    def close(self) -> None:
        """Stop listening, let running requests end, and wait for all threads."""
        if not self.ready:
            return
        self._connections._stop_requested = True  # type: ignore[attr-defined]  # the stubs leave it out
        try:  # rouse the selector, which would otherwise sleep on for up to half a second
            socket.create_connection(self.socket.getsockname()[:2], 1).close()
        except OSError:
            pass  # then it wakes by itself
        self.stop()
        if self._thread is not None:
            self._thread.join()


def _force_close(conn: Any) -> None:
    """Cut a request that outlives the stop; in clear, since SSLSocket.shutdown would send the rest unencrypted."""
    if conn is None:
        return
    try:
        socket.socket.shutdown(conn.socket, socket.SHUT_RDWR)
    except OSError:
        pass  # it has gone by itself
