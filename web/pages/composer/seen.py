"""What a message would become, as the composer shows it: alphabet, parts, cost, and the characters that make it dear."""

from dataclasses import dataclass, replace

from gateway.flows import writing
from gateway.flows.accept import Preview


@dataclass(frozen=True, slots=True)
class Force:
    """A character that forces the costly alphabet: which, how often, and what may stand for it."""

    character: str
    code_point: str
    count: int
    position: int
    replacement: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the message would become."""

    text: str
    alphabet: str
    parts: tuple[str, ...]
    units: int
    most: int
    room: int
    credits: int
    total: int
    companions: tuple[tuple[str, str, int], ...]
    forces: tuple[Force, ...]
    plainer: str | None
    plainer_parts: int
    replaceable: int
    hold: str | None
    not_before: int | None


def seen_of(found: Preview) -> Seen:
    """A preview as it is shown."""
    size = found.analysis
    forces: dict[str, Force] = {}
    for each in size.forcing:
        before = forces.get(each.character)
        forces[each.character] = (
            Force(each.character, f"U+{ord(each.character):04X}", 1, each.position + 1, each.replacement)
            if before is None
            else replace(before, count=before.count + 1)
        )
    hold = found.hold
    return Seen(
        text=found.text,
        alphabet=str(size.alphabet),
        parts=tuple(piece.text for piece in found.pieces),
        units=size.units,
        most=size.per_part,
        room=size.room,
        credits=found.credits,
        total=sum((each.credits for each in found.companions), found.credits),
        companions=tuple((each.kind, each.text, each.credits) for each in found.companions),
        forces=tuple(forces.values())[:10],
        plainer=found.plainer,
        plainer_parts=0 if found.plainer is None else writing.parts_of(found.plainer),
        replaceable=sum(each.replacement is not None for each in forces.values()),
        hold=None if hold is None else str(hold.reason),
        not_before=None if hold is None else hold.not_before,
    )
