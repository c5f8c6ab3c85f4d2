"""Names beside points, placed so that they cover neither each other nor what is drawn."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

REACH = (8.0, 16.0, 28.0, 42.0)  # distances to try, in points
SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
LINED = 16.0  # beyond this distance a thin line leads to the point


class Point(NamedTuple):
    """A named point with error bars, in data units."""

    name: str
    color: str
    x: float
    left: float
    right: float
    y: float
    bottom: float
    top: float


class Place(NamedTuple):
    """A place for a name: where it is, and how much it covers."""

    covered: float  # square pixels
    reach: float  # points
    corner: tuple[float, float]  # the text's lower left corner, in points from its point
    box: np.ndarray  # left, bottom, right, top in pixels


def place(figure: Figure, points: dict[Axes, list[Point]]) -> bool:
    """Write each point's name where it is free, as near as that allows; return whether it could.

    Where one name finds no free place, none is written: a legend reads better than a heap.
    """
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # settles the layout: data units now have a place in pixels
    best = []
    for axes, some in points.items():
        taken = [box for point in some for box in _drawn(axes, point)]
        for point in some:
            label = axes.annotate(
                point.name,
                (point.x, point.y),
                (0, 0),
                textcoords="offset points",
                fontsize=8,
                parse_math=False,
            )
            label.set_in_layout(False)
            size = np.array(label.get_window_extent(canvas.get_renderer()).size)
            found = min(_places(axes, point, size, taken), key=lambda one: one[:2])
            taken.append(found.box)
            best.append((axes, point, label, found))
    if any(found.covered > 0 for *_, found in best):
        for _, _, label, _ in best:
            label.remove()
        return False
    for axes, point, label, found in best:
        label.set_position(found.corner)
        if found.reach > LINED:
            _line(axes, point, found)
    return True


def _places(axes: Axes, point: Point, size: np.ndarray, taken: list[np.ndarray]) -> list[Place]:
    """Every place that is tried for a name of `size` pixels."""
    pixels = axes.figure.dpi / 72
    anchor = axes.transData.transform((point.x, point.y))
    room = np.array(axes.get_window_extent().extents)
    found = []
    for reach in REACH:
        for side in np.array(SIDES):
            corner = side * reach / np.linalg.norm(side) + (side - 1) * size / pixels / 2
            box = np.concatenate([anchor + corner * pixels, anchor + corner * pixels + size])
            outside = np.prod(size) - _shared(box, room)
            covered = sum(_shared(box, other) for other in taken) + 10 * outside
            found.append(Place(round(covered, 3), reach, (corner[0], corner[1]), box))
    return found


def _line(axes: Axes, point: Point, place: Place) -> None:
    """Lead from a point to the nearest edge of its name."""
    anchor = axes.transData.transform((point.x, point.y))
    nearest = np.clip(anchor, place.box[:2], place.box[2:])
    ends = axes.transData.inverted().transform([anchor, nearest])
    axes.plot(*ends.T, color=point.color, linewidth=0.6)


def _drawn(axes: Axes, point: Point) -> list[np.ndarray]:
    """The pixels of a point's marker and error bars, as boxes."""
    ends = [
        ((point.x, point.y), (point.x, point.y), 6),
        ((point.left, point.y), (point.right, point.y), 3),
        ((point.x, point.bottom), (point.x, point.top), 3),
    ]
    return [
        np.concatenate([axes.transData.transform(low) - pad, axes.transData.transform(high) + pad])
        for low, high, pad in ends
    ]


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    """The area that two boxes share, in square pixels."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return float(np.prod(np.maximum(sides, 0)))
