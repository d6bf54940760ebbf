"""Plans: what is sold, for how much."""
