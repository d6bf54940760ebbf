"""What can go wrong with PostgreSQL, told to a person."""


class PostgresTrouble(Exception):
    """One sentence of what happened, one of why, one of what to do."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.remedy = remedy
