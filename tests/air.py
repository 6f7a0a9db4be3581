"""A modem without a modem: claims for a station and tells the store what a stick would have told."""

from dataclasses import dataclass, field

from gateway.flows import settle
from gateway.flows.claim import Claimed, Station, claim
from gateway.rules.retry import Again, GiveUp
from gateway.store.database import Transaction
from gateway.store.parts import Part, parts_of
from tests.office import ICCID, IMEI, Office, report

LANES = (0, 1, 2)


@dataclass
class Air:
    """One station of an office, and the TP-MR its SIM gives next."""

    office: Office
    gateway: str = "g"
    modem: str = "m1"
    iccid: str = ICCID
    epoch: int = 1
    sender_ids: tuple[str, ...] = ()
    tp_mr: int = 0
    lanes: tuple[int, ...] = LANES
    station: Station = field(init=False)

    def __post_init__(self) -> None:
        sender_ids = self.sender_ids or (self.office.sender_id,)
        self.station = Station(self.gateway, self.epoch, self.modem, IMEI, self.iccid, sender_ids)
        with self.office.database.write() as tx:
            tx.execute(
                "INSERT INTO gateway (name, epoch, holder, started_at, heartbeat_at, version) VALUES (?, ?, 'test', 0, 0, '0')"
                " ON CONFLICT (name) DO NOTHING",
                self.gateway,
                self.epoch,
            )
            tx.execute("INSERT INTO sim (iccid, seen_at) VALUES (?, 0) ON CONFLICT (iccid) DO NOTHING", self.iccid)

    def claim(self) -> Claimed | None:
        """Claim the next message and commit the intent of its first part."""

        def step(tx: Transaction) -> Claimed | None:
            claimed = claim(tx, self.station, self.lanes, self.office.now)
            if claimed is not None:
                self.intend(tx, claimed.parts[0])
            return claimed

        return self.office.database.transact(step)

    def intend(self, tx: Transaction, part: Part) -> None:
        settle.intend(tx, part, self.station, reference=None, baseline=None, trusted=False, now=self.office.now)

    def taken(self, part: Part) -> int:
        """The network took the part; the TP-MR it got."""
        tp_mr, self.tp_mr = self.tp_mr, (self.tp_mr + 1) % 256
        self.office.database.transact(lambda tx: settle.sent(tx, part, tp_mr, self.office.now))
        return tp_mr

    def send(self) -> tuple[str, list[int]] | None:
        """Claim a message and send all its parts; its id and their TP-MRs. None when nothing is due."""
        claimed = self.claim()
        if claimed is None:
            return None
        references = []
        for number, part in enumerate(claimed.parts):
            if number:
                self.office.database.transact(lambda tx, part=part: self.intend(tx, part))
            references.append(self.taken(part))
        return claimed.message["id"], references

    def refuse(self, part: Part, verdict: Again | GiveUp, meaning: str = "refused") -> None:
        self.office.database.transact(lambda tx: settle.refused(tx, part, verdict, meaning, self.office.now))

    def unknown(self, part: Part) -> None:
        self.office.database.transact(lambda tx: settle.unknown(tx, part, "no_proof", self.office.now))

    def report(self, tp_mr: int, status: int = 0, *, recipient: str = "+46701740605", at: int | None = None) -> None:
        """A status report comes in."""
        self.office.take_in(report(recipient, tp_mr, at=at or self.office.now, status=status), iccid=self.iccid)

    def parts(self, message_id: str) -> list[Part]:
        with self.office.database.read() as view:
            return parts_of(view, message_id)

    def part_states(self, message_id: str) -> list[str]:
        return [part.state for part in self.parts(message_id)]
