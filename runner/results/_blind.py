"""Whether members are told from others without any model: by images, classes and places alone."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from runner.storage.ids import generator_of

MOST_EXAMPLES = 20_000  # half to learn from, half to be judged on
NUM_TARGETS = 4  # rows that are looked at; of a pair one, since the other mirrors it
COARSE = 4  # images are seen by their means over so many rows and columns
PERIODS = range(2, 11)  # of members that are every so many-th example of the file
SINGLE = 16  # and by so many pixels that tell most
AT_ONCE = 1_000  # images whose numbers are in memory as floats
FALSE_ALARM = 0.002  # over all targets together


class Blind(NamedTuple):
    """How well members are told blindly, one number a target."""

    aucs: np.ndarray  # (T,) float64
    errors: np.ndarray  # (T,) float64, the standard error where nothing tells

    @property
    def needed(self) -> np.ndarray:
        """The AUCs from which on members are told: chance reaches one of them by FALSE_ALARM."""
        from scipy.stats import norm

        return 0.5 + norm.isf(FALSE_ALARM / len(self.aucs)) * self.errors


def blind_aucs(
    member: np.ndarray, partner: np.ndarray, labels: np.ndarray, images: np.ndarray | None
) -> Blind:
    """Return the AUCs of a classifier that sees no model, of a few targets.

    Of each target it learns from half of the examples who was a member, by boosted trees over an
    example's class, place and image, and is judged on the other half. So chance is 0.5 whatever it
    learns, and the AUC's error there is Mann and Whitney's. The halves in turns would share what
    they learn from, and gain little for an error that is no longer known.

    Args:
        member: (M, N) int8: 1 in, 0 out, -1 not judged.
        partner: (M,) int, the model complementary to each, or the model itself.
        labels: (N,) int.
        images: (N, channels, H, W) uint8, or a table's rows in [0, 1]; None: there are none.

    Returns:
        of up to NUM_TARGETS targets, less those with fewer than two of a kind in a half.
    """
    targets = _targets(partner)
    judged = np.flatnonzero((member[targets] >= 0).any(0))
    some = generator_of(0, "blind").permutation(judged)[:MOST_EXAMPLES]
    seen = np.concatenate([*_seen(some, labels, images)], axis=1)
    found = []
    for row in member[targets]:
        there = np.flatnonzero(row[some] >= 0)
        learnt, others = np.array_split(there, 2)
        is_member = row[some] == 1
        kinds = [(is_member[half] == kind).sum() for half in (learnt, others) for kind in (0, 1)]
        if min(kinds) < 2:
            continue
        columns = seen
        if images is not None:
            pixels = _telling(images[some[learnt]], is_member[learnt])
            columns = np.hstack([seen, images.reshape(len(images), -1)[np.ix_(some, pixels)]])
        guess = _learnt(columns[learnt], is_member[learnt], columns[others])
        found.append(_auc(guess, is_member[others]))
    aucs, errors = np.array(found).reshape(-1, 2).T
    return Blind(aucs, errors)


def _targets(partner: np.ndarray) -> list[int]:
    """A few models, evenly over all, and one of each pair."""
    firsts = [m for m, other in enumerate(partner.tolist()) if m <= other]
    places = np.linspace(0, len(firsts) - 1, min(NUM_TARGETS, len(firsts))).round().astype(int)
    return [firsts[place] for place in places]


def _seen(some: np.ndarray, labels: np.ndarray, images: np.ndarray | None) -> Iterator[np.ndarray]:
    """What is seen of some examples, blocks of columns (n, k) float32."""
    within = np.argsort(np.argsort(labels, kind="stable"))[some]  # place, class after class
    places = [some, *(some % each for each in PERIODS), within, labels[some]]
    yield np.stack(places, axis=1).astype(np.float32)
    if images is not None and images.dtype == np.uint8:
        parts = np.array_split(some, -(-len(some) // AT_ONCE))
        yield np.concatenate([_of_images(images[part]) for part in parts])


def _of_images(images: np.ndarray) -> np.ndarray:
    """Numbers of each image: how bright, sharp and coarse-grained it is, and where, (n, k)."""
    n, _, height, width = images.shape
    flat, real = images.reshape(n, -1), images.astype(np.float32)
    levels = np.zeros((n, 256), bool)
    levels[np.arange(n)[:, None], flat] = True  # JPEG has more of them
    steps = [np.abs(np.diff(real, axis=axis)).mean((1, 2, 3)) for axis in (2, 3)]
    sides = [np.arange(min(COARSE, size)) * size // min(COARSE, size) for size in (height, width)]
    parts = np.add.reduceat(np.add.reduceat(real, sides[0], axis=2), sides[1], axis=3)
    single = [flat.min(1), flat.max(1), levels.sum(1), *steps]
    blocks = [np.stack(single, axis=1), real.mean((2, 3)), real.std((2, 3)), parts.reshape(n, -1)]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def _telling(images: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """The pixels whose means differ most between members and others, for their spread, (k,)."""
    flat = images.reshape(len(images), -1)
    apart = flat[is_member].mean(0) - flat[~is_member].mean(0)
    level = 1 if images.dtype == np.uint8 else 1 / 255
    spread = flat[:AT_ONCE].std(0) + level  # a grey level: of a pixel that is mostly alike
    return np.argsort(-np.abs(apart) / spread, kind="stable")[:SINGLE]


def _learnt(seen: np.ndarray, is_member: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How likely each of the others is a member, (n,), by what boosted trees learn."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, random_state=0)
    return trees.fit(seen, is_member).predict_proba(others)[:, 1]


def _auc(guess: np.ndarray, is_member: np.ndarray) -> tuple[float, float]:
    """The AUC, ties counting half, and its standard error where the guess says nothing."""
    from scipy.stats import rankdata

    inside, outside = int(is_member.sum()), int((~is_member).sum())
    above = rankdata(guess)[is_member].sum() - inside * (inside + 1) / 2
    error = np.sqrt((inside + outside + 1) / (12 * inside * outside))
    return above / inside / outside, float(error)
