"""Which tty is whose, on made-up machines below a root directory."""

import os
from pathlib import Path

import pytest

from modem import discovery
from modem.discovery import Found, ask_imei, candidates, find, sticks, ttys, without_port
from modem.errors import PortUnavailable
from tests.modem.scripted import FastClock, ScriptedModem

FIRST, SECOND = "004999010640001", "004999010640002"


class Machine:
    """A /sys and /dev with sticks in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for directory in ("sys/class/tty", "sys/bus/usb/devices", "dev/serial/by-id", "dev/serial/by-path"):
            (root / directory).mkdir(parents=True)

    def plug(
        self,
        place: str,
        ids: tuple[str, str],
        ports: dict[int, str],
        *,
        triple: tuple[str, str, str] = ("ff", "ff", "ff"),
        by_id: str = "",
    ) -> None:
        """A stick at USB `place`; `ports`: interface number → tty name."""
        device = self.root / "sys/devices/platform/usb1" / place
        device.mkdir(parents=True)
        (device / "idVendor").write_text(ids[0] + "\n")
        (device / "idProduct").write_text(ids[1] + "\n")
        (self.root / "sys/bus/usb/devices" / place).symlink_to(device)
        for number, name in ports.items():
            interface = device / f"{place}:1.{number}"
            (interface / name).mkdir(parents=True)
            facts = {"bInterfaceNumber": f"{number:02x}", "bInterfaceClass": triple[0]}
            facts |= {"bInterfaceSubClass": triple[1], "bInterfaceProtocol": triple[2]}
            for fact, text in facts.items():
                (interface / fact).write_text(text + "\n")
            node = self.root / "sys/class/tty" / name
            node.mkdir()
            (node / "device").symlink_to(interface / name)
            tty = self.root / "dev" / name
            tty.touch()
            (self.root / "dev/serial/by-path" / f"usb-{place}:1.{number}").symlink_to(tty)
            if by_id:
                link = self.root / "dev/serial/by-id" / f"{by_id}-if{number:02x}"
                if not link.exists():
                    link.symlink_to(tty)

    def dev(self, name: str) -> str:
        return str(self.root / "dev" / name)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def asking(answers: dict[str, str]) -> tuple[list[str], "Ask"]:
    asked: list[str] = []
    return asked, Ask(asked, answers)


class Ask:
    def __init__(self, asked: list[str], answers: dict[str, str]) -> None:
        self.asked, self.answers = asked, answers

    def __call__(self, path: str) -> str | None:
        self.asked.append(Path(path).name)
        return self.answers.get(Path(path).name)


def test_ttys_are_grouped_by_stick_with_the_at_port_first(machine: Machine) -> None:
    machine.plug("1-1", ("2c7c", "0125"), {0: "ttyUSB0", 1: "ttyUSB1", 2: "ttyUSB2", 3: "ttyUSB3"})
    machine.plug("1-2", ("1e0e", "9011"), {2: "ttyUSB4", 4: "ttyUSB5", 5: "ttyUSB6"})
    (machine.root / "sys/class/tty/ttyS0").mkdir()
    (machine.root / "sys/class/tty/tty1").mkdir()
    groups = sticks(ttys(machine.root))
    assert [[Path(tty.path).name for tty in stick.ttys] for stick in groups] == [
        ["ttyUSB2", "ttyUSB3", "ttyUSB0", "ttyUSB1"],
        ["ttyUSB5", "ttyUSB4", "ttyUSB6"],
    ]
    assert groups[0].ttys[0].by_path.endswith("usb-1-1:1.2")


def test_huawei_is_read_by_its_interface_triple(machine: Machine) -> None:
    machine.plug("1-1", ("12d1", "1506"), {0: "ttyUSB0"}, triple=("ff", "02", "01"))
    machine.plug("1-2", ("12d1", "1506"), {3: "ttyUSB1"}, triple=("ff", "02", "02"))
    ranks = {Path(tty.path).name: tty.rank for tty in ttys(machine.root)}
    assert ranks["ttyUSB1"] < ranks["ttyUSB0"]


def test_a_machine_without_sys_has_no_ttys(tmp_path: Path) -> None:
    assert ttys(tmp_path) == ()
    assert without_port(tmp_path) == ()


def test_a_named_port_without_an_imei_is_taken_at_its_word(machine: Machine) -> None:
    machine.plug("1-1", ("2c7c", "0125"), {2: "ttyUSB2"})
    asked, ask = asking({})
    path = machine.dev("ttyUSB2")
    assert find(path, None, ask, root=machine.root) == Found(path, None, path)
    assert asked == []


def test_a_missing_named_port_is_told(machine: Machine) -> None:
    with pytest.raises(PortUnavailable, match="no such device"):
        find(machine.dev("ttyUSB2"), None, asking({})[1], root=machine.root)


def test_auto_takes_the_first_stick_that_answers(machine: Machine) -> None:
    machine.plug("1-1", ("0403", "6001"), {0: "ttyUSB0"})
    machine.plug("1-2", ("2c7c", "0125"), {2: "ttyUSB2", 3: "ttyUSB3"})
    asked, ask = asking({"ttyUSB2": FIRST, "ttyUSB3": FIRST})
    found = find("auto", None, ask, root=machine.root)
    assert (Path(found.path).name, found.imei) == ("ttyUSB2", FIRST)
    assert found.stable.endswith("usb-1-2:1.2")
    assert asked == ["ttyUSB0", "ttyUSB2"]


def test_auto_leaves_the_sticks_of_others_alone(machine: Machine) -> None:
    machine.plug("1-1", ("2c7c", "0125"), {2: "ttyUSB2", 3: "ttyUSB3"})
    machine.plug("1-2", ("2c7c", "0125"), {2: "ttyUSB6"})
    asked, ask = asking({"ttyUSB2": FIRST, "ttyUSB3": FIRST, "ttyUSB6": SECOND})
    found = find("auto", None, ask, root=machine.root, taken=frozenset({FIRST}))
    assert found.imei == SECOND
    assert asked == ["ttyUSB2", "ttyUSB6"]
    asked.clear()
    find("auto", None, ask, root=machine.root, taken=frozenset({machine.dev("ttyUSB2"), FIRST}))
    assert "ttyUSB2" not in asked


def test_a_renumbered_stick_is_found_by_its_imei(machine: Machine) -> None:
    """The old ttyUSB2 was still held open, so the stick came back as ttyUSB3 [G#198]."""
    machine.plug("1-1", ("2c7c", "0125"), {2: "ttyUSB3"})
    _, ask = asking({"ttyUSB3": FIRST})
    assert find(machine.dev("ttyUSB2"), FIRST, ask, root=machine.root).path == machine.dev("ttyUSB3")


def test_twins_that_share_a_by_id_name_are_told_apart_by_imei(machine: Machine) -> None:
    machine.plug("1-1", ("12d1", "1506"), {2: "ttyUSB0"}, by_id="usb-HUAWEI_Mobile")
    machine.plug("1-2", ("12d1", "1506"), {2: "ttyUSB1"}, by_id="usb-HUAWEI_Mobile")
    by_id = str(machine.root / "dev/serial/by-id/usb-HUAWEI_Mobile-if02")
    asked, ask = asking({"ttyUSB0": FIRST, "ttyUSB1": SECOND})
    assert find(by_id, SECOND, ask, root=machine.root).path == machine.dev("ttyUSB1")
    assert asked == ["ttyUSB0", "ttyUSB1"]


def test_the_place_remembered_is_asked_first(machine: Machine) -> None:
    machine.plug("1-1", ("2c7c", "0125"), {2: "ttyUSB0"})
    machine.plug("1-2", ("2c7c", "0125"), {2: "ttyUSB1"})
    known = str(machine.root / "dev/serial/by-path/usb-1-2:1.2")
    asked, ask = asking({"ttyUSB0": FIRST, "ttyUSB1": SECOND})
    find("auto", SECOND, ask, root=machine.root, known=known)
    assert asked == ["ttyUSB1"]


def test_a_stick_that_is_not_there_is_told_with_what_was_looked_at(machine: Machine) -> None:
    machine.plug("1-1", ("2c7c", "0125"), {2: "ttyUSB0"})
    machine.plug("1-3", ("12d1", "14db"), {})
    with pytest.raises(PortUnavailable) as unavailable:
        find("auto", SECOND, asking({"ttyUSB0": FIRST})[1], root=machine.root)
    assert SECOND in unavailable.value.reason
    assert FIRST in unavailable.value.reason
    assert "HiLink" in unavailable.value.reason


def test_nothing_plugged_in_is_told(machine: Machine) -> None:
    with pytest.raises(PortUnavailable, match="no serial device"):
        find("auto", None, asking({})[1], root=machine.root)


def test_a_path_that_is_no_usb_tty_is_asked_as_it_is(machine: Machine) -> None:
    with ScriptedModem({"AT+CGSN": b"\r\n004999010640001\r\n\r\nOK\r\n"}) as far_end:
        link = machine.root / "modem"
        os.symlink(far_end.port, link)
        assert [tty.path for tty in candidates(str(link), machine.root)] == [str(link)]
        found = find(str(link), FIRST, lambda path: ask_imei(path, FastClock(5)), root=machine.root)
        assert found == Found(str(link), FIRST, str(link))
        assert far_end.heard == ["\x1b", "AT", "AT+CGSN"]


def test_a_port_without_a_modem_has_no_imei() -> None:
    with ScriptedModem(default=None) as far_end:
        assert ask_imei(far_end.port, FastClock(40)) is None
    assert ask_imei("/nonexistent") is None


def test_every_rank_is_reachable() -> None:
    assert all(interfaces for interfaces in discovery._AT_INTERFACES.values())
