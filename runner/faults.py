"""What a command can fail with, and how grave it is. It imports nothing."""


class DataMissing(ValueError):
    """The data set cannot be read; the message says why and what to do."""


class Unfinished(Exception):
    """Some Runs failed or were not done; the rest is kept, and the same command goes on."""


class Stopped(KeyboardInterrupt):
    """Somebody stopped the command: Ctrl-C, or SIGTERM."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class TakenOver(Exception):
    """Another driver works in this one's folder."""


class BadAnswers(ValueError):
    """Something given cannot be audited: which, why, and what to do."""

    def __init__(self, what: str, reason: str, way_out: str) -> None:
        super().__init__(what, reason, way_out)
        self.what, self.reason, self.way_out = what, reason, way_out

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}; {self.way_out}"
