"""Who goes on to more models, and who stops. A plain class; the sweep makes it a Ray actor."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runner.report.text import printed
from runner.sweep.pareto import OBJECTIVES, beaten, points

GOES_ON = ""


class Ended(NamedTuple):
    """How a setting came out of the search."""

    state: str  # finished, stopped or failed
    why: str


class ToAsk(NamedTuple):
    """Models of one arm that nobody has asked for yet, about."""

    of_settings: float  # of an arm whose Runs differ by setting, over all settings together
    shared: float  # of an arm whose Runs all settings share


class Board:
    """Settings come in generations; a generation is judged once all of it reached a rung.

    Its settings hand their figures in and ask for the verdict, which is there as soon as everyone
    who is still in has handed in or failed. A setting stops when another one, of its own or of an
    earlier generation, beats it beyond the intervals with as many models. So verdicts depend on
    the figures alone and not on who came first, and nobody waits for one who is gone.
    """

    def __init__(self, rungs: Sequence[int], total: int, compares: bool = True) -> None:
        """
        Args:
            rungs: numbers of models, growing.
            total: how many settings there will be.
            compares: False where one cannot be better than another: none is stopped.
        """
        self._compares = compares
        self._rungs, self._total = list(rungs), total
        self._labels: dict[str, str] = {}  # of all settings, in the order of asking
        self._records: dict[str, dict[int, Any]] = {}  # id -> rung -> what was handed in
        self._ended: dict[str, Ended] = {}
        self._generation: list[str] = []
        self._settled: set[int] = set()  # rungs of this generation that were judged
        self._news: list[str] = []
        self._used: set[str] = set()
        self._asked: dict[str, int] = {}  # id -> index of the highest rung that it asked for

    def open(self, labels: Mapping[str, str]) -> None:
        """Begin a generation of these settings; each of the last one has ended."""
        assert all(each in self._ended for each in self._generation)
        self._generation, self._settled = list(labels), set()
        self._labels |= labels
        self._records |= {each: {} for each in labels}

    def hand_in(self, setting: str, rung: int, record: Mapping[str, Any]) -> None:
        """Take a setting's figures of one rung; again when its process died and came back."""
        if setting in self._ended or rung in self._records[setting]:
            return
        self._records[setting][rung] = record
        self._say(setting, f"with {rung} models: {_told(record)}")
        self._judge()

    def fail(self, setting: str, why: str) -> None:
        """Count a setting out, unless it has ended; what it handed in before stays."""
        if setting not in self._ended:
            self._end(setting, "failed", why)
            self._judge()

    def verdict(self, setting: str, rung: int) -> str | None:
        """Return "" to go on, why to leave, or None while others are waited for."""
        if setting in self._ended:
            return self._ended[setting].why or "finished"
        return GOES_ON if rung in self._settled else None

    def use(self, runs: Sequence[str]) -> None:
        """Note the ids of Runs that somebody needs."""
        self._used.update(runs)

    def used(self) -> set[str]:
        """Return the ids of all Runs that were needed."""
        return self._used

    def note(self, text: str) -> None:
        """Have a sentence printed by the driver."""
        self._news.append(text)

    def news(self) -> list[str]:
        """Return what happened since it was last asked."""
        news, self._news = self._news, []
        return news

    def settings(self) -> list[dict[str, Any]]:
        """Return how each setting that was asked for stands: plain values, for who watches."""
        return [
            {
                "setting": label,
                "state": self._ended[each].state if each in self._ended else "running",
                "why": self._ended[each].why if each in self._ended else "",
                "num_models": max(self._records[each], default=0),
                "figures": _told(self._records[each][max(self._records[each])])
                if self._records[each]
                else "",
            }
            for each, label in self._labels.items()
        ]

    def ask(self, setting: str, rung: int) -> None:
        """Note that a setting asks for the models of a rung."""
        self._asked[setting] = self._rungs.index(rung)

    def to_ask(self) -> ToAsk:
        """Return how many models are still to be asked for, if as many go on as went on so far.

        Before any was judged all are taken to go on.
        """
        of_settings = (self._total - len(self._labels)) * self._above(-1)
        for each in self._labels:
            if each not in self._ended:
                of_settings += self._above(self._asked.get(each, -1))
        furthest = max(self._asked.values(), default=-1)
        reached = self._rungs[furthest] if furthest >= 0 else 0
        over = len(self._ended) == self._total
        return ToAsk(of_settings, 0.0 if over else float(self._rungs[-1] - reached))

    def _above(self, asked: int) -> float:
        """The models that a setting is expected to ask for beyond those of a rung's index."""
        expected, share, before = 0.0, 1.0, self._rungs[asked] if asked >= 0 else 0
        for at in range(asked + 1, len(self._rungs)):
            share *= self._share(at - 1) if at else 1.0
            expected += share * (self._rungs[at] - before)
            before = self._rungs[at]
        return expected

    def _share(self, at: int) -> float:
        """The share of settings that went on from a rung, by its index; one more is taken to."""
        here, up = self._rungs[at], self._rungs[at + 1]
        went_on = sum(up in of_setting for of_setting in self._records.values())
        left = sum(
            end.state == "stopped" and here in self._records[each] and up not in self._records[each]
            for each, end in self._ended.items()
        )
        return (went_on + 1) / (went_on + left + 1)

    def records(self) -> dict[str, dict[int, Any]]:
        """Return by setting and rung what was handed in."""
        return self._records

    def ended(self) -> dict[str, Ended]:
        """Return how each setting ended."""
        return self._ended

    def _judge(self) -> None:
        """Settle every rung that all who are still in have reached."""
        for rung in self._rungs:
            still_in = [each for each in self._generation if each not in self._ended]
            if rung not in self._settled:
                if not still_in or any(rung not in self._records[each] for each in still_in):
                    return
                self._settled.add(rung)
                self._settle(rung, still_in)

    def _settle(self, rung: int, still_in: Sequence[str]) -> None:
        """Stop those who are beaten; who is still in at the last rung has finished."""
        if rung == self._rungs[-1]:
            for each in still_in:
                self._end(each, "finished", "")
            return
        up = self._rungs[self._rungs.index(rung) + 1]
        earlier = [each for each in self._labels if each not in self._generation]
        there = [*still_in, *(each for each in earlier if rung in self._records[each])]
        by_whom = beaten(points([self._records[each][rung] for each in there]))
        for i, each in enumerate(still_in):
            better = [self._labels[there[j]] for j in by_whom[i].nonzero()[0]]
            if better and self._compares:
                self._end(each, "stopped", f"with {rung} models {better[0]} beats it")
            else:
                self._say(each, f"goes on to {up} models")

    def _end(self, setting: str, state: str, why: str) -> None:
        self._ended[setting] = Ended(state, why)
        wrong = "note: " if state == "failed" else ""
        told = f"{state}: {why}" if why else state
        self._news.append(f"{wrong}{self._labels[setting]}: {told}")
        self._news.append(f"settings {len(self._ended)}/{self._total} done")

    def _say(self, setting: str, what: str) -> None:
        self._news.append(f"{self._labels[setting]}: {what}")


def _told(record: Mapping[str, Any]) -> str:
    """The figures in one line."""
    there = {key: record[key] for key in OBJECTIVES if record[key]}
    return ", ".join(f"{key} {printed(f, 1, 3, f['num_models'])}" for key, f in there.items())
