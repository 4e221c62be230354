"""
What IAM calls and policy documents do to a credential, stated once for state, planner and prover alike.

It imports the standard library and `tokentrail.errors` only.
It never reads a log, a store, a network or a clock: changes, callers and moments are handed in.
"""
