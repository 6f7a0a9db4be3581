"""The GSM 7 bit alphabet: text to septets to octets, and back.

Knows characters and bits only: nothing of parts (segments.py), headers or PDUs (pdu.py).
Source: 3GPP TS 23.038 §6.1.2.1 (packing), §6.2.1 and §6.2.1.1 (default alphabet and its extension),
§6.2.1.2 and annex A (national language tables).

A septet here is an int 0..127. The national tables come in two kinds: a *locking shift* replaces the basic table
for the whole message, a *single shift* replaces the extension table behind the escape septet. Each is announced by
an information element of its own (TS 23.040 §9.2.3.24.15, .16), so any pair may occur: `NationalTable`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

ESCAPE = 0x1B

# One row of the standard's table per line; the escape holds its own place so that position == septet.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)

# 0x0D (CR2) and 0x1B (SS2) are reserved control codes without a character of their own.
EXTENSION: MappingProxyType[int, str] = MappingProxyType(
    {
        0x0A: "\f",
        0x14: "^",
        0x28: "{",
        0x29: "}",
        0x2F: "\\",
        0x3C: "[",
        0x3D: "~",
        0x3E: "]",
        0x40: "|",
        0x65: "€",
    }
)


class NotEncodable(ValueError):
    """A character has no septet in the tables in use; a UCS-2 message can carry it."""

    def __init__(self, position: int, character: str) -> None:
        super().__init__(f"{character!r} (U+{ord(character):04X}) at {position} is not in the GSM 7 bit alphabet")
        self.position = position
        self.character = character

    def __reduce__(self) -> tuple[type["NotEncodable"], tuple[int, str]]:
        return type(self), (self.position, self.character)


class Language(IntEnum):
    """National language identifiers (23.038 §6.2.1.2.4)."""

    DEFAULT = 0
    TURKISH = 1
    SPANISH = 2
    PORTUGUESE = 3
    BENGALI = 4
    GUJARATI = 5
    HINDI = 6
    KANNADA = 7
    MALAYALAM = 8
    ORIYA = 9
    PUNJABI = 10
    TAMIL = 11
    TELUGU = 12
    URDU = 13


@dataclass(frozen=True, slots=True)
class NationalTable:
    """Which language replaces the basic table (locking) and which the extension table (single).

    Takes the bare identifiers as they stand in the header. An identifier without a table reads as the default
    (23.038 §6.2.1.2.4: reserved values are ignored), so no received octet is an error here.
    """

    locking: int = Language.DEFAULT
    single: int = Language.DEFAULT

    @property
    def elements(self) -> tuple[tuple[int, bytes], ...]:
        """The information elements that announce this pair: (identifier, content)."""
        single = ((SINGLE_SHIFT, bytes((self.single,))),) if self.single else ()
        locking = ((LOCKING_SHIFT, bytes((self.locking,))),) if self.locking else ()
        return single + locking


# Information element identifiers of TS 23.040 §9.2.3.24.
SINGLE_SHIFT = 0x24
LOCKING_SHIFT = 0x25

DEFAULT_TABLE = NationalTable()


def septets(text: str, table: NationalTable | None = None) -> list[int]:
    """The septets of a text, two for a character of the extension table.

    Raises NotEncodable for the first character outside the tables. A bare escape is such a character: sent as it
    is, it would swallow its neighbour (§6.2.1 note 1).
    """
    return list(encode(text, table))


def encode(text: str, table: NationalTable | None = None) -> bytes:
    """`septets` as bytes, one septet in each."""
    codes = _DEFAULT.codes if table is None else _tables(table.locking, table.single).codes
    try:
        return b"".join([codes[character] for character in text])
    except KeyError:
        position = next(i for i, character in enumerate(text) if character not in codes)
        raise NotEncodable(position, text[position]) from None


def text(septets: Iterable[int], table: NationalTable | None = None) -> str:
    """The text of septets; every sequence of septets has one.

    Behind an escape: the extension character; where the table has none, the character of the basic table
    (§6.2.1.1); a second escape, and an escape at the very end, read as a space (§6.2.1.1 and §6.2.1, notes).
    """
    tables = _DEFAULT if table is None else _tables(table.locking, table.single)
    octets = bytes(septets)
    if ESCAPE not in octets:
        basic = tables.basic
        try:
            return "".join([basic[septet] for septet in octets])
        except IndexError:
            raise ValueError("a septet is 0..127") from None
    if max(octets) > 127:
        raise ValueError("a septet is 0..127")
    characters: list[str] = []
    escaped = False
    for septet in octets:
        if escaped:
            escaped = False
            characters.append(" " if septet == ESCAPE else tables.extension.get(septet) or tables.basic[septet])
        elif septet == ESCAPE:
            escaped = True
        else:
            characters.append(tables.basic[septet])
    if escaped:
        characters.append(" ")
    return "".join(characters)


def is_encodable(text: str, table: NationalTable | None = None) -> bool:
    """Whether every character of the text has septets."""
    tables = _DEFAULT if table is None else _tables(table.locking, table.single)
    return tables.characters.issuperset(text)


def cost(character: str, table: NationalTable | None = None) -> int:
    """Septets of one character: 1, 2 (extension table), or 0 if it has none."""
    tables = _DEFAULT if table is None else _tables(table.locking, table.single)
    return len(tables.codes.get(character, b""))


def doubles(table: NationalTable | None = None) -> str:
    """The characters that cost two septets."""
    return (_DEFAULT if table is None else _tables(table.locking, table.single)).doubles


def pack(septets: Sequence[int], fill_bits: int = 0) -> bytes:
    """Pack septets (0..127) into octets, lowest bits first, behind `fill_bits` zero bits.

    n septets give ceil((7n + fill_bits) / 8) octets; spare high bits are zero.
    Raises ValueError for a septet outside 0..127.
    Source: 23.038 §6.1.2.1; fill bits: TS 23.040 §9.2.3.24.
    """
    if not septets:
        return bytes((fill_bits + 7) // 8)
    if max(septets) > 127 or min(septets) < 0:
        raise ValueError("a septet is 0..127")
    # One big integer from a string of bits: several times faster than shifting octet by octet in Python.
    bits = int("".join([_BITS[septet] for septet in reversed(septets)]), 2) << fill_bits
    return bits.to_bytes((7 * len(septets) + fill_bits + 7) // 8, "little")


def unpack(octets: bytes, count: int, fill_bits: int = 0) -> list[int]:
    """The first `count` septets of packed octets, skipping `fill_bits` bits.

    The count decides, never the content: eight septets whose last is 0 are seven octets ending in zero bits,
    and the `@` they stand for is text (§6.1.2.1.1).
    Raises ValueError if the octets hold fewer septets.
    """
    if (7 * count + fill_bits + 7) // 8 > len(octets):
        raise ValueError(f"{count} septets need {(7 * count + fill_bits + 7) // 8} octets, {len(octets)} given")
    if fill_bits:
        octets = (int.from_bytes(octets, "little") >> fill_bits).to_bytes(len(octets), "little")
    unpacked: list[int] = []
    for at in range(0, (7 * count + 7) // 8, 7):
        seven = int.from_bytes(octets[at : at + 7], "little")
        unpacked += (
            seven & 127,
            seven >> 7 & 127,
            seven >> 14 & 127,
            seven >> 21 & 127,
            seven >> 28 & 127,
            seven >> 35 & 127,
            seven >> 42 & 127,
            seven >> 49,
        )
    return unpacked[:count]


_BITS = [f"{septet:07b}" for septet in range(128)]


# ----------------------------------------------------------------------------------------------------------------
# National language tables (annex A). Space stands for "not assigned" in the tables below: the real space, septet
# 0x20 of every locking table, is put in by name.


def _changed(base: str, changes: Mapping[int, str]) -> str:
    characters = list(base)
    for septet, character in changes.items():
        characters[septet] = character
    return "".join(characters)


# Annex A.3.1 and A.3.3: the default alphabet with some places taken by letters of the language.
_TURKISH = _changed(BASIC, {0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş", 0x40: "İ", 0x60: "ç"})
_PORTUGUESE = _changed(
    BASIC,
    dict(zip(range(0x04, 0x0A), "êéúíóç", strict=True))
    | {0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á"}
    | dict(zip(range(0x12, 0x1B), "ªÇÀ∞^\\€Ó|", strict=True))
    | {0x1C: "Â", 0x1D: "â", 0x1E: "Ê", 0x24: "º", 0x40: "Í", 0x5B: "Ã", 0x5C: "Õ", 0x5D: "Ú"}
    | {0x60: "~", 0x7B: "ã", 0x7C: "õ", 0x7D: "`"},
)

# Annex A.3.4 to A.3.12. The Indian blocks of Unicode all follow ISCII, and so do these tables: the same septet is
# the same offset into the block, but for letters a script does not have and six places at the end.
_DEVANAGARI = (
    "\u0901\u0902\u0903\u0905\u0906\u0907\u0908\u0909\u090a\u090b\n\u090c\u090d\r\u090e\u090f"
    "\u0910\u0911\u0912\u0913\u0914\u0915\u0916\u0917\u0918\u0919\u091a\x1b\u091b\u091c\u091d\u091e"
    " !\u091f\u0920\u0921\u0922\u0923\u0924)(\u0925\u0926,\u0927.\u0928"
    "0123456789:;\u0929\u092a\u092b?"
    "\u092c\u092d\u092e\u092f\u0930\u0931\u0932\u0933\u0934\u0935\u0936\u0937\u0938\u0939\u093c\u093d"
    "\u093e\u093f\u0940\u0941\u0942\u0943\u0944\u0945\u0946\u0947\u0948\u0949\u094a\u094b\u094c\u094d"
    "\u0950abcdefghijklmno"
    "pqrstuvwxyz\u0972\u097b\u097c\u097e\u097f"
)


def _indian(block: int, missing: str, last: str) -> str:
    """A locking table from the Devanagari one: `missing` septets in hex, `last` for septets 60 and 7B..7F."""
    table = [chr(ord(c) - 0x0900 + block) if ord(c) >= 0x0900 else c for c in _DEVANAGARI]
    for septet in bytes.fromhex(missing):
        table[septet] = ""
    for septet, character in zip((0x60, 0x7B, 0x7C, 0x7D, 0x7E, 0x7F), last, strict=True):
        table[septet] = character
    return "".join(character or "\0" for character in table)


# Annex A.3.13. Urdu (with Sindhi letters), in the order of the standard's table.
_URDU = (
    "\u0627\u0622\u0628\u067b\u0680\u067e\u06a6\u062a\u06c2\u067f\n\u0679\u067d\r\u067a\u067c"
    "\u062b\u062c\u0681\u0684\u0683\u0685\u0686\u0687\u062d\u062e\u062f\x1b\u068c\u0688\u0689\u068a"
    " !\u068f\u068d\u0630\u0631\u0691\u0693)(\u0699\u0632,\u0696.\u0698"
    "0123456789:;\u069a\u0633\u0634?"
    "\u0635\u0636\u0637\u0638\u0639\u0641\u0642\u06a9\u06aa\u06ab\u06af\u06b3\u06b1\u0644\u0645\u0646"
    "\u06ba\u06bb\u06bc\u0648\u06c4\u06d5\u06c1\u06be\u0621\u06cc\u06d0\u06d2\u064d\u0650\u064f\u0657"
    "\u0654abcdefghijklmno"
    "pqrstuvwxyz\u0655\u0651\u0653\u0656\u0670"
)

# A place without a character is "\0" here; it is received as a space (annex A.3: "not used").
_LOCKING: Mapping[int, str] = {
    Language.DEFAULT: BASIC,
    Language.TURKISH: _TURKISH,
    Language.PORTUGUESE: _PORTUGUESE,
    Language.BENGALI: _indian(0x0980, "0c0e11123c4547484957585b5c", "\u09ce\u09d7\u09dc\u09dd\u09f0\u09f1"),
    Language.GUJARATI: _indian(0x0A80, "0e123c4548585c", "\u0ad0\u0ae0\u0ae1\u0ae2\u0ae3\u0af1"),
    Language.HINDI: _DEVANAGARI,
    Language.KANNADA: _indian(0x0C80, "000c113c48575b", "\u0cd5\u0cd6\u0ce0\u0ce1\u0ce2\u0ce3"),
    Language.MALAYALAM: _indian(0x0D00, "000c113c4e575b", "\u0d57\u0d60\u0d61\u0d62\u0d63\u0d79"),
    Language.ORIYA: _indian(0x0B00, "0c0e11123c454857585b5c", "\u0b56\u0b57\u0b60\u0b61\u0b62\u0b63"),
    Language.PUNJABI: _indian(0x0A00, "090b0c0e11123c45484b4f555657585b5c", "\u0a51\u0a70\u0a71\u0a72\u0a73\u0a74"),
    Language.TAMIL: _indian(
        0x0B80,
        "00090b0c111617181c1e2324252a2b2d3e40414e4f5556575b",
        "\u0bd0\u0bd7\u0bf0\u0bf1\u0bf2\u0bf9",
    ),
    Language.TELUGU: _indian(0x0C00, "0c113c484e575b", "\u0c55\u0c56\u0c60\u0c61\u0c62\u0c63"),
    Language.URDU: _URDU,
}


def _indian_extension(letters: str) -> dict[int, str]:
    """A single shift table of annex A.2.4 to A.2.13.

    They share punctuation and Latin capitals; `letters` (signs, digits and rare letters of the script) fill the
    places from 19 on that are not the same in every table, NUL leaving one empty.
    """
    table = dict(enumerate("@£$¥¿\"¤%&'\f*+", 0x00)) | {0x0E: "-", 0x0F: "/"}
    table |= dict(enumerate("<=>¡^¡_#*", 0x10))
    free = [place for place in range(0x19, 0x40) if place not in (ESCAPE, 0x28, 0x29, 0x2F)]
    table |= {place: letter for place, letter in zip(free, letters, strict=False) if letter != "\0"}
    table |= {place: EXTENSION[place] for place in (0x28, 0x29, 0x2F, 0x40, 0x65)}
    # Urdu has letters up to 3B and one at 3F; the brackets between them are common to all.
    table |= {place: EXTENSION[place] for place in (0x3C, 0x3D, 0x3E)}
    return table | dict(enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0x41))


_DANDAS = "\u0964\u0965"


def _digits(zero: int) -> str:
    return "".join(chr(zero + digit) for digit in range(10))


_SINGLE: Mapping[int, Mapping[int, str]] = {
    Language.DEFAULT: EXTENSION,
    Language.TURKISH: EXTENSION | {0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"},
    Language.SPANISH: EXTENSION
    | {0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x61: "á", 0x69: "í", 0x6F: "ó", 0x75: "ú"},
    Language.PORTUGUESE: EXTENSION
    | {0x05: "ê", 0x09: "ç", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á", 0x12: "Φ", 0x13: "Γ", 0x15: "Ω"}
    | {0x16: "Π", 0x17: "Ψ", 0x18: "Σ", 0x19: "Θ", 0x1F: "Ê", 0x41: "À", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú"}
    | {0x5B: "Ã", 0x5C: "Õ", 0x61: "Â", 0x69: "í", 0x6F: "ó", 0x75: "ú", 0x7B: "ã", 0x7C: "õ", 0x7F: "â"},
    Language.BENGALI: _indian_extension(
        _digits(0x09E6) + "\u09df\u09e0\u09e1\u09e2\u09e3\u09f2\u09f3\u09f4\u09f5\u09f6\u09f7\u09f8\u09f9\u09fa"
    ),
    Language.GUJARATI: _indian_extension(_DANDAS + _digits(0x0AE6)),
    Language.HINDI: _indian_extension(
        _DANDAS
        + _digits(0x0966)
        + "\u0951\u0952\u0953\u0954\u0958\u0959\u095a\u095b\u095c\u095d\u095e\u095f\u0960\u0961\u0962\u0963\u0970\u0971"
    ),
    Language.KANNADA: _indian_extension(_DANDAS + _digits(0x0CE6) + "\u0cde\u0cf1\u0cf2"),
    Language.MALAYALAM: _indian_extension(
        _DANDAS + _digits(0x0D66) + "\u0d70\u0d71\u0d72\u0d73\u0d74\u0d75\u0d7a\u0d7b\u0d7c\u0d7d\u0d7e\u0d7f"
    ),
    Language.ORIYA: _indian_extension(_DANDAS + _digits(0x0B66) + "\u0b5c\u0b5d\u0b5f\u0b70\u0b71"),
    Language.PUNJABI: _indian_extension(_DANDAS + _digits(0x0A66) + "\u0a59\u0a5a\u0a5b\u0a5c\u0a5e\u0a75"),
    Language.TAMIL: _indian_extension(_DANDAS + _digits(0x0BE6) + "\u0bf3\u0bf4\u0bf5\u0bf6\u0bf7\u0bf8\u0bfa"),
    Language.TELUGU: _indian_extension("\0\0" + _digits(0x0C66) + "\u0c58\u0c59\u0c78\u0c79\u0c7a\u0c7b\u0c7c\u0c7d\u0c7e\u0c7f"),
    Language.URDU: _indian_extension(
        "\u0600\u0601"
        + _digits(0x06F0)
        + "\u060c\u060d\u060e\u060f\u0610\u0611\u0612\u0613\u0614\u061b\u061f\u0640\u0652\u0658\u066b\u066c"
        + "\u0672\u0673\u06cd\0\0\0\u06d4"
    ),
}


class _Tables:
    """One pair of tables, ready for both directions."""

    __slots__ = ("basic", "characters", "codes", "doubles", "extension")

    def __init__(self, locking: int, single: int) -> None:
        basic = _LOCKING.get(locking, BASIC)
        self.extension = _SINGLE.get(single, EXTENSION)
        self.basic = basic.replace("\0", " ").replace("\x1b", " ")
        codes: dict[str, bytes] = {}
        for septet in sorted(self.extension, reverse=True):
            codes[self.extension[septet]] = bytes((ESCAPE, septet))
        # Where both tables have the character the one-septet form wins.
        codes |= {character: bytes((septet,)) for septet, character in enumerate(basic) if character not in "\0\x1b"}
        self.codes = codes
        self.characters = frozenset(codes)
        self.doubles = "".join(character for character, code in codes.items() if len(code) == 2)


@lru_cache(maxsize=64)
def _tables(locking: int, single: int) -> _Tables:
    return _Tables(locking, single)


_DEFAULT = _tables(0, 0)
