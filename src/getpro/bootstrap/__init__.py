"""Where things are built and joined: what selling needs, and around it the whole running shop."""
