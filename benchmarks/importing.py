"""Going live: ten thousand candidates and their consents come over the API, then a message to each, in batches of a thousand.

Countries, languages, consents, numbers and texts are mixed as in an applicant tracking system nobody has tidied up. Each item's
own result is counted by code, and must be the one that its candidate asks for.
"""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.box import Box, cpu_s, family
from benchmarks.figures import Figure
from benchmarks.http import CONNECTIONS

MANY, FEW, BATCH = 10_000, 1_000, 1_000
COUNTRIES = {"DK": "single", "US": "single", "DE": "double", "GB": "double"}
"""Commissioned beside Sweden, with the opt-in they ask for; Norway never was."""
EVIDENCE = {"captured_at": "2026-01-05T09:00:00Z", "wording_version": "7", "wording_text": "Ja, skicka sms till mig."}
TEXTS = {
    "sv": "Hej Kim! Har du tid för ett samtal om jobbet på torsdag? Hälsningar Eva, Acme",
    "da": "Hej Kim! Har du tid til en samtale om jobbet på torsdag? Venlig hilsen Eva, Acme",
    "de": "Hallo Kim, hätten Sie am Donnerstag Zeit für ein Gespräch über die Stelle? Viele Grüße, Eva, Acme",
    "en": "Hi Kim, would you have time on Thursday to talk about the job? Best regards, Eva, Acme",
    "el": "Γεια σου Κιμ, έχεις χρόνο την Πέμπτη για μια συζήτηση για τη θέση; Εύα, Acme",
}
REJECTION = "Tack för din ansökan. Vi har valt att gå vidare med andra kandidater."
FIRST, WAITS = "202 waits_for", "202 pending_opt_in"
"""A first text waits for the line that says who writes, or for START."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of candidate: what number number `n` has, what they said, and what a message to them comes to."""

    phone: Callable[[int], str | None]
    region: str
    language: str
    consent: str | None
    expected: str
    text: str | None = None


def swedish(n: int) -> str:
    """A mobile number as people write it."""
    return f"070-{1_000_000 + n}"


PEOPLE: tuple[Sort, ...] = (
    *[Sort(swedish, "SE", "sv", "granted", FIRST)] * 8,
    Sort(swedish, "SE", "el", "granted", FIRST),
    Sort(lambda n: f"{20_000_000 + n}", "DK", "da", "granted", FIRST),
    Sort(lambda n: f"(415) 555-{n % 10_000:04}", "US", "en", "granted", FIRST),
    Sort(lambda n: f"0151 {20_000_000 + n}", "DE", "de", "granted", WAITS),
    Sort(lambda n: f"+44 7400 {100_000 + n}", "GB", "en", "granted", WAITS),
    Sort(lambda n: f"+47 4{1_000_000 + n}", "NO", "en", "granted", "409 country_disabled"),
    Sort(swedish, "SE", "sv", None, "409 consent_required"),
    Sort(swedish, "SE", "sv", "refused", "409 consent_required"),
    Sort(swedish, "SE", "sv", "revoked", "409 opted_out"),
    Sort(lambda n: f"08-{7_600_000 + n}", "SE", "sv", None, "422 not_mobile"),
    Sort(lambda n: None, "SE", "sv", None, "422 number_missing"),
    Sort(swedish, "SE", "sv", "granted", "409 looks_like_rejection", REJECTION),
)


