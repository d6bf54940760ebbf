"""The owner's report: a month in figures, beside the month before, the same whenever it is asked for.

See ``docs/decisions/0031-reports.md``.
"""
