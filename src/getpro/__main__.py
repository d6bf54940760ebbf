"""``python -m getpro`` is ``2getpro``."""

from getpro.cli import main

main()
