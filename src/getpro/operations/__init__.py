"""The shop looks after itself: figures for Prometheus, the operator's routines and what they found."""
