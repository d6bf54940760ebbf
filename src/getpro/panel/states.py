"""Words of the panel."""

from enum import StrEnum


class UserStatus(StrEnum):
    """How a user of the panel stands; only DISABLED is set by a person, the others follow by themselves."""

    ACTIVE = "ACTIVE"
    LIMITED = "LIMITED"
    EXPIRED = "EXPIRED"
    DISABLED = "DISABLED"
