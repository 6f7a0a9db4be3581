"""Characters, septets, octets. Clauses are of 3GPP TS 23.038."""

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modem import gsm7
from modem.gsm7 import BASIC, EXTENSION, Language, NationalTable, NotEncodable

ENCODABLE = sorted((set(BASIC) - {"\x1b"}) | set(EXTENSION.values()))

# (text, septets, source)
SEPTETS = [
    ("", "", "nothing"),
    ("@", "00", "§6.2.1"),
    ("§", "5F", "§6.2.1, C2"),
    ("¿", "60", "§6.2.1"),
    ("à", "7F", "§6.2.1"),
    ("Ç", "09", "§6.2.1: the capital, ç has no septet"),
    ("\n\r", "0A0D", "§6.2.1"),
    ("ΔΦΓΛΩΠΨΣΘΞ", "1012131415161718191A", "§6.2.1"),
    ("\f", "1B0A", "§6.2.1.1, C4"),
    ("^{}\\[~]|€", "1B141B281B291B2F1B3C1B3D1B3E1B401B65", "§6.2.1.1"),
    ("a€b", "611B6562", "§6.2.1.1"),
    ("åÅäÄöÖøØæÆßÉ", "0F0E7B5B7C5C0C0B1D1C1E1F", "§6.2.1"),
]

# (septets, octets, source)
PACKED = [
    ("", "", "nothing"),
    ("31", "31", "§6.1.2.1.1"),
    ("3132", "3119", "§6.1.2.1.1"),
    ("31323334353637", "31D98C56B3DD00", "§6.1.2.1.1: seven septets, seven spare bits"),
    ("3132333435363700", "31D98C56B3DD00", "§6.1.2.1.1: eight septets, the last @, C17"),
    ("68656C6C6F68656C6C6F", "E8329BFD4697D9EC37", "hellohello, the best known vector"),
    ("7F" * 8, "FF" * 7, "§6.1.2.1.1"),
]


@pytest.mark.parametrize(("text", "septets", "source"), SEPTETS)
def test_it_encodes_and_decodes_the_standard_tables(text: str, septets: str, source: str) -> None:
    assert bytes(gsm7.septets(text)).hex().upper() == septets
    assert gsm7.text(bytes.fromhex(septets)) == text


@pytest.mark.parametrize(("septets", "octets", "source"), PACKED)
def test_it_packs_and_unpacks(septets: str, octets: str, source: str) -> None:
    plain = list(bytes.fromhex(septets))
    assert gsm7.pack(plain) == bytes.fromhex(octets)
    assert gsm7.unpack(bytes.fromhex(octets), len(plain)) == plain


def test_the_default_alphabet_has_128_places_and_no_character_twice() -> None:
    assert len(BASIC) == 128
    assert len(set(BASIC)) == 128
    assert BASIC[0x1B] == "\x1b"
    assert not set(EXTENSION.values()) & set(BASIC)


@pytest.mark.parametrize("text", ["`", "ÿ", "Louÿs", "\x1b", "ê", "õ", "ç", "\u2019", "ą", "\t", "\u00a0", "😀"])
def test_it_refuses_what_has_no_septet(text: str) -> None:
    """C1, C3, C5, and the characters of S6 that force UCS-2."""
    assert not gsm7.is_encodable(text)
    with pytest.raises(NotEncodable):
        gsm7.septets(text)


def test_it_names_the_place_of_the_first_character_it_cannot_encode() -> None:
    with pytest.raises(NotEncodable) as caught:
        gsm7.septets("Prix: 5 € à l’entrée ’")
    assert (caught.value.position, caught.value.character) == (13, "’")
    assert pickle.loads(pickle.dumps(caught.value)).position == 13


@pytest.mark.parametrize(
    ("septets", "text", "source"),
    [
        ("1B61", "a", "§6.2.1.1: no character there, show the basic one, C21"),
        ("411B", "A ", "§6.2.1 note 1: an escape at the end is a space, C21"),
        ("1B1B", " ", "§6.2.1.1 note 1: reserved for another table, a space"),
        ("1B1B61", " a", "and what follows is itself again"),
        ("1B00", "@", "§6.2.1.1"),
        ("1B0D", "\r", "§6.2.1.1: CR2"),
    ],
)
def test_it_reads_odd_escapes_as_the_standard_says(septets: str, text: str, source: str) -> None:
    assert gsm7.text(bytes.fromhex(septets)) == text


def test_a_character_costs_one_or_two_septets_or_cannot_be_had() -> None:
    assert [gsm7.cost(character) for character in "aå€[|\f`ç"] == [1, 1, 2, 2, 2, 2, 0, 0]
    assert set(gsm7.doubles()) == set("\f^{}\\[~]|€")


@pytest.mark.parametrize("septets", [[128], [-1], [3, 255]])
def test_it_refuses_septets_of_more_than_seven_bits(septets: list[int]) -> None:
    with pytest.raises(ValueError):
        gsm7.pack(septets)
    with pytest.raises(ValueError):
        gsm7.text(septets)
    with pytest.raises(ValueError):
        gsm7.text([0x1B, 0x65, *septets])


def test_it_refuses_to_unpack_more_than_there_is() -> None:
    with pytest.raises(ValueError):
        gsm7.unpack(b"\x31\xd9", 3)
    with pytest.raises(ValueError):
        gsm7.unpack(b"\x31", 1, 2)


