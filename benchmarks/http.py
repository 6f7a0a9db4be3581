"""Durable accepts over HTTP: what comes in through eight connections, counted in the store afterwards."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.box import CANDIDATES, TEXT, Box, cpu_s, family
from benchmarks.figures import ROOT, Figure, median, spread

CONNECTIONS = 8
_WRK = """
local n, mark = 0, "%(mark)s"
local head = {["Authorization"] = "Bearer %(key)s", ["Content-Type"] = "application/json"}
local one = '{"user":"eva@acme.example","case_ref":"job-7","kind":"contact","text":%(text)s,"candidate_ref":"many-%%d"}'
request = function()
  n = n + 1
  head["Idempotency-Key"] = mark .. n
  local body
  if %(batch)d == 1 then
    body = string.format(one, (n * 7) %% %(candidates)d)
  else
    local items = {}
    for i = 1, %(batch)d do items[i] = string.format(one, (n * 7 + i) %% %(candidates)d) end
    body = '{"messages":[' .. table.concat(items, ",") .. ']}'
  end
  return wrk.format("POST", "%(path)s", head, body)
end
"""


def generator() -> str:
    """Which load generator is used: wrk where it is installed, else our own, which takes more of the machine."""
    return "wrk" if shutil.which("wrk") else "benchmarks.load"


def measure(directory: Path, quick: bool) -> Iterator[Figure]:
    """All figures of this group."""
    runs, seconds = (2, 1) if quick else (4, 3)
    for processes in (1, 2):
        with Box(directory / f"accepts-{processes}", processes=processes) as box:
            web = box.web()
            load(box, 1, 1, "warm")
            for batch, what, goal in ((1, "one by one", 1_200), (1_000, "batches of 1,000", 10_000)):
                before, stored = cpu_s(family(web)), box.count()
                rates = [load(box, batch, seconds, f"load{batch}-{run}") for run in range(runs)]
                each = (cpu_s(family(web)) - before) / (box.count() - stored) * 1e6
                name = f"{'accepts' if batch == 1 else 'batches'}_{processes}"
                plural = "es" if processes > 1 else ""
                note = (
                    f"{CONNECTIONS} connections, {generator()}; {each:.0f} µs CPU each: {1e6 / each:,.0f}/s on a core of its own"
                )
                line = f"durable accepts, {processes} web process{plural}, {what}"
                yield Figure(name, line, median(rates), "/s", goal, True, spread(rates, 4), note)
    if quick:
        return
    with Box(directory / "accepts-sending", processes=1) as box:
        box.simulator(latency_s=1.0)
        box.bind_senders()
        box.gateway()
        box.web()
        load(box, 1, 1, "warm")
        rates = [load(box, 1, seconds, f"load{run}") for run in range(2)]
    what = "   the same, 1 process, one by one, gateway sending"
    yield Figure("accepts_sending", what, median(rates), "/s", noise=spread(rates, 4))


def load(box: Box, batch: int, seconds: int, mark: str) -> float:
    """Messages accepted per second, as the store counts them. Raises RuntimeError where something was refused."""
    before = box.count()
    path = "/api/v1/messages" if batch == 1 else "/api/v1/messages/batch"
    if generator() == "wrk":
        took = _wrk(box, batch, seconds, mark, path)
    else:
        command = [sys.executable, "-m", "benchmarks.load", str(box.port), path, box.key, str(batch), str(seconds), mark]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        took = float(json.loads(done.stdout)["seconds"])
    return (box.count() - before) / took


def _wrk(box: Box, batch: int, seconds: int, mark: str, path: str) -> float:
    facts = {
        "mark": mark,
        "key": box.key,
        "text": json.dumps(TEXT, ensure_ascii=False),
        "batch": batch,
        "path": path,
        "candidates": CANDIDATES,
    }
    script = box.directory / f"{mark}.lua"
    script.write_text(_WRK % facts)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{box.port}"], capture_output=True, text=True, check=True)
    found = re.search(r"requests in ([\d.]+)(m?s)", done.stdout)
    if done.stderr or "Non-2xx" in done.stdout or "Socket errors" in done.stdout or found is None:
        raise RuntimeError(f"wrk:\n{done.stdout}{done.stderr}")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)
