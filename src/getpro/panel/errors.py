"""What the panel can answer, as the decision that follows.

PanelError
├── PanelUnavailable   no answer, 5xx, 429: nothing is known about the change; the job tries again
├── PanelRefused       it understood and said no: a person must look; tried again seldom
└── PanelGone          the user is not there (any more): it is made again
"""


class PanelError(Exception):
    """The panel did not do what was asked; ``code`` is its own, like ``A019``, where it gave one."""

    def __init__(self, text: str, *, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class PanelUnavailable(PanelError):
    """The panel did not answer, or answered that it cannot now; nothing is known about the change."""


class PanelRefused(PanelError):
    """The panel understood the request and said no; the text is its own."""


class PanelGone(PanelError):
    """The panel has no such user."""
