"""Charts as points: templates draw them as inline SVG with classes, since the CSP allows no style attribute."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 160


@dataclass(frozen=True, slots=True)
class Line:
    """A line and the area below it; `top` is the value at the upper edge, the lower edge being zero."""

    line: str
    area: str
    top: int
    end: tuple[float, float]


def line(values: Sequence[int]) -> Line:
    """A line through these values from left to right; they change in steps, so it is drawn in steps."""
    top = _round_up(max(*values, 1))
    step = WIDTH / max(1, len(values))
    points: list[tuple[float, float]] = []
    for index, value in enumerate(values):
        height = round(HEIGHT - HEIGHT * max(0, value) / top, 1)
        points += [(round(index * step, 1), height), (round((index + 1) * step, 1), height)]
    drawn = " ".join(f"{x:g},{y:g}" for x, y in points)
    return Line(drawn, f"0,{HEIGHT} {drawn} {WIDTH},{HEIGHT}", top, points[-1])


def bars(values: Sequence[int]) -> list[float]:
    """The length of a bar for each value, in percent of the longest; what is not nothing can be seen."""
    most = max([*values, 1])
    return [0.0 if value <= 0 else max(0.6, round(100 * value / most, 1)) for value in values]


def _round_up(value: int) -> int:
    """The next 1, 2, 2.5 or 5 times a power of ten, so that the scale reads well."""
    power = 1
    while power * 10 < value:
        power *= 10
    return next(int(power * factor) for factor in (1, 2, 2.5, 5, 10) if power * factor >= value and power * factor >= 4)
