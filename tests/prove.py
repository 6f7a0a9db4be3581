"""`make prove`: the long proofs, each with its short form in the tests.

    kills      100 SIGKILLs at random points while 200 messages go out; with EF_SMSS, without, without any evidence
    fleet      the same with two gateways of two modems each on one PostgreSQL
    hostile    a million hostile PDUs: nothing but PduError ever

`python -m tests.prove [NAME …] [--seed N]`; ends with code 1 when a promise did not hold.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import private_postgresql
from tests.crash import Outcome, prove
from tests.modem.hostile import hostile


def kills(seed: int) -> bool:
    """One gateway, one modem."""
    fine = True
    for smss, reports in ((True, True), (False, True), (False, False)):
        with tempfile.TemporaryDirectory(prefix="ringpost-prove-") as home:
            outcome = prove(Path(home), kills=100, messages=200, seed=seed, smss=smss, reports=reports)
        fine = told(f"EF_SMSS {'on' if smss else 'off'}, status reports {'on' if reports else 'off'}", outcome) and fine
    return fine


def fleet(seed: int) -> bool:
    """Two gateways of two modems each."""
    with private_postgresql() as server, tempfile.TemporaryDirectory(prefix="ringpost-prove-") as home:
        server.execute("CREATE DATABASE prove")
        outcome = prove(Path(home), kills=100, messages=400, seed=seed, gateways=2, sticks=2, url=server.url("prove"))
    return told("2 gateways × 2 modems, PostgreSQL", outcome)


def million(seed: int) -> bool:
    """Hostile PDUs."""
    hostile(seed, 1_000_000)
    print("hostile PDUs: 1,000,000 decoded or refused with PduError, nothing else", flush=True)
    return True


def told(name: str, outcome: Outcome) -> bool:
    """Print what was found; whether it held."""
    print(f"{name}: {outcome}", flush=True)
    for kind in ("lost", "doubled", "unmarked", "disorder", "books"):
        for line in getattr(outcome, kind):
            print(f"  {kind}: {line}", flush=True)
    return outcome.holds


PROOFS: dict[str, Callable[[int], bool]] = {"kills": kills, "fleet": fleet, "hostile": million}


def main() -> int:
    """Run the proofs named, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.prove", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*PROOFS, []], metavar="NAME")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    fine = True
    for name in options.names or PROOFS:
        started = time.monotonic()
        fine = PROOFS[name](options.seed) and fine
        print(f"  ({name}: {time.monotonic() - started:.0f} s)", flush=True)
    print("Every promise held." if fine else "A PROMISE WAS BROKEN.")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
