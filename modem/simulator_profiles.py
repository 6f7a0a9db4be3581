"""How the simulated sticks differ: one row per family, only what a program at the other end can notice.

Source: the families, transcripts and quirks collected in the project's field notes (modems.md §1, §2). This table is
the simulator's own, on purpose not shared with `modem.profiles`: a peer that reads the driver's table agrees with its
errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Ranges = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class StickProfile:
    """One family. `banner` lines come after a boot, each with its delay in seconds; `{cpin}` is the SIM's state."""

    name: str
    manufacturer: str = "Ringpost"
    model: str = "Simulated modem"
    revision: str = "1.0"
    banner: tuple[tuple[float, str], ...] = ((0.0, "RDY"), (0.0, "+CFUN: 1"), (0.0, "+CPIN: {cpin}"))
    storages: tuple[tuple[str, int], ...] = (("SM", 20), ("ME", 100), ("SR", 20))
    first_index: int = 1
    cnmi: Ranges = ("0-2", "0-3", "0-3", "0-2", "0-1")
    cnmi_refusal: str = "cms 303"
    csms: str = "0,1"
    empty_slot: str = "error"  # CMGR on an empty slot: "error" (+CMS ERROR: 321), "ok" (OK alone), "zero" (+CMGR: 0,,0)
    cpms_arguments: tuple[int, ...] = (1, 2, 3)
    cds_comma: bool = False  # ZTE prints "+CDS: ,<len>"
    cdsi_lie: bool = False  # Quectel stores the report in SR and announces "SM",0
    cmms_two: bool = True  # Huawei E1752 answers AT+CMMS=2 with +CMS ERROR: 500
    cmgf: int = 0
    full_line: str | None = None
    chatter: tuple[str, ...] = field(default=())  # what this family prints unasked; the default lines of the fault "stray"
    pin_counter: tuple[str, str] = ("+CPINR", "+CPINR: SIM PIN,{pin},3\n+CPINR: SIM PUK,{puk},10")
    reset_commands: tuple[str, ...] = ()


_GENERIC = StickProfile("generic", chatter=("^RSSI:17", "^MODE:5,4", "+ZUSIMR:2"))

