"""The synthetic purchase: somebody who does not exist buys again and again, to see whether one can.

Source: docs/decisions/0018-synthetic-purchase.md.
"""
