"""What one worker gets: a block of an experiment's YAML."""

from typing import Literal, Self

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator

from attacks.by_name import Keys


class Fleet(Keys):
    """What one worker gets, and how many workers train one model together. Moves no figure."""

    num_cpus: PositiveInt = 1
    num_gpus: NonNegativeFloat | Literal["auto"] = 0.0  # 1/k of a GPU, or whole ones
    workers_per_run: PositiveInt = 1
    max_workers: PositiveInt | None = None  # per node; None: as many as have room
    accelerator: str | None = None  # only nodes with this kind of GPU, as Ray names it: "A100"
    label_selector: dict[str, str] = {}  # only nodes with these labels, in Ray's words
    checkpoint_every_s: NonNegativeFloat = 10.0
    hang_after_s: PositiveFloat = 3600.0  # without a word from a Run, its process is ended
    wait_for_nodes_s: NonNegativeFloat = 300.0  # as long a cluster may be without a node with room

    @model_validator(mode="after")
    def _room_for_a_run(self) -> Self:
        if self.max_workers and self.max_workers < self.workers_per_run:
            raise ValueError("`max_workers` is below `workers_per_run`, so no Run could start")
        return self

    @field_validator("num_gpus")
    @classmethod
    def _whole_shares(cls, num_gpus: float | Literal["auto"]) -> float | Literal["auto"]:
        if num_gpus == "auto":
            return num_gpus
        if 0 < num_gpus < 1 and abs(1 / num_gpus - round(1 / num_gpus)) > 0.01:
            raise ValueError(f"a share of a GPU is 1/k (0.5, 0.25, ...), got {num_gpus}")
        if num_gpus > 1 and num_gpus != int(num_gpus):
            raise ValueError(f"more than one GPU means whole GPUs, got {num_gpus}")
        return num_gpus

    @property
    def gpus(self) -> float:
        """Of one worker; a whole one as long as `auto` is not settled."""
        return 1.0 if self.num_gpus == "auto" else self.num_gpus
