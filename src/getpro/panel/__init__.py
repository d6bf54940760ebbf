"""The Remnawave panel: a thin client and the accounts we made there."""
