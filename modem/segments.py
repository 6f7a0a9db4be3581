"""A text and its parts: the one place that counts segments.

Knows how much fits into a part and where a text may be cut; refuses to know PDUs, references and numbers.
Source: 3GPP TS 23.040 §9.2.3.24.1 and §9.2.3.24.8 (concatenation), §9.2.3.16 (140 octets of user data).

A part of a longer text gives 6 octets (7 with a 16-bit reference) to its header, so it carries 153 (152) septets
or 67 (66) UTF-16 units where a single message carries 160 or 70. Nothing is ever cut inside an escape pair or a
surrogate pair: the receiver may show parts one by one. What a reader sees as one character (a letter with its
accents, a flag, a family) stays whole too wherever it fits into a part at all.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from modem import gsm7
from modem.gsm7 import NationalTable

USER_DATA_OCTETS = 140


class Alphabet(StrEnum):
    """How the characters of a message travel (TS 23.038 §4)."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


class TooManyParts(ValueError):
    """The text needs more parts than allowed; a concatenated message has at most 255 (§9.2.3.24.1)."""

    def __init__(self, needed: int, allowed: int) -> None:
        super().__init__(f"the text needs {needed} parts, {allowed} are allowed")
        self.needed = needed
        self.allowed = allowed

    def __reduce__(self) -> tuple[type["TooManyParts"], tuple[int, int]]:
        return type(self), (self.needed, self.allowed)


class Forcing(NamedTuple):
    """A character that forces UCS-2, and what could stand for it in GSM-7 (None: nothing sensible)."""

    position: int
    character: str
    replacement: str | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a text. `number` counts from 1; `units` are septets or UTF-16 units, header not counted."""

    text: str
    alphabet: Alphabet
    number: int
    total: int
    units: int
    table: NationalTable = gsm7.DEFAULT_TABLE


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a text costs.

    `units` are the septets or UTF-16 units of the whole text, `per_part` what each of its parts can carry (160 or
    70 while one is enough, 153 or 67 beyond), `room` what is left in the last one.
    """

    alphabet: Alphabet
    units: int
    parts: int
    room: int
    per_part: int
    table: NationalTable = gsm7.DEFAULT_TABLE
    text: str = field(default="", repr=False)

    @property
    def forcing(self) -> tuple[Forcing, ...]:
        """Each character outside the GSM 7 bit alphabet, in order; empty for a GSM-7 text.

        Worked out when asked for: a preview wants it, the thousand messages a second behind an API do not.
        """
        if self.alphabet is Alphabet.GSM7:
            return ()
        return tuple(
            Forcing(position, character, replacement(character))
            for position, character in enumerate(self.text)
            if not gsm7.cost(character)
        )


