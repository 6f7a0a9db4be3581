"""pdu decode, pdu encode: every field of an SMS PDU by its 3GPP name (TS 23.040 §9.2)."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click


@click.group()
def pdu() -> None:
    """SMS PDUs: what modems say in hex, in words and back."""


@pdu.command("decode")
@click.argument("hex_digits", metavar="HEX", nargs=-1, required=True)
@click.option(
    "--smsc/--tpdu",
    "with_smsc",
    default=None,
    help="HEX begins with the SMSC's address, or is the bare TPDU (default: by looking).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per PDU, on a line of its own.")
def decode(hex_digits: tuple[str, ...], with_smsc: bool | None, as_json: bool) -> int:
    """Take PDUs apart. HEX is what a modem prints or is given; - reads one per line from stdin.

    Exit code 1 where one of them is no PDU.
    """
    failed = False
    for number, digits in enumerate(_items(hex_digits)):
        told = _decoded(digits, with_smsc)
        failed = failed or "error" in told
        if as_json:
            click.echo(json.dumps(told, ensure_ascii=False))
        elif "error" in told:
            click.echo(f"{digits}: {told['error']}", err=True)
        else:
            if number:
                click.echo()
            _print_fields(told, "")
    return 1 if failed else 0


def _items(arguments: tuple[str, ...]) -> Iterator[str]:
    if arguments == ("-",):
        for line in sys.stdin:
            if line.strip():
                yield line.strip()
    else:
        yield from arguments


def _decoded(digits: str, with_smsc: bool | None) -> dict[str, Any]:
    from modem.pdu import PduError, describe, split_smsc

    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        return {"error": "these are not hex digits, two for each octet"}
    readings: list[tuple[str | None, bytes]] = []
    complaints: list[str] = []
    if with_smsc is not False:
        try:
            readings.append(split_smsc(octets))
        except PduError as error:
            complaints.append(str(error))
    if with_smsc is not True:
        readings.append((None, octets))
    best: dict[str, Any] | None = None
    for smsc, tpdu in readings:
        try:
            # The two type bits mean other TPDUs in each direction; 01 is a message only on its way out.
            fields = describe(tpdu, from_network=not tpdu or tpdu[0] & 3 != 1)
        except PduError as error:
            complaints.append(str(error))
            continue
        told = {**({} if smsc is None else {"SMSC": smsc}), **fields}
        if not fields["surplus octets"]:
            return told
        best = best or told
    return best or {"error": complaints[0] if complaints else "there is nothing to decode"}


def _print_fields(fields: dict[str, Any], indent: str) -> None:
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        if isinstance(value, dict):
            click.echo(f"{indent}{name}")
            _print_fields(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                words = ", ".join(f"{key} {inner}" for key, inner in item.items())
                click.echo(f"{indent}{name.ljust(width)}  {words}")
        else:
            click.echo(f"{indent}{name.ljust(width)}  {_word(value)}".rstrip())


def _word(value: Any) -> str:
    if value is None or value == [] or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


@pdu.command("encode")
@click.argument("number", required=False)
@click.argument("text", required=False)
@click.option("--alphabet", type=click.Choice(["auto", "gsm7", "ucs2"]), default="auto", show_default=True)
@click.option(
    "--reference", type=click.IntRange(0, 65535), default=0, help="Concatenation reference, where there are several parts."
)
@click.option("--reference-bits", type=click.Choice(["8", "16"]), default="8", show_default=True)
@click.option("--report/--no-report", default=True, help="Ask for a status report (default: yes).")
@click.option("--validity", type=click.IntRange(5, 635040), metavar="MINUTES", help="How long the network shall try.")
@click.option("--flash", is_flag=True, help="Class 0: shown at once, kept nowhere.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per message, on a line of its own.")
def encode(number: str | None, text: str | None, as_json: bool, **options: Any) -> int:
    """Make the SMS-SUBMIT PDUs of TEXT to NUMBER, one line per part: what AT+CMGS takes, SMSC address (00) in front.

    With - for NUMBER, reads one JSON object per line from stdin: {"to": "+46701740605", "text": "Hej"}.
    """
    if number == "-" and text is None:
        return _encode_lines(options, as_json)
    if number is None or text is None:
        raise click.UsageError("NUMBER and TEXT are needed, such as: ringpost pdu encode +46701740605 Hej")
    told = _encoded(number, text, options)
    _print_encoded(told, as_json)
    return 1 if "error" in told else 0


def _encode_lines(options: dict[str, Any], as_json: bool) -> int:
    failed = False
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            told = _encoded(str(item["to"]), str(item["text"]), options)
        except (ValueError, KeyError, TypeError):
            told = {"error": 'this line is not a JSON object with "to" and "text"'}
        failed = failed or "error" in told
        _print_encoded(told, as_json)
    return 1 if failed else 0


def _print_encoded(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    elif "error" in told:
        click.echo(told["error"], err=True)
    else:
        for part in told["parts"]:
            click.echo(part["pdu"])


def _encoded(number: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
    from modem.pdu import Address, Concat, Submit
    from modem.segments import Alphabet, TooManyParts, split

    alphabet = None if options["alphabet"] == "auto" else Alphabet(options["alphabet"])
    bits = int(options["reference_bits"])
    try:
        pieces = split(text, alphabet=alphabet, reference_bits=bits)
        parts = []
        for piece in pieces:
            concat = None
            if piece.total > 1:
                concat = Concat(options["reference"], piece.total, piece.number, 8 if bits == 8 else 16)
            tpdu = Submit(
                destination=Address.parse(number),
                text=piece.text,
                alphabet=piece.alphabet,
                concat=concat,
                report=options["report"],
                validity_min=options["validity"],
                message_class=0 if options["flash"] else None,
            ).encode()
            parts.append({"pdu": "00" + tpdu.hex().upper(), "length": len(tpdu), "text": piece.text})
    except (TooManyParts, ValueError) as error:
        return {"error": str(error)}
    return {"to": number, "alphabet": str(pieces[0].alphabet), "parts": parts}
