"""`python -m benchmarks [--quick] [--only NAME …]`: measure, print the table of design.md §9, write results.json."""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import box, codec, figures, http, idle, importing, pages, radio, store

GROUPS: dict[str, Callable[[Path, bool], Iterator[figures.Figure]]] = {
    "radio": radio.measure,
    "http": http.measure,
    "import": importing.measure,
    "store": store.measure,
    "idle": idle.measure,
    "codec": codec.measure,
    "pages": pages.measure,
}
RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    """Run the groups one after another; 1 where one of them broke (a missed goal is a result, not a failure)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what Ringpost must reach.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, 90 seconds")
    parser.add_argument("--only", action="append", choices=GROUPS, help="only this group (may be given more than once)")
    parser.add_argument("--page-size", type=int, help="make SQLite's files with another page size (an experiment: not kept)")
    options = parser.parse_args()
    box.PAGE_SIZE = options.page_size
    measured: dict[str, list[figures.Figure]] = {}
    broken: dict[str, str] = {}
    began, groups = time.monotonic(), {}
    with figures.working_directory() as directory:
        machine = figures.machine(directory)
        print(_headline(machine), flush=True)
        for name in options.only or GROUPS:
            at, others = time.monotonic(), figures.others(0.5)
            print(f"… {name} (others keep {others:.1f} cores busy)", flush=True)
            try:
                measured[name] = []
                for figure in GROUPS[name](directory, options.quick):
                    measured[name].append(figure)
            except Exception as error:
                traceback.print_exc()
                broken[name] = f"{type(error).__name__}: {error}"[:500]
            groups[name] = {"seconds": round(time.monotonic() - at, 1), "busy_with_others": round(others, 2)}
    found = [figure for own in measured.values() for figure in own]
    print()
    figures.print_table(found)
    missed = [figure.name for figure in found if figure.ratio is not None and figure.ratio < 1]
    print(f"\n{time.monotonic() - began:.0f} s; missed: {', '.join(missed) or 'nothing'}; ratio: times better than the goal")
    for name, why in broken.items():
        print(f"BROKEN {name}: {why}")
    if options.page_size is None:
        _keep(machine, options.quick, groups, measured, broken)
    return 1 if broken else 0


def _headline(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, kernel {machine['kernel']}, "
        f"Python {machine['python']}, SQLite {machine['sqlite']}, {machine['filesystem']} with fdatasync "
        f"{machine['fsync_ms']} ms, commit {machine['commit']}, load by {http.generator()}; "
        f"others keep {machine['busy_with_others']} cores busy"
    )


def _keep(
    machine: dict[str, Any],
    quick: bool,
    groups: dict[str, Any],
    measured: dict[str, list[figures.Figure]],
    broken: dict[str, str],
) -> None:
    """Write results.json; groups that were not run keep their last figures; quick ones replace no full ones."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    kept = json.loads(RESULTS.read_text())["groups"] if RESULTS.exists() else {}
    for name, facts in groups.items():
        if quick and name in kept and not kept[name]["quick"]:
            continue
        own = [figure.as_dict() for figure in measured[name]]
        kept[name] = {"at": at, "quick": quick, **facts, "machine": machine, "broken": broken.get(name), "figures": own}
    RESULTS.write_text(json.dumps({"written_at": at, "groups": kept}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