def measure(directory: Path, quick: bool) -> Iterator[Figure]:
    """All figures of this group."""
    count = FEW if quick else MANY
    with Box(directory / "import", candidates=0) as box:
        _commission(box)
        web = box.web()
        before = cpu_s(family(web))
        people = [(f"import-{n}", PEOPLE[n % len(PEOPLE)], n) for n in range(count)]
        took = _put(box, [(f"/api/v1/candidates/{ref}", _candidate(sort, n)) for ref, sort, n in people])
        told = f"{CONNECTIONS} connections, {took:.1f} s in all"
        yield Figure("import_candidates", f"{count:,} candidates imported, one PUT each", count / took, "/s", note=told)
        said = [(f"/api/v1/candidates/{ref}/consents/sms", _consent(sort.consent)) for ref, sort, _ in people if sort.consent]
        took = _put(box, said)
        told = f"{took:.1f} s in all"
        yield Figure("import_consents", f"{len(said):,} consents with evidence, one PUT each", len(said) / took, "/s", note=told)
        results, took = _submit(box, people)
        each = (cpu_s(family(web)) - before) / count * 1e6
        told = f"{took:.1f} s in all; import and message {each:.0f} µs CPU each"
        yield Figure("import_messages", f"{count:,} messages in batches of {BATCH:,}, one by one", count / took, "/s", note=told)
        accepted = sum(number for code, number in results.items() if code.startswith("202"))
        yield Figure("import_accepted", "   accepted of these", 100 * accepted / count, "%", note=f"{accepted:,} of {count:,}")
        for code, number in sorted(results.items()):
            yield Figure(f"import_{code.replace(' ', '_')}", f"   items answered {code}", number, "items")


def _commission(box: Box) -> None:
    with box.store.write() as tx:
        for iso, opt_in in COUNTRIES.items():
            values = {"state": "active", "opt_in": opt_in, "hours": '"always"', "price": 1, "updated_at": box.office.now}
            tx.insert("country", iso=iso, channel="sms", **values)


def _candidate(sort: Sort, n: int) -> dict[str, Any]:
    phone = sort.phone(n)
    known = {"first_name": "Kim", "last_name": f"Berg {n}", "email": f"kim{n}@example.com", "language": sort.language}
    return {**known, "region": sort.region, **({} if phone is None else {"phone": phone})}


def _consent(status: str | None) -> dict[str, Any]:
    return {"status": status, "source": "ats_import", "evidence": EVIDENCE}


def _put(box: Box, requests: Sequence[tuple[str, dict[str, Any]]]) -> float:
    """PUT them all over some connections; the seconds that took. Raises RuntimeError where one was not answered 200."""
    failures: list[str] = []

    def work(own: Sequence[tuple[str, dict[str, Any]]]) -> None:
        connection = _connect(box)
        for path, body in own:
            status, answer = _ask(box, connection, "PUT", path, body)
            if status != 200 or failures:
                failures.append(f"{path}: {status} {answer}")
                break
        connection.close()

    threads = [threading.Thread(target=work, args=(requests[number::CONNECTIONS],)) for number in range(CONNECTIONS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    return time.monotonic() - began


def _submit(box: Box, people: Sequence[tuple[str, Sort, int]]) -> tuple[Counter[str], float]:
    """Write to everybody; how many items were answered with which code, and the seconds that took."""
    results: Counter[str] = Counter()
    connection, took = _connect(box), 0.0
    for start in range(0, len(people), BATCH):
        batch = people[start : start + BATCH]
        body = {"messages": [_message(ref, sort) for ref, sort, _ in batch]}
        began = time.monotonic()
        status, answer = _ask(box, connection, "POST", "/api/v1/messages/batch", body)
        took += time.monotonic() - began
        if status != 207:
            raise RuntimeError(f"batch: {status} {answer}")
        for (ref, sort, _), result in zip(batch, answer["results"], strict=True):
            code = _code(result)
            if code != sort.expected:
                raise RuntimeError(f"{ref}: {code}, not {sort.expected}: {result}")
            results[code] += 1
    connection.close()
    return results, took


def _message(ref: str, sort: Sort) -> dict[str, Any]:
    text = sort.text or TEXTS[sort.language]
    return {"user": "eva@acme.example", "candidate_ref": ref, "case_ref": "job-7", "kind": "contact", "text": text}


def _code(result: dict[str, Any]) -> str:
    if result["status"] != 202:
        return f"{result['status']} {result['problem']['code']}"
    hold = result["message"]["hold"]
    return f"202 {'queued' if hold is None else hold['reason']}"


def _connect(box: Box) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", box.port, timeout=60)


_marks = itertools.count(1)


def _ask(
    box: Box, connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {box.key}", "Content-Type": "application/json"}
    if method == "POST":
        headers["Idempotency-Key"] = f"import-{next(_marks)}"
    connection.request(method, path, json.dumps(body).encode(), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
