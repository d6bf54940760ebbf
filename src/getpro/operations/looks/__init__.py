"""What the routines look at, a file a subject.

Each yields findings, changes nothing, raises nothing expected. What could not be seen is ``unknown``: red.
"""