def capacity(
    alphabet: Alphabet,
    *,
    concatenated: bool,
    reference_bits: int = 8,
    table: NationalTable = gsm7.DEFAULT_TABLE,
) -> int:
    """Septets or UTF-16 units that fit into one part.

    Elements of the header: 5 octets of concatenation (6 with a 16-bit reference), 3 per shift table; plus one octet
    of header length if there is any element (§9.2.3.24).
    """
    if reference_bits not in (8, 16):
        raise ValueError("a concatenation reference has 8 or 16 bits")
    header = (3 + reference_bits // 8 + 1) * concatenated
    if alphabet is Alphabet.GSM7:
        header += 3 * len(table.elements)
    octets = USER_DATA_OCTETS - header - (header > 0)
    return octets * 8 // 7 if alphabet is Alphabet.GSM7 else octets // 2


# (alphabet, reference_bits) -> (alone, concatenated) without shift tables, asked for at every accept.
_CAPACITY = {
    (alphabet, bits): (
        capacity(alphabet, concatenated=False, reference_bits=bits),
        capacity(alphabet, concatenated=True, reference_bits=bits),
    )
    for alphabet in Alphabet
    for bits in (8, 16)
}

_DEFAULT_DOUBLES = gsm7.doubles()
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def analyse(
    text: str,
    *,
    alphabet: Alphabet | None = None,
    reference_bits: int = 8,
    table: NationalTable | None = None,
) -> Analysis:
    """Count the parts of a text without making them; `analyse(…).parts == len(split(…))` for the same arguments.

    Without `alphabet` the cheaper one that can carry the text is taken. A `table` of national letters is used only
    where it saves a part against UCS-2, for many handsets cannot show it. Lone surrogates count as U+FFFD.
    Raises NotEncodable if GSM-7 is asked for and a character is outside of it.
    """
    chosen = _choose(text, alphabet, reference_bits, table)
    text, alphabet, table, units, alone, concatenated = chosen
    if units <= alone:
        return Analysis(alphabet, units, 1, alone - units, alone, table, text)
    if alphabet is Alphabet.GSM7 and units == len(text) and "\r\n" not in text and table is gsm7.DEFAULT_TABLE:
        # Nothing here that must stay together: every part but the last is full.
        parts = -(-units // concatenated)
        return Analysis(alphabet, units, parts, parts * concatenated - units, concatenated, table, text)
    cuts = list(_cuts(chosen))
    return Analysis(alphabet, units, len(cuts), concatenated - cuts[-1][1], concatenated, table, text)


def split(
    text: str,
    *,
    alphabet: Alphabet | None = None,
    reference_bits: int = 8,
    max_parts: int = 255,
    table: NationalTable | None = None,
) -> tuple[Piece, ...]:
    """Cut a text into the parts it is sent in, at least one.

    Arguments as for `analyse`. Raises TooManyParts, and NotEncodable like `analyse`.
    """
    chosen = _choose(text, alphabet, reference_bits, table)
    text, alphabet, table, units, alone, _ = chosen
    if units <= alone:
        if max_parts < 1:
            raise TooManyParts(1, max_parts)
        return (Piece(text, alphabet, 1, 1, units, table),)
    cuts = list(_cuts(chosen))
    if len(cuts) > max_parts:
        raise TooManyParts(len(cuts), max_parts)
    pieces = []
    start = 0
    for number, (end, used) in enumerate(cuts, 1):
        pieces.append(Piece(text[start:end], alphabet, number, len(cuts), used, table))
        start = end
    return tuple(pieces)


def join(pieces: Iterable[Piece]) -> str:
    """The text of pieces in whatever order."""
    return "".join(piece.text for piece in sorted(pieces, key=lambda piece: piece.number))


# ----------------------------------------------------------------------------------------------------------------
# Choosing and cutting


class _Chosen(NamedTuple):
    text: str
    alphabet: Alphabet
    table: NationalTable
    units: int
    alone: int
    concatenated: int


def _choose(text: str, alphabet: Alphabet | None, reference_bits: int, table: NationalTable | None) -> _Chosen:
    try:
        if alphabet is not Alphabet.UCS2 and gsm7.is_encodable(text):
            units = len(text) + sum(map(text.count, _DEFAULT_DOUBLES))
            return _Chosen(text, Alphabet.GSM7, gsm7.DEFAULT_TABLE, units, *_CAPACITY[Alphabet.GSM7, reference_bits])
        ucs2 = _CAPACITY[Alphabet.UCS2, reference_bits]
    except KeyError:
        raise ValueError("a concatenation reference has 8 or 16 bits") from None
    national = None
    if alphabet is not Alphabet.UCS2 and table is not None and gsm7.is_encodable(text, table):
        units = len(text) + sum(map(text.count, gsm7.doubles(table)))
        alone = capacity(Alphabet.GSM7, concatenated=False, table=table)
        concatenated = capacity(Alphabet.GSM7, concatenated=True, reference_bits=reference_bits, table=table)
        national = _Chosen(text, Alphabet.GSM7, table, units, alone, concatenated)
    if alphabet is Alphabet.GSM7:
        if national is None:
            gsm7.encode(text, table)  # raises NotEncodable with the place
            raise AssertionError("unreachable: an encodable text was turned away")
        return national
    if _LONE_SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    wide = _Chosen(text, Alphabet.UCS2, gsm7.DEFAULT_TABLE, len(text.encode("utf-16-le")) // 2, *ucs2)
    if national is not None and _count(national) < _count(wide):
        return national
    return wide


def _count(chosen: _Chosen) -> int:
    return 1 if chosen.units <= chosen.alone else sum(1 for _ in _cuts(chosen))


def _cuts(chosen: _Chosen) -> Iterator[tuple[int, int]]:
    """Where each part ends in the text, and how many units it has."""
    if chosen.units == len(chosen.text):
        return _even_cuts(chosen.text, chosen.concatenated)
    if chosen.alphabet is Alphabet.GSM7:
        return _septet_cuts(chosen.text, chosen.concatenated, gsm7.doubles(chosen.table))
    return _utf16_cuts(chosen.text, chosen.concatenated)


def _even_cuts(text: str, limit: int) -> Iterator[tuple[int, int]]:
    start, length = 0, len(text)
    while start < length:
        end = min(start + limit, length)
        if end < length:
            end = _whole(text, start, end)
        yield end, end - start
        start = end


def _septet_cuts(text: str, limit: int, doubles: str) -> Iterator[tuple[int, int]]:
    double = re.compile(f"[{re.escape(doubles)}]")
    start, length = 0, len(text)
    while start < length:
        # `limit` characters are at least `limit` septets: give back one character for each double until it fits.
        end = min(start + limit, length)
        used = end - start + len(double.findall(text, start, end))
        while used > limit:
            end -= 1
            used -= 2 if text[end] in doubles else 1
        if end < length:
            whole = _whole(text, start, end)
            used -= end - whole + len(double.findall(text, whole, end))
            end = whole
        yield end, used
        start = end


def _utf16_cuts(text: str, limit: int) -> Iterator[tuple[int, int]]:
    units = text.encode("utf-16-be")
    start, at, length = 0, 0, len(units)
    while at < length:
        to = min(at + 2 * limit, length)
        if to < length and 0xDC <= units[to] <= 0xDF:
            to -= 2
        end = start + len(units[at:to].decode("utf-16-be"))
        if to < length:
            whole = _whole(text, start, end)
            if whole != end:
                to -= len(text[whole:end].encode("utf-16-be"))
                end = whole
        yield end, (to - at) // 2
        start, at = end, to


def _whole(text: str, start: int, end: int) -> int:
    """The last place to cut at or before `end` that leaves every grapheme whole.

    One that fills the part from its start on does not fit into any: it is cut where the room ends.
    """
    place = end
    while place > start and _is_inside(text, start, place):
        place -= 1
    return place if place > start else end


# Extending characters that are not marks by category (Unicode UAX #29, Grapheme_Cluster_Break=Extend, SpacingMark):
# ZWNJ, ZWJ, Thai and Lao vowel AM, half-width voicing marks, skin tones, tag characters.
_EXTENDING = frozenset("\u200c\u200d\u0e33\u0eb3\uff9e\uff9f") | frozenset(
    chr(code) for span in (range(0x1F3FB, 0x1F400), range(0xE0020, 0xE0080)) for code in span
)
_PREPENDED = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2\u0d4e")


def _is_inside(text: str, start: int, place: int) -> bool:
    """Whether a cut between text[place - 1] and text[place] would fall into a grapheme (UAX #29 GB3 to GB13)."""
    before, after = text[place - 1], text[place]
    if after < "\u0300":
        return (after == "\n" and before == "\r") or before in _PREPENDED
    if before < " ":
        return False
    if after in _EXTENDING or unicodedata.category(after) in ("Mn", "Mc", "Me"):
        return True
    if before == "\u200d":
        # GB11 asks for a pictograph on both sides; any wide character will do, at worst a cut comes earlier.
        return after > "\u2000"
    if "\U0001f1e6" <= after <= "\U0001f1ff":
        # Flags are pairs of regional indicators, counted from where the run starts (GB12, GB13).
        run = place
        while run > start and "\U0001f1e6" <= text[run - 1] <= "\U0001f1ff":
            run -= 1
        return (place - run) % 2 == 1
    if "\u1100" <= after <= "\u11ff" or "\uac00" <= after <= "\ud7fb":
        return _is_inside_syllable(before, after)
    if before in _PREPENDED:
        return True
    # GB9c: consonant, virama, consonant is one conjunct in the Indian scripts.
    return unicodedata.combining(before) == 9 and unicodedata.category(after) == "Lo" and after < "\u0e00"


def _is_inside_syllable(before: str, after: str) -> bool:
    """Hangul letters that make one syllable (GB6 to GB8)."""

    def is_leading(c: str) -> bool:
        return "\u1100" <= c <= "\u115f" or "\ua960" <= c <= "\ua97c"

    def is_vowel(c: str) -> bool:
        return "\u1160" <= c <= "\u11a7" or "\ud7b0" <= c <= "\ud7c6"

    def is_trailing(c: str) -> bool:
        return "\u11a8" <= c <= "\u11ff" or "\ud7cb" <= c <= "\ud7fb"

    def is_syllable(c: str) -> bool:
        return "\uac00" <= c <= "\ud7a3"

    if is_leading(before):
        return is_leading(after) or is_vowel(after) or is_syllable(after)
    if is_vowel(before) or (is_syllable(before) and (ord(before) - 0xAC00) % 28 == 0):
        return is_vowel(after) or is_trailing(after)
    return (is_trailing(before) or is_syllable(before)) and is_trailing(after)


# ----------------------------------------------------------------------------------------------------------------
# GSM-7 friendly replacements

_REPLACEMENTS: dict[str, str] = {}
for _characters, _replacement in (
    ("\u2018\u2019\u201a\u201b\u2032\u2039\u203a\u02b9\u02bb\u02bc\u02c8\u02ca\u02cb`\u00b4\uff07", "'"),
    ("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u02ba\u02ee\u300c\u300d\u300e\u300f\uff02", '"'),
    ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u2e3a\u2e3b\ufe58\ufe63\u30fb\u2022\u2023\u25cf\u25aa", "-"),
    ("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t", " "),
    ("\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", ""),
    ("\u2028\u2029\u0085\u000b", "\n"),
    ("\u2026", "..."),
    ("\u00b7\u2027\u3002", "."),
    ("\u2044\u2215\u00f7", "/"),
    ("\u00d7\u2715\u2716", "x"),
    ("\u00b1", "+/-"),
    ("\u2260", "!="),
    ("\u2264", "<="),
    ("\u2265", ">="),
    ("\u2248", "~"),
    ("\u2192", "->"),
    ("\u2190", "<-"),
    ("\u2194", "<->"),
    ("\u00a9", "(c)"),
    ("\u00ae", "(R)"),
    ("\u00b0", "deg"),
    ("\u00a6", "|"),
    ("\u00ac", "-"),
    ("\u00b6", "P"),
    ("\u00a2", "c"),
    ("\u20a4", "£"),
    ("\u2713\u2714", "v"),
    ("\u00b8\u02db\u02da\u02c6\u02dc\u02d9\u02c7", ""),
    ("\u0152", "OE"),
    ("\u0153", "oe"),
    ("\u0141", "L"),
    ("\u0142", "l"),
    ("\u0110\u00d0\u0189", "D"),
    ("\u0111\u00f0", "d"),
    ("\u00de", "Th"),
    ("\u00fe", "th"),
    ("\u0126", "H"),
    ("\u0127", "h"),
    ("\u0131", "i"),
    ("\u0138", "k"),
    ("\u014a", "N"),
    ("\u014b", "n"),
    ("\u0166", "T"),
    ("\u0167", "t"),
    ("\u018f", "E"),
    ("\u0259\u01dd", "e"),
    ("\u1e9e", "SS"),
    ("\u0150", "Ö"),
    ("\u0151", "ö"),
    ("\u0170", "Ü"),
    ("\u0171", "ü"),
    # Greek capitals look like the Latin ones GSM-7 has; §6.2.1 lists only those that do not.
    ("\u0391", "A"),
    ("\u0392", "B"),
    ("\u0395", "E"),
    ("\u0396", "Z"),
    ("\u0397", "H"),
    ("\u0399", "I"),
    ("\u039a", "K"),
    ("\u039c", "M"),
    ("\u039d", "N"),
    ("\u039f", "O"),
    ("\u03a1", "P"),
    ("\u03a4", "T"),
    ("\u03a5", "Y"),
    ("\u03a7", "X"),
    ("\u2126", "Ω"),
    ("\u2206", "Δ"),
    ("\u2211", "Σ"),
    ("\u220f", "Π"),
    ("\u00b5\u03bc", "u"),
):
    _REPLACEMENTS |= dict.fromkeys(_characters, _replacement)


@lru_cache(maxsize=4096)
def replacement(character: str) -> str | None:
    """What can stand for one character in GSM-7, or None.

    Typography by table, letters with marks by taking marks off one at a time (so `ǻ` is `å`, not `a`), forms of
    a character (ligatures, full width, superscripts) by their compatibility decomposition.
    """
    if gsm7.cost(character):
        return character
    if character in _REPLACEMENTS:
        return _REPLACEMENTS[character]
    if character < " " or "\u007f" <= character < "\u00a0":
        return ""
    decomposition = unicodedata.decomposition(character).split()
    if not decomposition:
        return None
    if decomposition[0].startswith("<"):
        form = unicodedata.normalize("NFKD", character)
        parts = [replacement(c) for c in form if c != character]
        return None if not parts or None in parts else "".join(part for part in parts if part is not None)
    base = chr(int(decomposition[0], 16))
    return replacement(base) if unicodedata.combining(character) == 0 else None


def transliterate(text: str) -> str:
    """Put GSM-7 characters in place of others that have a sensible one; leave what has none.

    A text that comes out GSM-7 encodable is cheaper; one with a single emoji in it is not, and stays UCS-2.
    """
    if gsm7.is_encodable(text):
        return text
    characters: list[str] = []
    plain = False  # whether the last character kept is a GSM-7 one, whose marks can go
    for character in unicodedata.normalize("NFC", text):
        if plain and (character in "\ufe0e\ufe0f\u200d" or unicodedata.category(character) in ("Mn", "Me")):
            continue
        stand_in = replacement(character)
        plain = stand_in is not None and (plain or stand_in != "")
        characters.append(character if stand_in is None else stand_in)
    return "".join(characters)
