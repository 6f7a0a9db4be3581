"""The crash proof: gateways are killed at random instants while messages go out; then the air log is held against the store.

Every part must have reached the network exactly once, or its message must be plainly marked `unknown`; nothing may be lost,
nothing doubled, and each candidate's messages must have left in order. The time of gateways and sticks runs fast (a test clock),
so that the waits of design.md §4 are kept in full and still take moments.
"""

import random
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gateway import config as configs
from gateway.flows import credits
from gateway.flows.accept import Accepted, submit
from gateway.store import schema, setup
from gateway.store.database import Database
from gateway.store.seal import seal, verify
from modem.pdu import Submit
from tests.office import Office, open_office
from tests.processes import Site, Stick, until

SPEED = 20.0
LATENCY_S = 1.0


@dataclass
class Outcome:
    """What the comparison of air and store found; all lists are empty when the promise held."""

    messages: int = 0
    parts_on_air: int = 0
    kills: int = 0
    in_flight: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)
    books: list[Any] = field(default_factory=list)
    leaves_no_evidence: bool = False

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled, left unmarked or out of order, and the books are right."""
        return not (self.lost or self.doubled or self.unmarked or self.disorder or self.books)

    def __str__(self) -> str:
        states = ", ".join(f"{state} {count}" for state, count in sorted(self.states.items()))
        return (
            f"{self.kills} kills ({self.in_flight} with a part on the air), "
            f"{self.messages} messages, {self.parts_on_air} parts on the air: {len(self.lost)} lost, "
            f"{len(self.doubled)} doubled, {len(self.unmarked)} unmarked, {len(self.disorder)} out of order; states: {states}"
        )


def prove(
    directory: Path,
    *,
    kills: int,
    messages: int = 200,
    seed: int = 1,
    smss: bool = True,
    reports: bool = True,
    gateways: int = 1,
    sticks: int = 1,
    url: str | None = None,
    timeout_s: float = 600.0,
    forge: bool = False,
) -> Outcome:
    """Run it: `gateways` boxes of `sticks` modems each on one database, killed `kills` times in all.

    `smss` and `reports` switch the two kinds of evidence off. `forge` falsifies the air log before it is compared, to see
    that the comparison can fail.
    """
    chance = random.Random(seed)
    sites: list[Site] = []
    try:
        for number in range(1, gateways + 1):
            home = directory / f"box{number}"
            home.mkdir(parents=True)
            sites.append(Site(home, name=f"box{number}", database=url, sticks=sticks, test_clock=True))
        office, accepted = _fill(sites, messages, chance)
        portions = _hold_back(office, list(accepted), max(kills, 1))
        for site in sites:
            site.set_clock(speed=SPEED)
            for _ in range(sticks):
                stick = site.simulator(latency_s=LATENCY_S, options=() if smss else ("--no-smss",))
                if not reports:
                    stick.control.set(report_status={"*": -1})
        _bind_senders(office, sites)
        outcome = Outcome(messages=len(accepted), leaves_no_evidence=not (smss or reports))
        _kill_again_and_again(office, sites, kills, portions, chance, outcome)
        for portion in portions:
            _let_go(office, portion)
        for site in sites:
            if not site.programs["gateway"].alive:
                site.programs["gateway"].start()
        until(lambda: _open(office.database) == 0, timeout_s=timeout_s, about="every message has ended", every_s=0.2)
        for site in sites:
            site.programs["gateway"].stop(60)
        if forge:
            _forge(sites[0].sticks[0].air_log)
        return _compare(office, sites, accepted, outcome)
    finally:
        for site in sites:
            site.close()


def _fill(sites: Sequence[Site], count: int, chance: random.Random) -> tuple[Office, dict[str, Accepted]]:
    """A marked test database with `count` accepted messages of 1 to 4 parts, each text unlike all others."""
    first = sites[0]
    config = configs.load(first.config)
    schema.choose_engine(config)
    database = first.store
    setup.prepare(config, database, test=True)
    for other in sites[1:]:
        (other.state_dir / "keys").mkdir(parents=True, exist_ok=True)
        for key in (first.state_dir / "keys").iterdir():
            (other.state_dir / "keys" / key.name).write_bytes(key.read_bytes())
    office = open_office(database, balance=100_000)
    office.now = time.time_ns() // 1_000_000
    refs = office.candidates(max(10, count // 4))
    accepted: dict[str, Accepted] = {}
    with database.write() as tx:
        for number in range(count):
            sentences = chance.choice((1, 4, 7, 10))
            text = "".join(f"Meddelande {number}, mening {place} av flera, hälsar Acme. " for place in range(sentences))
            if chance.random() < 0.2:
                text = "🎉 " + text[: chance.choice((60, 130, 190))]
            made = submit(tx, office.submission(chance.choice(refs), text), office.now)
            assert isinstance(made, Accepted), made
            accepted[made.id] = made
    return office, accepted


def _forge(air_log: Path) -> None:
    """One part vanishes from the air log, another stands there twice."""
    lines = air_log.read_text().splitlines(keepends=True)
    submits = [line for line in lines if '"event": "submit"' in line]
    lines.remove(submits[0])
    air_log.write_text("".join([*lines, submits[-1]]))


def _bind_senders(office: Office, sites: Sequence[Site]) -> None:
    """One sender number per stick; the waiting messages are spread over them, one candidate always on one."""
    cards = [stick.iccid for site in sites for stick in site.sticks]
    with office.database.write() as tx:
        senders = office.senders_on(tx, cards)
        for number, row in enumerate(tx.all("SELECT id FROM candidate ORDER BY id")):
            tx.execute("UPDATE message SET sender_id = ? WHERE candidate_id = ?", senders[number % len(senders)], row["id"])


def _hold_back(office: Office, ids: list[str], portions: int) -> list[list[str]]:
    """Messages go out in portions, so that every kill finds some on their way: the rest is held for now."""
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'held', hold_reason = 'scheduled', not_before = NULL WHERE state = 'queued'")
    size = -(-len(ids) // portions)
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _let_go(office: Office, portion: list[str]) -> None:
    with office.database.write() as tx:
        for message_id in portion:
            tx.execute("UPDATE message SET state = 'queued', hold_reason = NULL WHERE id = ?", message_id)


def _kill_again_and_again(
    office: Office, sites: Sequence[Site], kills: int, portions: list[list[str]], chance: random.Random, outcome: Outcome
) -> None:
    """Start the gateways, let some messages go, and kill one gateway after a random while; again and again.

    Every other kill is aimed: it waits for a part to be on its way first, for on a busy machine a random while may all go into
    starting. Where the run leaves no evidence, the answer of what an aimed kill hits is lost too: else it waits in the line.
    """
    for site in sites:
        site.gateway()
    for turn in range(kills):
        site = chance.choice(sites)
        aimed = turn % 2 == 1 and bool(portions)
        lossy = [stick for each in sites for stick in each.sticks] if aimed and outcome.leaves_no_evidence else []
        for stick in lossy:
            stick.control.lose_answer()
        if portions:
            _let_go(office, portions.pop(0))
        if lossy:
            until(partial(_one_struck, lossy), about="an answer is lost", every_s=0.005)
        if aimed:
            site = until(lambda: _busy(office.database, sites), about="a part is on its way", every_s=0.002)
        program = site.programs["gateway"]
        assert program.process is not None
        try:
            program.process.wait(chance.uniform(0.0, LATENCY_S / SPEED) if aimed else chance.uniform(0.3, 1.6))
            raise AssertionError(f"the gateway ended by itself\n{program.said[-3000:]}")
        except subprocess.TimeoutExpired:
            program.kill()
        outcome.kills += 1
        outcome.in_flight += int(_on_air(office.database, site.name) > 0)
        for stick in lossy:
            stick.control.clear()
        program.start()


def _one_struck(sticks: Sequence[Stick]) -> bool:
    """Whether one has taken the part whose answer it will lose."""
    return not all(stick.control.stats()["faults"] for stick in sticks)


def _busy(database: Database, sites: Sequence[Site]) -> Site | None:
    """One that has a part on its way."""
    return next((site for site in sites if _on_air(database, site.name)), None)


def _on_air(database: Database, gateway: str) -> int:
    with database.read() as view:
        sql = "SELECT COUNT(*) AS n FROM part WHERE state = 'submitting' AND error IS NULL AND gateway = ?"
        return int(view.value(sql, gateway))


def _open(database: Database) -> int:
    with database.read() as view:
        return int(view.value("SELECT COUNT(*) AS n FROM message WHERE state IN ('queued', 'sending', 'held')"))


def _compare(office: Office, sites: Sequence[Site], accepted: dict[str, Accepted], outcome: Outcome) -> Outcome:
    """Hold what the network took against what the store says."""
    database = office.database
    seal(database)
    with database.read() as view:
        rows = view.all(
            "SELECT m.id, m.state AS message_state, m.candidate_id, m.seq, m.lane, m.address, p.number, p.text, p.state"
            " FROM message m JOIN part p ON p.message_id = m.id WHERE m.origin = 'user' ORDER BY m.id, p.number"
        )
        outcome.states = Counter(row["state"] for row in view.all("SELECT state FROM message WHERE origin = 'user'"))
        outcome.books = [*credits.verify(view)]
        broken = verify(view)
        if broken is not None:
            outcome.books.append(broken)
    assert {row["id"] for row in rows} == set(accepted)
    taken: Counter[tuple[str, str]] = Counter()
    times: dict[tuple[str, str], str] = {}
    for site in sites:
        for entry in site.air("submit"):
            tpdu = Submit.decode(bytes.fromhex(entry["tpdu"]))
            key = (tpdu.destination.number, tpdu.text)
            taken[key] += 1
            times.setdefault(key, entry["at"])
    outcome.parts_on_air = sum(taken.values())
    sent_at: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
    groups: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:  # short last parts of two messages to one person may read the same: they are counted together
        groups[row["address"], row["text"]].append(row)
    for key, alike in groups.items():
        times_taken = taken.pop(key, 0)
        names = ", ".join(f"{row['id']} part {row['number']} ({row['message_state']}/{row['state']})" for row in alike)
        settled = [row for row in alike if row["state"] in ("sent", "delivered", "undelivered")]
        unknown = [row for row in alike if row["state"] == "unknown"]
        unsent = [row for row in alike if row["state"] == "ready" and row["message_state"] == "unknown"]
        if times_taken > len(alike):
            outcome.doubled.append(names)
        if times_taken < len(settled) or len(settled) + len(unknown) + len(unsent) < len(alike):
            outcome.lost.append(names)
        if times_taken > len(settled) + len(unknown):
            outcome.unmarked.append(names)
        if times_taken and len(alike) == 1 and alike[0]["number"] == 1:
            sent_at[alike[0]["candidate_id"], alike[0]["lane"]].append((alike[0]["seq"], times[key]))
    outcome.unmarked += [f"on the air but not in the store: {key}" for key in taken]
    for (candidate, lane), moments in sent_at.items():
        in_order = [moment for _, moment in sorted(moments)]
        if in_order != sorted(in_order):
            outcome.disorder.append(f"{candidate} lane {lane}")
    return outcome
