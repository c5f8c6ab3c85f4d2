"""What a command fails with on purpose: faults that a user can mend, unfinished work, a stop.

It imports nothing, so every command can import it, and every floor.
`runner.driver.exits.ending` has the exit code of each.
"""


class UserFault(ValueError):
    """The request is wrong or was refused; the message says why and what to do.

    Its kinds lie beside what they describe, but for those that floors below must reach. Only what
    is raised before anything has begun ends with the exit code that says so.
    """

    begun = False  # whether something had been started or written


class DataMissing(UserFault):
    """The data set cannot be read; the message says why and what to do."""


class BadAnswers(UserFault):
    """Something given cannot be audited: which, why, and what to do."""

    def __init__(self, what: str, reason: str, way_out: str) -> None:
        super().__init__(what, reason, way_out)
        self.what, self.reason, self.way_out = what, reason, way_out

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}; {self.way_out}"


class Unfinished(Exception):
    """Something failed or was not done; the rest is kept, and the same command goes on."""


class TakenOver(Exception):
    """Another driver works in this one's folder."""


class Stopped(KeyboardInterrupt):
    """Somebody stopped the command: Ctrl-C, or SIGTERM."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
