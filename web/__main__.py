"""`python -m web -c FILE`: serve the API and the pages until told to stop.

With `[web] processes` above 1 this process serves nothing itself: it starts that many, which share the port, and starts one
anew when it dies. Exit codes: 2 wrong configuration, 3 another schema version, 1 anything else.
"""

import argparse
import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

from gateway import clock, config
from gateway.config import Config, Listen
from gateway.errors import ConfigError, RingpostError, SchemaMismatch

log = logging.getLogger("web")

RENEWAL_LOOK_S = 6 * 3600
RESTART_S = 1.0
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m web", description="Serve Ringpost's API and pages.")
    parser.add_argument("-c", dest="file", metavar="FILE", help="the configuration (default: RINGPOST_CONFIG)")
    given = parser.parse_args(arguments)
    try:
        settings = config.load(config.find(given.file))
        _log_to_stdout(settings)
        if settings.web.processes == 1:
            return serve(settings, reuse_port=False)
        return supervise(settings)
    except ConfigError as error:
        return _complain(error, 2)
    except SchemaMismatch as error:
        return _complain(error, 3)
    except (RingpostError, OSError) as error:
        return _complain(error, 1)


def _complain(error: Exception, code: int) -> int:
    print(f"ringpost web: {error}", file=sys.stderr, flush=True)
    return code


def _log_to_stdout(settings: Config) -> None:
    logging.basicConfig(
        stream=sys.stdout,
        level=settings.gateway.log_level.upper(),
        format="%(levelname)s %(name)s %(message)s",  # journald has the time
    )


def serve(settings: Config, *, reuse_port: bool) -> int:
    """Serve in this process until SIGTERM or SIGINT."""
    from gateway.store import schema

    database = schema.open_database(settings)
    try:
        from web import certificates
        from web.app import create_app
        from web.server import Server

        time_source = clock.choose(settings.gateway.test_clock)
        stopping = threading.Event()
        app = create_app(settings, time_source, database, stopping=stopping)
        certificate = certificates.for_web(settings.web, settings.gateway.state_dir, time_source.now_ms())
        server = Server(
            app,
            settings.web.listen,
            threads=settings.web.threads,
            certificate=certificate,
            reuse_port=reuse_port,
            at_thread_end=database.close,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        server.open()
        doors = [server]
        if settings.web.candidate_listen is not None:
            doors.append(_candidates_door(settings, app, certificate, reuse_port=reuse_port))
        log.info("listening url=%s pid=%d", _url(settings, server.port), os.getpid())
        _announce(database, time_source.now_ms(), _url(settings, server.port))
        while not stopping.wait(RENEWAL_LOOK_S):
            fresh = certificates.for_web(settings.web, settings.gateway.state_dir, time_source.now_ms())
            if fresh is not None:
                for door in doors:
                    door.ssl_adapter.context.load_cert_chain(str(fresh.certificate), str(fresh.key))
        for door in doors:
            door.close()
        log.info("stopped pid=%d", os.getpid())
        return 0
    finally:
        database.close()


def _announce(database: Any, now: int, url: str) -> None:
    """On a box where nobody can sign in yet: the set-up's code, on the console."""
    from gateway.flows import setting_up

    code = setting_up.announce(database, "web", now)
    if code is not None:
        print(setting_up.on_the_console(code, url), flush=True)


def _candidates_door(settings: Config, app: Any, certificate: Any, *, reuse_port: bool) -> Any:
    """The candidates' pages on their own address, so that a proxy can publish them alone; few threads, to starve nobody."""
    from web.server import Server

    assert settings.web.candidate_listen is not None
    threads = max(2, settings.web.threads // 4)
    pages = app.extensions["ringpost.candidates"]
    door = Server(pages, settings.web.candidate_listen, threads=threads, certificate=certificate, reuse_port=reuse_port)
    door.open()
    log.info("listening candidates=%s", settings.web.candidate_listen)
    return door


def _url(settings: Config, port: int) -> str:
    listen = Listen(settings.web.listen.host, port)
    return replace(settings.web, listen=listen).url


def supervise(settings: Config) -> int:
    """Keep `processes` servers on one port; the exit code of the first that says starting again is no use."""
    place = _reserve(settings.web.listen)
    settings = replace(settings, web=replace(settings.web, listen=Listen(settings.web.listen.host, place.getsockname()[1])))
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for pid in list(children):
            os.kill(pid, signal.SIGTERM)

    children: set[int] = set()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    code = 0
    while True:
        while not stopping and len(children) < settings.web.processes:
            children.add(_start(settings))
        if not children:
            return code
        pid, status = os.wait()
        children.discard(pid)
        if stopping:
            continue
        ended = os.waitstatus_to_exitcode(status)
        if ended in (1, 2, 3):
            code = ended
            stop(signal.SIGTERM, None)
        else:
            log.error("web process died pid=%d code=%d", pid, ended)
            time.sleep(RESTART_S)  # a child that dies at once must not be restarted in a spin


def _reserve(listen: Listen) -> socket.socket:
    """Hold the port without listening: where it is 0 the system chooses, and all processes get the same."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind((listen.host, listen.port))
    return place


def _start(settings: Config) -> int:
    """Fork a server; nothing is open yet that may not be shared. It dies with its parent."""
    parent = os.getpid()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == parent:
            code = serve(settings, reuse_port=True)
    except SchemaMismatch as error:
        code = _complain(error, 3)
    except ConfigError as error:
        code = _complain(error, 2)
    except (RingpostError, OSError) as error:
        code = _complain(error, 1)
    except BaseException:
        log.exception("web process crashed")
        code = 70
    finally:
        logging.shutdown()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
