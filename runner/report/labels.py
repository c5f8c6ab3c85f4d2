"""Names beside points, placed so that they cover neither each other nor what is drawn."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from runner.report import style

REACH = (8.0, 16.0, 28.0, 42.0)  # distances to try, in points
SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
LINED = 16.0  # beyond this distance a thin line leads to the point
CLEARLY, ENOUGH = 2.0, 4.0  # points nearer to its own: what a name needs, and what is no better


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
    clear: float = ENOUGH  # points by which it is nearer to its own point than to any other

    @property
    def doubtful(self) -> bool:
        """Whether it may be read as another point's name, unless a line leads to its own."""
        return self.clear < CLEARLY

    @property
    def rank(self) -> tuple[float, ...]:
        """The least is the best."""
        return self.covered, self.doubtful, self.reach, -min(self.clear, ENOUGH)


def place(figure: Figure, points: dict[Axes, list[Point]]) -> bool:
    """Write each point's name where it is free, as near as that allows; return whether it could.

    A place that could be another point's is taken only where there is no other, and gets a line.
    Where one name finds no free place, none is written: a legend reads better than a heap.
    """
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # settles the layout: data units now have a place in pixels
    pixels, best = figure.dpi / 72, []
    for axes, some in points.items():
        drawn = [_drawn(axes, point) for point in some]
        taken = [box for boxes in drawn for box in boxes]
        for i, point in enumerate(some):
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
            tried = _places(axes, point, size, taken)
            tried = [one._replace(clear=_clear(one.box, i, drawn) / pixels) for one in tried]
            found = min(tried, key=lambda one: one.rank)
            taken.append(found.box)
            best.append((axes, point, label, found))
    if any(found.covered > 0 for *_, found in best):
        for _, _, label, _ in best:
            label.remove()
        return False
    for axes, point, label, found in best:
        label.set_position(found.corner)
        if found.doubtful or found.reach > LINED:
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


def _clear(name: np.ndarray, own: int, drawn: list[list[np.ndarray]]) -> float:
    """By how many pixels a name is nearer to its own point than to any other.

    It must be nearer to its marker than to other markers, and to anything drawn of its point than
    to anything drawn of others; the lesser of the two counts.
    """
    gaps = np.array([[_gap(name, box) for box in boxes] for boxes in drawn])
    nearest = np.stack([gaps[:, 0], gaps.min(axis=1)])  # the marker; marker and error bars
    others = np.delete(nearest, own, axis=1)
    return float((others - nearest[:, [own]]).min(initial=np.inf))


def _line(axes: Axes, point: Point, place: Place) -> None:
    """Lead from a point to the nearest edge of its name; grey, since it is no error bar."""
    anchor = axes.transData.transform((point.x, point.y))
    nearest = np.clip(anchor, place.box[:2], place.box[2:])
    ends = axes.transData.inverted().transform([anchor, nearest])
    axes.plot(*ends.T, color=style.FAINT, linewidth=0.7, zorder=1)


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


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """The distance between two boxes, in pixels; 0 where they touch."""
    sides = np.maximum(one[:2], other[:2]) - np.minimum(one[2:], other[2:])
    return float(np.linalg.norm(np.maximum(sides, 0)))


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    """The area that two boxes share, in square pixels."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return float(np.prod(np.maximum(sides, 0)))
