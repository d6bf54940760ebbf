"""A Remnawave panel 3.3.2 as it was recorded; a second version would stand beside it as its own folder."""

from getpro.sandbox.panel.app import PanelSimulator, run

__all__ = ["PanelSimulator", "run"]
