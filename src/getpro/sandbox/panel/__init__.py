"""A Remnawave panel, 3.3.2 or 2.8.1, as they were recorded; what differs between them is in ``editions``."""

from getpro.sandbox.panel.app import VERSION, PanelSimulator, run

__all__ = ["VERSION", "PanelSimulator", "run"]
