"""One provider is one folder here and one line in the list of providers."""
