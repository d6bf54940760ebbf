"""What can go wrong with what a person wants of an incident; the text is for that person."""


class IncidentError(Exception):
    """It is not done; the text says why, in Russian."""


class NotAllowed(IncidentError):
    """Whoever asks is not, or no longer, of the team."""

    def __init__(self) -> None:
        super().__init__("вас нет в команде")


class NoSuchIncident(IncidentError):
    def __init__(self, incident_id: int) -> None:
        super().__init__(f"инцидента №{incident_id} нет")


class CannotDo(IncidentError):
    """Not in its present state."""


class NoSuchPerson(IncidentError):
    def __init__(self, name: str) -> None:
        super().__init__(f"человека {name} нет")
