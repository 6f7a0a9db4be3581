"""The codec against its peers, the same work in the same run: python-gsmmodem-new and smspdudecoder."""

import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Figure, median, spread
from modem.pdu import Address, Concat, Deliver, Submit, decode, split_smsc
from modem.segments import split

NUMBER = "+46701740605"
TEXTS = {
    "1 part": "Hej Kim! Har du tid för ett samtal om jobbet på torsdag? Hälsningar Eva, Acme",
    "3 parts": "Hej Kim! Vi vill gärna träffa dig på torsdag klockan tio. " * 7,
    "UCS-2": "Cześć Kim! Zapraszamy na rozmowę w poniedziałek o dziesiątej.",  # no emoji: python-gsmmodem-new cannot
}


def measure(directory: Path, quick: bool) -> Iterator[Figure]:
    """All figures of this group."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from gsmmodem.pdu import decodeSmsPdu, encodeSmsSubmitPdu
        from smspdudecoder.easy import read_incoming_sms
    rounds = 5 if quick else 11
    for name, text in TEXTS.items():
        ours, theirs, ratios = _duel(
            lambda text=text: _encode(text), lambda text=text: encodeSmsSubmitPdu(NUMBER, text, reference=7), rounds
        )
        note = f"ours {ours:.0f} µs, python-gsmmodem-new {theirs:.0f} µs"
        what = f"codec, text → SUBMIT, {name}: times python-gsmmodem-new"
        yield Figure(f"encode_{name}", what, median(ratios), "×", noise=spread(ratios), note=note)
    for name in ("1 part", "UCS-2"):
        pdu = _incoming(TEXTS[name])
        assert decodeSmsPdu(pdu)["text"] == read_incoming_sms(pdu)["content"] == _decode(pdu)
        for peer, theirs_do in (("python-gsmmodem-new", decodeSmsPdu), ("smspdudecoder", read_incoming_sms)):
            ours, theirs, ratios = _duel(lambda pdu=pdu: _decode(pdu), lambda pdu=pdu, do=theirs_do: do(pdu), rounds)
            note = f"ours {ours:.0f} µs, {peer} {theirs:.0f} µs"
            what = f"codec, DELIVER → text, {name}: times {peer}"
            yield Figure(f"decode_{name}_{peer}", what, median(ratios), "×", noise=spread(ratios), note=note)


def _encode(text: str) -> list[bytes]:
    pieces, made = split(text), []
    for piece in pieces:
        concat = Concat(7, piece.total, piece.number, 8) if piece.total > 1 else None
        made.append(Submit(Address.parse(NUMBER), piece.text, piece.alphabet, concat=concat, validity_min=4320).encode())
    return made


def _incoming(text: str) -> str:
    (piece,) = split(text)
    stamp = datetime(2026, 3, 1, 10, tzinfo=UTC)
    return "00" + Deliver(Address.parse(NUMBER), piece.text, piece.alphabet, sent_at=stamp).encode().hex().upper()


def _decode(pdu: str) -> str:
    _, tpdu = split_smsc(bytes.fromhex(pdu))
    message = decode(tpdu, from_network=True)
    assert isinstance(message, Deliver)
    return message.text


def _duel(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float, list[float]]:
    """Turn about, so that both meet the same noise: µs of ours, µs of theirs, and the ratio of each round."""
    pairs = []
    for _ in range(rounds):
        pairs.append((_microseconds(ours), _microseconds(theirs)))
    return median([a for a, _ in pairs]), median([b for _, b in pairs]), [b / a for a, b in pairs]


def _microseconds(act: Callable[[], object], seconds: float = 0.03) -> float:
    count, spent, until = 0, time.process_time(), time.process_time() + seconds
    while time.process_time() < until:
        for _ in range(20):
            act()
        count += 20
    return (time.process_time() - spent) / count * 1e6
