"""The small load generator for machines without wrk: `python -m benchmarks.load PORT PATH KEY BATCH SECONDS MARK`."""

import json
import socket
import sys
import threading
import time

from benchmarks.box import CANDIDATES, TEXT
from benchmarks.http import CONNECTIONS


def main() -> None:
    """Post on all connections until the time is over; prints how long it took."""
    port, path, key, batch, seconds, mark = sys.argv[1:]
    until = time.monotonic() + float(seconds)
    failures: list[str] = []
    threads = [
        threading.Thread(target=_post, args=(int(port), path, key, int(batch), until, f"{mark}-{number}-", number, failures))
        for number in range(CONNECTIONS)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(failures[0])
    print(json.dumps({"seconds": time.monotonic() - began}))


def _post(port: int, path: str, key: str, batch: int, until: float, mark: str, start: int, failures: list[str]) -> None:
    number = start * 131
    with socket.create_connection(("127.0.0.1", port), 20) as connection, connection.makefile("rb") as answers:
        while time.monotonic() < until and not failures:
            number += 1
            items = [_message(number + offset) for offset in range(batch)]
            body = json.dumps(items[0] if batch == 1 else {"messages": items}).encode()
            head = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
                f"Idempotency-Key: {mark}{number}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            status, length = answers.readline(), 0
            while (line := answers.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answer = answers.read(length)
            if not status.startswith(b"HTTP/1.1 20"):
                failures.append(f"{status!r} {answer[:300]!r}")


def _message(number: int) -> dict[str, str]:
    ref = f"many-{number * 7 % CANDIDATES}"
    return {"user": "eva@acme.example", "candidate_ref": ref, "case_ref": "job-7", "kind": "contact", "text": TEXT}


if __name__ == "__main__":
    main()
