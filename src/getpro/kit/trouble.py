"""Trouble that is told to a person: what happened, why, and what to do."""


class Trouble(Exception):
    """One sentence each; the command line prints them, and no traceback."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what} {why}")
        self.what = what
        self.why = why
        self.remedy = remedy
