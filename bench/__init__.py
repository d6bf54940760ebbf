"""How fast the shop is and how much it needs, beside a bot that does nothing, in the same run."""
