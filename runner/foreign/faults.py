"""What is wrong with answers or a member matrix that came from elsewhere."""


class BadAnswers(ValueError):
    """Something given cannot be audited: which, why, and what to do."""

    def __init__(self, what: str, reason: str, way_out: str) -> None:
        super().__init__(what, reason, way_out)
        self.what, self.reason, self.way_out = what, reason, way_out

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}; {self.way_out}"
