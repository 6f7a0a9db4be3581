"""Hostile input for the decoders, as much of it as somebody has patience for: `hostile(seed, count)`.

Not a test itself: test_pdu.py calls it with thousands, a long proof with a million.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from modem import gsm7, pdu, segments
from modem.pdu import Address, Concat, Deliver, Element, PduError, Ports, StatusReport, Submit
from modem.segments import Alphabet

_MOMENT = datetime(2026, 11, 21, 21, 30, tzinfo=UTC)
_SENDER = Address.parse("+46701740601")


def seeds() -> list[bytes]:
    """Good TPDUs of every kind to start from."""
    concat = Concat(4711, 3, 2, 16)
    turkish = gsm7.NationalTable(1, 1)
    return [
        Submit(_SENDER, "Hej [pass] €", validity_min=60).encode(),
        Submit(_SENDER, "x" * 152, concat=concat, valid_until=_MOMENT).encode(),
        Submit(_SENDER, data=bytes(range(100)), alphabet=None, ports=Ports(2948, 9200)).encode(),
        Submit(Address.parse("72456"), "😀" * 33, Alphabet.UCS2, Concat(7, 2, 1)).encode(),
        Deliver(_SENDER, "şçğıİ €", sent_at=_MOMENT, table=turkish, concat=concat).encode(),
        Deliver(Address.alphanumeric("Ringpost"), "👍 ja", Alphabet.UCS2, sent_at=_MOMENT).encode(),
        Deliver(_SENDER, "12345678" * 19, elements=(Element(0x70, b"SIM"),), sent_at=_MOMENT).encode(),
        Deliver(_SENDER, data=b"\x02\x70\x80\xff", alphabet=None, message_class=1).encode(),
        StatusReport(64, _SENDER, _MOMENT, _MOMENT, 0).encode(),
        StatusReport(64, _SENDER, _MOMENT, _MOMENT, 0x46, pid=0, dcs=0, text="gone").encode(),
    ]


def inputs(seed: int, count: int) -> Iterator[bytes]:
    """Random octets, truncations, mutations, insertions and splices of good TPDUs; the same for the same seed."""
    rng = random.Random(seed)
    good = seeds()
    for turn in range(count):
        octets = bytearray(rng.choice(good))
        match turn % 6:
            case 0:
                octets = bytearray(rng.randbytes(rng.randrange(0, 200)))
            case 1:
                del octets[rng.randrange(len(octets)) :]
            case 2:
                for _ in range(rng.randrange(1, 6)):
                    octets[rng.randrange(len(octets))] = rng.randrange(256)
            case 3:
                at = rng.randrange(len(octets))
                octets[at:at] = rng.randbytes(rng.randrange(1, 20))
            case 4:
                octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
            case 5:
                other = rng.choice(good)
                octets = octets[: rng.randrange(len(octets))] + other[rng.randrange(len(other)) :]
        yield bytes(octets)


def hostile(seed: int, count: int) -> dict[str, int]:
    """Feed `count` inputs to every decoder; any exception but PduError escapes. Returns how the inputs fared."""
    fared = {"decoded": 0, "refused": 0}
    for octets in inputs(seed, count):
        for decode in (
            Submit.decode,
            Deliver.decode,
            StatusReport.decode,
            lambda o: pdu.decode(o, from_network=True),
            lambda o: pdu.decode(o, from_network=False),
            pdu.describe,
            lambda o: pdu.describe(o, from_network=False),
            pdu.split_smsc,
            lambda o: pdu.unwrap(o.hex(), len(o) // 2),
            lambda o: pdu.unwrap(o),
        ):
            refusal: PduError | None = None
            try:
                decoded = decode(octets)
            except PduError as error:
                fared["refused"] += 1
                refusal = error
            else:
                fared["decoded"] += 1
                if isinstance(decoded, Submit | Deliver):
                    # What came in can be stored (UTF-8) and its parts read together.
                    decoded.text.encode()
                    assert segments.analyse(decoded.text).parts >= 1
                if isinstance(decoded, Deliver):
                    assert pdu.join_text([decoded]) == decoded.text
            assert refusal is None or (0 <= refusal.offset <= len(octets) and refusal.reason)
    return fared
