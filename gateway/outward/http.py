"""The one HTTP client of the box: every request that leaves it goes through `post`.

Importing this module costs some 100 ms and megabytes that an idle box need not spend, so its users import it in the
function that sends. Refuses to know: what is sent, and whether it is worth another try.
"""

import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpcore
import httpx

TIMEOUT_S = 15.0
_MOST_BODY = 64 * 1024
"""So much of an answer is read, only so that its connection can be used again; nobody looks at it."""

_making = threading.Lock()
_request = threading.local()


@dataclass(frozen=True)
class Answer:
    """What came back: an HTTP status, or None and the reason in a few words. Never anything of the answer's body."""

    status: int | None
    reason: str
    retry_after_s: float | None = None


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Answer:
    """POST a body; the status line must be back within `timeout_s`, however slowly its bytes trickle in.

    Redirects are not followed: a signed body goes where the administrator said and nowhere else. Never raises for what
    the other side or the network does.
    """
    _request.deadline = time.monotonic() + timeout_s
    try:
        with _shared().stream("POST", url, content=body, headers=dict(headers), timeout=timeout_s) as response:
            answer = Answer(response.status_code, str(response.status_code), _retry_after_s(response.headers))
            try:
                _drain(response)
            except httpx.HTTPError:
                pass  # the status line is the answer; httpx drops the connection
            return answer
    except httpx.TimeoutException:
        return Answer(None, f"no answer within {timeout_s:g} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(None, f"{type(error).__name__}: {error}"[:200])
    finally:
        del _request.deadline


def _drain(response: httpx.Response) -> None:
    read = 0
    for chunk in response.iter_raw():
        read += len(chunk)
        if read > _MOST_BODY:
            return


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """The seconds form of Retry-After (RFC 9110 §10.2.3); the date form would trust the other side's clock."""
    value = headers.get("retry-after", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 9 else None


def close() -> None:
    """Close the idle connections; the next `post` opens its own."""
    with _making:
        if _client.cache_info().currsize:
            _client().close()
            _client.cache_clear()


def _shared() -> httpx.Client:
    with _making:  # two threads may send their first request at once
        return _client()


@cache
def _client() -> httpx.Client:
    transport = httpx.HTTPTransport(verify=_trust())
    transport._pool = httpcore.ConnectionPool(
        ssl_context=_trust(),
        max_connections=None,  # the callers' threads are the limit
        max_keepalive_connections=8,
        keepalive_expiry=30,
        network_backend=_Punctual(),
    )
    return httpx.Client(transport=transport, follow_redirects=False, headers={"user-agent": "Ringpost"})


@cache
def _trust() -> ssl.SSLContext:
    """The machine's trust store, where an administrator puts the CA of the house; certifi's list only without one."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return ssl.create_default_context()
    return httpx.create_ssl_context()


class _Punctual(httpcore.NetworkBackend):
    """httpx's time limits are per read: an answer of one byte every ten seconds would hold a thread for days.

    Here every wait of a request ends at that request's one deadline.
    """

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _PunctualStream(self._inner.connect_tcp(host, port, _left(timeout), local_address, socket_options))


class _PunctualStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = _left(timeout)
        if left == 0:
            raise httpcore.ReadTimeout("the deadline has passed")
        return self._inner.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = _left(timeout)
        if left == 0:
            raise httpcore.WriteTimeout("the deadline has passed")
        self._inner.write(buffer, left)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = max(_left(timeout) or 0.0, 0.001)
        return _PunctualStream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(timeout: float | None) -> float | None:
    deadline: float | None = getattr(_request, "deadline", None)
    if deadline is None:
        return timeout
    left = max(0.0, deadline - time.monotonic())
    return left if timeout is None else min(left, timeout)
