"""A curve as small as a word, without axes; a page draws many of them every few seconds."""

from collections.abc import Sequence

WIDTH, HEIGHT, PAD = 120, 24, 2  # pixels


def sparkline(values: Sequence[float], part: float, told: str) -> str:
    """Return an SVG of values in their order, evenly spread; "" of fewer than two.

    Args:
        values: finite.
        part: of the width, in (0, 1], that they take; what is free is still to come.
        told: what it is, for who does not see it; escaped here.
    """
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    right = PAD + (WIDTH - 2 * PAD) * min(max(part, 0.1), 1.0)
    step = (right - PAD) / (len(values) - 1)
    scale = (HEIGHT - 2 * PAD) / (high - low) if high > low else 0.0
    points = [(PAD + i * step, HEIGHT - PAD - scale * (v - low)) for i, v in enumerate(values)]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    for sign, code in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        told = told.replace(sign, code)
    return (
        f'<svg class="spark" role="img" aria-label="{told}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}"><polyline points="{drawn}" fill="none" '
        f'stroke="currentColor" stroke-width="1.5"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2" '
        'fill="currentColor"/></svg>'
    )
