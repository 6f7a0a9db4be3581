"""Counting and cutting. Figures of requirement S6; clauses are of 3GPP TS 23.040."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modem import gsm7, segments
from modem.gsm7 import Language, NationalTable, NotEncodable
from modem.pdu import Address, Concat, Submit
from modem.segments import Alphabet, Forcing, TooManyParts, analyse, capacity, join, split, transliterate

FAMILY = "👨‍👩‍👧‍👦"  # four people and three joiners: 11 UTF-16 units
FLAG = "🇸🇪"
WAVE = "👋🏽"

# (text, alphabet, units, parts, room)
COUNTS = [
    ("", "gsm7", 0, 1, 160),
    ("å" * 160, "gsm7", 160, 1, 0),
    ("a" * 161, "gsm7", 161, 2, 145),
    ("a" * 306, "gsm7", 306, 2, 0),
    ("a" * 307, "gsm7", 307, 3, 152),
    ("€" * 80, "gsm7", 160, 1, 0),
    ("€" * 81, "gsm7", 162, 2, 153 - 10),  # 76 euros fill 152 of 153 septets, 5 are left over
    ("[]{}~^|\\" * 10, "gsm7", 160, 1, 0),
    ("a" * 159 + "€", "gsm7", 161, 2, 145),
    ("a" * 152 + "€" + "b" * 152, "gsm7", 306, 3, 152),  # the pair does not fit into the last septet of part 1
    ("ą" * 70, "ucs2", 70, 1, 0),
    ("ą" * 71, "ucs2", 71, 2, 63),
    ("ą" * 134, "ucs2", 134, 2, 0),
    ("ą" * 135, "ucs2", 135, 3, 66),
    ("😀" * 35, "ucs2", 70, 1, 0),
    ("😀" * 36, "ucs2", 72, 2, 67 - 6),
    ("😀" * 66, "ucs2", 132, 2, 1),
    ("😀" * 67, "ucs2", 134, 3, 65),
    ("ê", "ucs2", 1, 1, 69),
    ("õ", "ucs2", 1, 1, 69),
    ("ç", "ucs2", 1, 1, 69),
    ("It’s", "ucs2", 4, 1, 66),
    ("§" * 160, "gsm7", 160, 1, 0),  # C2
    ("`" * 71, "ucs2", 71, 2, 63),  # C1
    ("ÿ", "ucs2", 1, 1, 69),  # C3
    ("\f" * 80, "gsm7", 160, 1, 0),  # C4
    ("\x1b", "ucs2", 1, 1, 69),  # C5
]

SOME_TEXT = st.one_of(
    st.text(max_size=400),
    st.text(st.sampled_from("aå€[]\\ \r\n"), max_size=700),
    st.text(st.sampled_from("aą😀é\u0301\u200d👩👧🇸🇪🏽\ufe0f\u20e3क्ष각각\r\n\u0600"), max_size=400),
    st.lists(st.sampled_from([FAMILY, FLAG, WAVE, "e\u0301", "a", "क्षि", "각", "\r\n"]), max_size=90).map("".join),
)


@pytest.mark.parametrize(("text", "alphabet", "units", "parts", "room"), COUNTS)
def test_it_counts_as_the_requirement_says(text: str, alphabet: str, units: int, parts: int, room: int) -> None:
    analysis = analyse(text)
    assert (analysis.alphabet, analysis.units, analysis.parts, analysis.room) == (alphabet, units, parts, room)
    assert len(split(text)) == parts


def test_capacities_are_those_of_the_standard() -> None:
    """§9.2.3.24.1 and .8: 160/153/152 septets, 70/67/66 units."""
    sizes = [
        [capacity(alphabet, concatenated=c, reference_bits=bits) for c, bits in ((False, 8), (True, 8), (True, 16))]
        for alphabet in (Alphabet.GSM7, Alphabet.UCS2)
    ]
    assert sizes == [[160, 153, 152], [70, 67, 66]]
    turkish = NationalTable(1, 1)
    assert capacity(Alphabet.GSM7, concatenated=False, table=turkish) == 152
    assert capacity(Alphabet.GSM7, concatenated=True, table=turkish) == 146
    assert capacity(Alphabet.GSM7, concatenated=False, table=NationalTable(single=2)) == 155
    with pytest.raises(ValueError):
        capacity(Alphabet.GSM7, concatenated=True, reference_bits=9)
    with pytest.raises(ValueError):
        analyse("a", reference_bits=32)


def test_a_16_bit_reference_costs_a_septet_of_each_part() -> None:
    """C7: with 160 septets of user data and a header of 7 octets a part would be 141 octets."""
    assert analyse("a" * 304, reference_bits=16).parts == 2
    assert analyse("a" * 305, reference_bits=16).parts == 3
    assert analyse("ą" * 132, reference_bits=16).parts == 2
    assert analyse("ą" * 133, reference_bits=16).parts == 3


def test_it_refuses_more_parts_than_a_reference_can_count() -> None:
    """C8."""
    longest = "a" * 255 * 153
    assert len(split(longest)) == 255
    with pytest.raises(TooManyParts) as caught:
        split(longest + "a")
    assert (caught.value.needed, caught.value.allowed) == (256, 255)
    assert analyse(longest + "a").parts == 256
    assert pickle.loads(pickle.dumps(caught.value)).needed == 256
    with pytest.raises(TooManyParts):
        split("a" * 161, max_parts=1)


def test_an_escape_pair_is_never_cut() -> None:
    first, second = split("a" * 152 + "€" * 20)
    assert (first.text, first.units) == ("a" * 152, 152)
    assert (second.text, second.units) == ("€" * 20, 40)


def test_a_surrogate_pair_is_never_cut() -> None:
    """C6, C20, and the emoji that libraries halve."""
    first, second = split("ą" * 66 + "😀" * 3)
    assert (first.units, second.units) == (66, 6)
    assert first.text == "ą" * 66


@pytest.mark.parametrize(
    "grapheme",
    [
        FAMILY,
        FLAG,
        WAVE,
        "e\u0301\u0323",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\r\n",
        "\u1100\u1161\u11a8",
        "क्षि",
        "กำ",
        "\u0600\u0661",
        "👩🏽‍🚀",
    ],
)
@pytest.mark.parametrize("before", range(55, 68))
def test_what_reads_as_one_character_stays_whole_where_it_fits(grapheme: str, before: int) -> None:
    text = "ą" * before + grapheme + "b" * 40
    assert any(grapheme in piece.text for piece in split(text))


def test_flags_are_cut_between_pairs_only() -> None:
    for lead in range(4):
        pieces = split("ą" * lead + FLAG * 40)
        assert all(piece.text.removeprefix("ą" * lead) == FLAG * (len(piece.text) // 2) for piece in pieces if lead == 0)
        assert all(piece.text.lstrip("ą").count("🇸") == piece.text.count("🇪") for piece in pieces)


def test_a_line_break_of_two_characters_stays_whole_in_gsm7_too() -> None:
    first, second = split("a" * 152 + "\r\n" + "b" * 20)
    assert (first.text, second.text) == ("a" * 152, "\r\n" + "b" * 20)


def test_a_grapheme_longer_than_a_part_is_cut_where_the_room_ends() -> None:
    zalgo = "a" + "\u0301" * 200
    pieces = split(zalgo)
    assert [piece.units for piece in pieces] == [67, 67, 67]
    assert join(pieces) == zalgo


def test_lone_surrogates_count_and_leave_as_replacement_characters() -> None:
    assert analyse("a\ud83d").units == 2
    assert split("a\ud83d")[0].text == "a\ufffd"
    assert split("\ud83d\ude00")[0].text == "😀"
    assert split("\ude00\ud83d")[0].text == "\ufffd\ufffd"


def test_an_alphabet_can_be_forced() -> None:
    assert analyse("a" * 71, alphabet=Alphabet.UCS2).parts == 2
    assert analyse("a", alphabet=Alphabet.UCS2).forcing == ()
    assert analyse("a", alphabet=Alphabet.GSM7).alphabet is Alphabet.GSM7
    with pytest.raises(NotEncodable):
        analyse("ą", alphabet=Alphabet.GSM7)
    with pytest.raises(NotEncodable):
        split("ą", alphabet=Alphabet.GSM7)


def test_it_tells_which_characters_force_ucs2_and_what_could_stand_for_them() -> None:
    assert analyse("Ok ’ą😀").forcing == (Forcing(3, "’", "'"), Forcing(4, "ą", "a"), Forcing(5, "😀", None))
    assert analyse("Ok").forcing == ()


def test_a_national_table_is_used_where_it_saves_a_part() -> None:
    turkish = NationalTable(single=Language.TURKISH)
    assert analyse("ş" * 70, table=turkish).alphabet is Alphabet.UCS2
    long = "Yarın sabah iş başı saat sekizde, lütfen onaylayın. " * 2
    analysis = analyse(long, table=turkish)
    assert (analysis.alphabet, analysis.parts, analysis.table) == (Alphabet.GSM7, 1, turkish)
    assert analyse(long).parts == 2
    assert analyse("a" * 200, table=turkish).table == gsm7.DEFAULT_TABLE
    assert split(long, table=turkish)[0].table == turkish


@settings(max_examples=400)
@given(SOME_TEXT, st.sampled_from([8, 16]), st.sampled_from([None, NationalTable(1, 1), NationalTable(6, 6)]))
def test_splitting_is_sound(text: str, bits: int, table: NationalTable | None) -> None:
    analysis = analyse(text, reference_bits=bits, table=table)
    pieces = split(text, reference_bits=bits, table=table, max_parts=10_000)
    assert analysis.parts == len(pieces)
    assert join(reversed(pieces)) == text
    assert [piece.number for piece in pieces] == list(range(1, len(pieces) + 1))
    assert analysis.units == sum(piece.units for piece in pieces)
    assert analysis.room == analysis.per_part - pieces[-1].units
    for piece in pieces:
        assert piece.total == len(pieces)
        assert 0 <= piece.units <= analysis.per_part
        concat = Concat(200, piece.total, piece.number, 8 if bits == 8 else 16) if len(pieces) in range(2, 256) else None
        tpdu = Submit(Address.parse("+46701740601"), piece.text, piece.alphabet, concat, table=piece.table, report=False).encode()
        assert len(tpdu) <= 1 + 1 + 8 + 1 + 1 + 1 + 140
        assert Submit.decode(tpdu).text == piece.text


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@settings(max_examples=300)
@given(st.lists(st.sampled_from([FAMILY, FLAG, WAVE, "e\u0301", "ą", "क्षि", "1\ufe0f\u20e3"]), max_size=90))
def test_no_grapheme_is_cut_and_no_room_is_given_away(graphemes: list[str]) -> None:
    """Against the obvious greedy filling, grapheme by grapheme."""
    text = "ą" + "".join(graphemes)
    expected = [""]
    limit = 70 if units(text) <= 70 else 67
    for grapheme in ["ą", *graphemes]:
        if units(expected[-1] + grapheme) > limit:
            expected.append("")
        expected[-1] += grapheme
    assert [piece.text for piece in split(text)] == expected


@given(st.text(st.sampled_from("ab€|\\å"), max_size=900))
def test_gsm7_parts_are_as_full_as_escape_pairs_allow(text: str) -> None:
    expected, used = [""], 0
    if sum(map(gsm7.cost, text)) > 160:
        for character in text:
            if used + gsm7.cost(character) > 153:
                expected.append("")
                used = 0
            expected[-1] += character
            used += gsm7.cost(character)
    else:
        expected = [text]
    assert [piece.text for piece in split(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“It’s” – he said…", '"It\'s" - he said...'),
        ("a\u00a0b\u2009c\td", "a b c d"),
        ("zażółć gęślą jaźń", "zazolc gesla jazn"),
        ("Louÿs, çà, ê, õ", "Louys, cà, e, o"),
        ("Őrült űr", "Örült ür"),
        ("Þór, œuvre, Łódź, straẞe", "Thor, oeuvre, Lodz, straSSe"),
        ("e\u0301", "é"),
        ("x\u0302", "x"),
        ("ﬁne ½ ™ № ２", "fine 1/2 TM No 2"),
        ("Ελ", "Eλ"),
        ("ǻ", "å"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("1\ufe0f\u20e3", "1"),
        ("hej 👋🏽", "hej 👋🏽"),
        (FAMILY, FAMILY),
        ("Привет", "Привет"),
        ("§€[ok]", "§€[ok]"),
        ("`x´", "'x'"),
        ("a\x07b", "ab"),
    ],
)
def test_it_transliterates_what_has_a_sensible_replacement(text: str, expected: str) -> None:
    assert transliterate(text) == expected


@given(st.text())
def test_transliteration_settles_and_offers_gsm7_characters_only(text: str) -> None:
    once = transliterate(text)
    assert transliterate(once) == once
    for character in set(text):
        stand_in = segments.replacement(character)
        assert stand_in is None or gsm7.is_encodable(stand_in)