_ALL = (
    _GENERIC,
    StickProfile(
        "quectel",
        manufacturer="Quectel",
        model="EC25",
        revision="EC25EFAR06A03M4G",
        banner=(
            (0.0, "RDY"),
            (1.0, "+CPIN: {cpin}"),
            (1.0, "+QUSIM: 1"),
            (1.0, "+CFUN: 1"),
            (2.0, "+QIND: SMS DONE"),
            (2.5, "+QIND: PB DONE"),
        ),
        storages=(("SM", 20), ("ME", 255), ("SR", 20)),
        first_index=0,
        empty_slot="ok",
        cdsi_lie=True,
        chatter=("+QIND: PB DONE", '+QGPSURC: "x"'),
        pin_counter=("+QPINC", '+QPINC: "SC",{pin},{puk}'),
    ),
    StickProfile(
        "simcom",
        pin_counter=("+SPIC", "+SPIC: {pin},{puk},3,10"),
        manufacturer="SIMCOM INCORPORATED",
        model="SIMCOM_SIM7600E-H",
        revision="LE20B03SIM7600M22",
        banner=((0.0, "RDY"), (0.0, "+CPIN: {cpin}"), (1.0, "SMS DONE"), (2.0, "PB DONE")),
        chatter=("+CNSMOD: 8", "+CSQ: 17,99", '+NITZ: "x"'),
        reset_commands=("+CRESET",),
    ),
    StickProfile(
        "a7670",
        pin_counter=("+SPIC", "+SPIC: {pin},{puk},3,10"),
        manufacturer="INCORPORATED",
        model="A7670E-FASE",
        revision="A7670M7_V1.11.1",
        banner=(
            (0.0, "*ATREADY: 1"),
            (0.0, "+CPIN: {cpin}"),
            (1.0, "SMS DONE"),
            (1.0, "+CGEV: NW REATTACH"),
            (1.5, "+CGEV: EPS PDN ACT 1"),
            (2.0, "PB DONE"),
        ),
        storages=(("SM", 20), ("ME", 50)),
        cnmi=("0-2", "0-3", "0,2", "0", "0-1"),
        cmgf=1,
        full_line="+SMS FULL",
        chatter=("+CGEV: EPS PDN ACT 1",),
        reset_commands=("+CRESET",),
    ),
    StickProfile(
        "sim800",
        pin_counter=("+SPIC", "+SPIC: {pin},{puk},3,10"),
        manufacturer="SIMCOM_Ltd",
        model="SIMCOM_SIM800L",
        revision="1418B05SIM800L24",
        banner=((0.0, "RDY"), (0.0, "+CFUN: 1"), (0.0, "+CPIN: {cpin}"), (1.0, "Call Ready"), (1.0, "SMS Ready")),
        storages=(("SM", 20), ("ME", 10)),
        cnmi=("0-3", "0-3", "0,2", "0,1", "0,1"),
        cnmi_refusal="plain",
        chatter=("UNDER-VOLTAGE WARNNING",),
    ),
    StickProfile(
        "huawei",
        manufacturer="huawei",
        model="E3531",
        revision="21.318.15.00.00",
        banner=((0.0, "^SIMST:1"), (0.0, "^SRVST:2"), (0.5, "^MODE:5,4"), (0.5, "^RSSI:14")),
        storages=(("SM", 20), ("ME", 100), ("SR", 10)),
        first_index=0,
        empty_slot="ok",
        cmms_two=False,
        full_line='^SMMEMFULL: "SM"',
        chatter=("^BOOT:35323129,0,0,0,26", "^RSSI:14", "^DSFLOWRPT:0000000A,0,0,0,0,0,0"),
        pin_counter=("^CPIN", "^CPIN: {state},{left},{puk},{pin},10,3"),
        reset_commands=("^RESET",),
    ),
    StickProfile(
        "brovi",
        manufacturer="ZOWEE",
        model="E3372-325",
        revision="3.0.2.60",
        banner=((0.0, "^SIMST:1"), (0.0, "^SRVST:2")),
        storages=(("SM", 20), ("ME", 23)),
        first_index=0,
        empty_slot="ok",
        cpms_arguments=(3,),
        chatter=("^RSSI:14", '^HCSQ:"LTE",50,45,120,20'),
        pin_counter=("^CPIN", "^CPIN: {state},{left},{puk},{pin},10,3"),
        reset_commands=("^RESET",),
    ),
    StickProfile(
        "zte",
        pin_counter=("+ZPINPUK", "+ZPINPUK: {pin},{puk}"),
        manufacturer="ZTE CORPORATION",
        model="MF190",
        revision="BD_P673A2V1.0.1B05",
        banner=((0.0, "+ZUSIMR:2"), (0.5, '+ZPASR: "UMTS"'), (0.5, '+ZDONR: "Simtel",240,99,"CS_PS"')),
        cds_comma=True,
        chatter=("+ZUSIMR:2", '+ZPASR: "UMTS"', "+ZPSTM"),
    ),
    StickProfile(
        "telit",
        pin_counter=("#PCT", "#PCT: {left}"),
        manufacturer="Telit",
        model="LE910C1-EU",
        revision="25.20.226",
        banner=((0.0, "#QSS: 1"), (0.5, "#QSS: 2"), (1.5, "#QSS: 3")),
        chatter=("#QSS: 3",),
    ),
    StickProfile(
        "cinterion",
        pin_counter=("^SPIC", "^SPIC: {pin}"),
        manufacturer="Cinterion",
        model="PLS62-W",
        revision="REVISION 02.000",
        banner=((0.0, "^SYSSTART"), (0.5, "+CIEV: simstatus,1")),
        storages=(("SM", 20), ("ME", 100)),
        cnmi=("0-2", "0-1", "0,2", "0-2", "1"),
        chatter=("+CIEV: rssi,3",),
    ),
    StickProfile(
        "ublox",
        pin_counter=("+UPINCNT", "+UPINCNT: {pin},3,{puk},10"),
        manufacturer="u-blox",
        model="TOBY-R200",
        revision="30.34",
        banner=((0.0, "+READY"), (0.5, "+UUSTS: 0,1")),
        storages=(("SM", 20), ("ME", 23)),
        chatter=("+UUSTS: 0,1", "+UMWI: 0,1"),
    ),
)

PROFILES: dict[str, StickProfile] = {profile.name: profile for profile in _ALL}