def naive_pack(septets: list[int], fill_bits: int) -> bytes:
    """§6.1.2.1 to the letter: bit after bit, lowest first."""
    bits = [0] * fill_bits + [septet >> bit & 1 for septet in septets for bit in range(7)]
    bits += [0] * (-len(bits) % 8)
    return bytes(sum(bits[at + bit] << bit for bit in range(8)) for at in range(0, len(bits), 8))


@given(st.lists(st.integers(0, 127), max_size=170), st.integers(0, 6))
def test_packing_is_that_of_the_standard_and_goes_both_ways(septets: list[int], fill_bits: int) -> None:
    octets = gsm7.pack(septets, fill_bits)
    assert octets == naive_pack(septets, fill_bits)
    assert gsm7.unpack(octets, len(septets), fill_bits) == septets
    assert gsm7.unpack(octets + b"\xff\xff", len(septets), fill_bits) == septets


@given(st.text(st.sampled_from(ENCODABLE)))
def test_text_survives(text: str) -> None:
    septets = gsm7.septets(text)
    assert gsm7.text(septets) == text
    assert len(septets) == sum(map(gsm7.cost, text))


@given(st.text())
def test_is_encodable_and_septets_agree(text: str) -> None:
    if gsm7.is_encodable(text):
        gsm7.septets(text)
        return
    with pytest.raises(NotEncodable) as caught:
        gsm7.septets(text)
    assert text[caught.value.position] == caught.value.character
    assert gsm7.is_encodable(text[: caught.value.position])


@given(st.lists(st.integers(0, 127)), st.integers(0, 255), st.integers(0, 255))
def test_every_row_of_septets_has_a_text_under_every_table(septets: list[int], locking: int, single: int) -> None:
    text = gsm7.text(septets, NationalTable(locking, single))
    assert "\x1b" not in text
    assert "\0" not in text


# National tables: (language of both tables, text, septets under both tables, source)
NATIONAL = [
    (Language.TURKISH, "şçğıİ €", "1D600C07402004", "§A.3.1"),
    (Language.PORTUGUESE, "êéúíóçÔôÁáªÇÀ∞", "0405060708090B0C0E0F12131415", "§A.3.3"),
    (Language.PORTUGUESE, "^\\€Ó|ÂâÊºÍÃÕÚÜ~ãõ`ü", "161718191A1C1D1E24405B5C5D5E607B7C7D7E", "§A.3.3"),
    (Language.HINDI, "नमस्ते", "2F424C5F2759", "§A.3.6"),
    (Language.BENGALI, "বাংলা", "4050014650", "§A.3.4"),
    (Language.TAMIL, "தமிழ்", "274251485F", "§A.3.11"),
    (Language.KANNADA, "ಡ", "24", "§A.3.7"),
    (Language.TELUGU, "తెలుగు", "275846531753", "§A.3.12"),
    (Language.URDU, "اردو", "00251A53", "§A.3.13"),
    (Language.HINDI, "१२", "1B1D1B1E", "§A.2.6"),
    (Language.URDU, "۔", "1B3F", "§A.2.13"),
    (Language.TELUGU, "€", "1B65", "§A.2.12"),
]


@pytest.mark.parametrize(("language", "text", "septets", "source"), NATIONAL)
def test_it_knows_the_national_tables(language: Language, text: str, septets: str, source: str) -> None:
    table = NationalTable(language, language)
    assert bytes(gsm7.septets(text, table)).hex().upper() == septets
    assert gsm7.text(bytes.fromhex(septets), table) == text


@pytest.mark.parametrize(
    ("language", "text", "septets"),
    [
        (Language.TURKISH, "ĞİŞçğış", "1B471B491B531B631B671B691B73"),
        (Language.SPANISH, "çÁÍÓÚáíóú", "1B091B411B491B4F1B551B611B691B6F1B75"),
        (Language.PORTUGUESE, "êçÔôÁáÊÀÍÓÚÃÕÂíóúãõâ", "1B051B091B0B1B0C1B0E1B0F1B1F1B411B491B4F1B551B5B1B5C1B61"
                                                       "1B691B6F1B751B7B1B7C1B7F"),
    ],
)  # fmt: skip
def test_it_knows_the_single_shift_tables_of_europe(language: Language, text: str, septets: str) -> None:
    """§A.2.1 to §A.2.3, C22. The basic table stays, so plain letters cost one septet still."""
    table = NationalTable(single=language)
    assert bytes(gsm7.septets(text + "a", table)).hex().upper() == septets + "61"
    assert gsm7.text(bytes.fromhex(septets + "61"), table) == text + "a"
    assert {gsm7.cost(character, table) for character in text} == {2}


@pytest.mark.parametrize("locking", list(Language))
@pytest.mark.parametrize("single", list(Language))
def test_every_character_of_every_table_survives(locking: Language, single: Language) -> None:
    table = NationalTable(locking, single)
    characters = list(gsm7._tables(locking, single).codes)
    assert len(characters) > 110
    assert gsm7.text(gsm7.septets("".join(characters), table), table) == "".join(characters)
    assert all(unicodedata.name(c, "") or c in "\n\r\f" for c in characters)
    assert " " in characters
    assert set("\n\r0123456789abcdefghijklmnopqrstuvwxyz") <= set(characters)


def test_a_reserved_language_reads_as_the_default() -> None:
    assert gsm7.text([0x04, 0x1B, 0x65], NationalTable(99, 200)) == "è€"


def test_a_table_announces_itself() -> None:
    """TS 23.040 §9.2.3.24.15 and .16."""
    assert NationalTable().elements == ()
    assert NationalTable(1, 2).elements == ((0x24, b"\x02"), (0x25, b"\x01"))
