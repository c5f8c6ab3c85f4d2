"""What trained models are asked, and how they are attacked: two blocks of an experiment's YAML."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from attacks.by_name import ByName, Keys, unknown
from attacks.evasion import EvasionAttack
from attacks.evasion.pgd import PGD
from attacks.sanity import sanity_attacks
from runner.code.deciding import check_same, deciding
from runner.data import VIEWS
from runner.storage.ids import digest

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]  # names a folder
Checkpoint = Literal["last", "best"]
Evasion = Annotated[EvasionAttack, ByName("attacks.evasion")]
VERSION = 2  # of what is written about each example; raise it and trained models are asked again
ROBUSTNESS_VERSION = 1  # likewise, of what is answered under attack


Code = Mapping[str, str]  # the digest of each file that counts, by its name
NOTHING: Code = {}


class Answers(Keys):
    """What every model is asked about every example of the pool.

    A randomized model is asked for one draw of its noise, which is what one query shows, and for
    the mean of the class probabilities over `draws` of them, which is what a patient attacker or
    user has. Every figure of such a model stands for both.

    `adversarial` queries are views too, by the names given here: each model is asked about the
    images that the attack makes of the examples against that model itself, as whoever holds its
    weights can. Source: Song, Shokri and Mittal (2019), https://arxiv.org/abs/1905.10291.
    """

    views: tuple[str, ...] = Field(default=("identity",), min_length=1)
    adversarial: dict[Name, Evasion] = {}
    logits: Literal["plain", "all"] = "plain"  # kept of the plain image, or of all views
    draws: PositiveInt = 10  # of a randomized model; others answer the same each time

    @property
    def names(self) -> tuple[str, ...]:
        """Every view that a membership attack can read, in the order of the columns."""
        return (*self.views, *sorted(self.adversarial))

    def settled(self, randomized: bool) -> Self:
        """Return what a model is asked: one draw, unless it is randomized."""
        adversarial = {name: a.settled(randomized) for name, a in self.adversarial.items()}
        draws = self.draws if randomized else 1
        return self.model_copy(update={"draws": draws, "adversarial": adversarial})

    def id(self, code: Code = NOTHING) -> str:
        """Return the folder name of this question: another one never overwrites its answers.

        Args:
            code: that decides the answers beside the version.
        """
        unsaid = {"draws"} if self.draws == 1 else set()
        unsaid |= set() if self.adversarial else {"adversarial"}
        unsaid |= set() if self.logits == "all" else {"logits"}
        facts = {"version": VERSION} | self.model_dump(mode="json", exclude=unsaid)
        facts |= {"code": dict(code)} if code else {}
        return f"views{len(self.names)}-{digest(facts)}"

    @field_validator("views")
    @classmethod
    def _known_once(cls, views: tuple[str, ...]) -> tuple[str, ...]:
        strange = [view for view in views if view not in VIEWS]
        if strange:
            raise ValueError("; ".join(unknown("view", view, VIEWS) for view in strange))
        if len(set(views)) < len(views):
            raise ValueError("a view stands here twice; it would count twice in every score")
        return views

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        if taken := sorted(set(self.adversarial) & set(VIEWS)):
            raise ValueError(f"adversarial: {taken[0]!r} is the name of a view; choose another")
        return self


class Sanity(Keys):
    """Whether robust accuracies can be believed: the first PGD of the attacks, varied.

    Its radius and its steps are varied and a black box is set beside it, on few images of a few
    models. `num_models: 0` leaves it out. `attacks` are set beside it there too: those that would
    take too long on all models, as AutoAttack does.
    """

    num_models: NonNegativeInt = 2  # of each arm, the first ones
    num_examples: PositiveInt = 200
    attacks: dict[Name, Evasion] = {}


class Robustness(Keys):
    """Evasion attacks on every model, and on which images: the test split, or its non-members."""

    on: Literal["test", "non_members"] = "test"
    num_examples: PositiveInt | None = None  # the first so many of them; None: all
    attacks: dict[Name, Evasion] = {}
    sanity: Sanity = Sanity()

    def settled(self, randomized: bool) -> Self:
        """Return the attacks as they are run on a model."""
        attacks = {name: attack.settled(randomized) for name, attack in self.attacks.items()}
        beside = {n: attack.settled(randomized) for n, attack in self.sanity.attacks.items()}
        sanity = self.sanity.model_copy(update={"attacks": beside})
        return self.model_copy(update={"attacks": attacks, "sanity": sanity})

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        beside = self.sanity.attacks
        for at, attacks in (("attacks", self.attacks), ("sanity.attacks", beside)):
            if taken := [name for name in attacks if name.startswith("sanity_")]:
                raise ValueError(f"{at}.{taken[0]}: names on sanity_ are taken; choose another")
        if twice := sorted(beside.keys() & self.attacks.keys()):
            raise ValueError(
                f"sanity.attacks.{twice[0]}: an attack on all models has this name; choose another"
            )
        if beside and not self.sanity_attacks:
            missing = "pgd among robustness.attacks" if self.sanity.num_models else "model"
            raise ValueError(
                f"sanity.attacks: they are set beside the first pgd of all models on the first "
                f"sanity.num_models, and there is no {missing}"
            )
        return self

    @property
    def varied(self) -> PGD | None:
        """The attack that the sanity checks vary: the first PGD."""
        return next((a for a in self.attacks.values() if isinstance(a, PGD)), None)

    @property
    def sanity_attacks(self) -> dict[str, EvasionAttack]:
        """The varied attacks, by names of their own; none where there is no PGD to vary."""
        return sanity_attacks(self.varied) if self.varied and self.sanity.num_models else {}

    @property
    def few(self) -> dict[str, EvasionAttack]:
        """Everything that few models are attacked with, by name."""
        return {**self.sanity_attacks, **self.sanity.attacks}

    def id(
        self,
        attack: EvasionAttack | None,
        num_examples: int | None,
        draws: int,
        code: Code = NOTHING,
    ) -> str:
        """Return the folder name of one attack's outcome; attack None is the natural images.

        Args:
            num_examples: that are attacked; None: all.
            draws: of the model's noise, over which its answers are averaged.
            code: that decides the outcome beside the version.
        """
        facts: dict[str, Any] = {"draws": draws} if draws > 1 else {}
        facts |= {"code": dict(code)} if code else {}
        facts |= {"version": ROBUSTNESS_VERSION} if ROBUSTNESS_VERSION > 1 else {}
        facts |= {
            "on": self.on,
            "num_examples": num_examples,
            "attack": attack.model_dump(mode="json") if attack else None,
        }
        if attack and attack.portion != EvasionAttack.portion:
            facts["portion"] = attack.portion  # each has a seed of its own
        return f"{attack.name if attack else 'natural'}-{self.on}-{digest(facts)}"


class Attacked(NamedTuple):
    """One attack on one model; attack None is the natural images."""

    attack: EvasionAttack | None
    num_examples: int | None  # None: all


class Questions(NamedTuple):
    """Everything that a model of one arm is asked, settled for its defense."""

    answers: Answers
    robustness: Robustness
    checkpoint: Checkpoint
    # What decides them beside the versions, where the plan was made: `runner.code.deciding`.
    answers_code: Code = NOTHING
    attacks_code: Mapping[str | None, Code] = {}

    @property
    def answers_id(self) -> str:
        """The folder name of the answers."""
        return self.answers.id(self.answers_code) + self._suffix

    def robustness_id(self, attack: str | None) -> str:
        """Return the folder name of one attack's outcome; None is the natural images."""
        chosen = self._all()[attack]
        code = self.attacks_code.get(attack, NOTHING)
        return self.robustness.id(*chosen, self.answers.draws, code) + self._suffix

    def planned(self) -> Self:
        """Return them with the source and files that decide them, as they are here and now."""
        attacks = {name: self._deciding(name) for name in self._all()}
        return self._replace(
            answers_code=deciding("answers", self.answers.adversarial), attacks_code=attacks
        )

    def check_answers_code(self) -> None:
        """Refuse to ask with other source or files than was planned.

        Raises:
            OtherCode: something was changed since, or is not the same on this machine.
        """
        check_same(self.answers_code, deciding("answers", self.answers.adversarial))

    def check_attack_code(self, attack: str | None) -> None:
        """Refuse to attack with other source or files than was planned; None: natural images.

        Raises:
            OtherCode: as above.
        """
        check_same(self.attacks_code.get(attack, NOTHING), self._deciding(attack))

    def attacks_of(self, number: int) -> Mapping[str | None, Attacked]:
        """Return everything that a Run of this number is attacked with, by name."""
        few = self.robustness.few
        checked = number < self.robustness.sanity.num_models
        return {n: a for n, a in self._all().items() if checked or n not in few}

    def _deciding(self, attack: str | None) -> Code:
        chosen = self._all()[attack].attack
        return deciding("robustness", {attack: chosen} if attack and chosen else {})

    def _all(self) -> dict[str | None, Attacked]:
        robustness = self.robustness
        few = [n for n in (robustness.sanity.num_examples, robustness.num_examples) if n]
        whole: list[tuple[str | None, EvasionAttack | None]] = [(None, None)]
        whole += robustness.attacks.items()
        found = {name: Attacked(attack, robustness.num_examples) for name, attack in whole}
        return found | {n: Attacked(a, min(few)) for n, a in robustness.few.items()}

    @property
    def _suffix(self) -> str:
        return "" if self.checkpoint == "last" else f"-{self.checkpoint}"
