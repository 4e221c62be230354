"""
The IAM policy language: documents, wildcards, condition keys, and the one evaluator of statements.

It imports nothing of the other policy packages. It never reads a log, a snapshot or a clock.
"""
