"""A signal as points of an SVG: a line with gaps where nothing was measured, from -113 dBm at the foot to -51 dBm at the top."""

from collections.abc import Sequence
from dataclasses import dataclass

from web.pages.charts import HEIGHT, WIDTH

LOWEST, HIGHEST = -113, -51
"""What +CSQ can tell (27.007 §8.5)."""
MARKS = (-70, -85, -100)
"""Where a phone would draw one bar less."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`lines` are point lists for polylines, `dots` lone measurements, `grid` the heights of the marks."""

    lines: list[str]
    dots: list[tuple[float, float]]
    grid: list[tuple[int, float]]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured."""
        return not self.lines and not self.dots


def draw(values: Sequence[int | None]) -> Curve:
    """The curve of these values from left to right."""
    step = WIDTH / max(1, len(values) - 1)
    lines: list[str] = []
    dots: list[tuple[float, float]] = []
    run: list[tuple[float, float]] = []
    for index, value in enumerate([*values, None]):
        if value is not None:
            run.append((round(index * step, 1), _height(value)))
            continue
        if len(run) > 1:
            lines.append(" ".join(f"{x:g},{y:g}" for x, y in run))
        dots += run if len(run) == 1 else []
        run = []
    return Curve(lines, dots, [(mark, _height(mark)) for mark in MARKS])


def _height(dbm: int) -> float:
    share = (min(max(dbm, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    return round(HEIGHT - HEIGHT * share, 1)
