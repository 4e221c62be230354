"""
What IAM calls and policy documents do to a credential, stated once for state, planner and prover alike.

It imports only the standard library, `tokentrail.errors` and `tokentrail.formatting`.
It never reads a log, a store, a network or a clock: changes, callers and times are handed in.
"""
