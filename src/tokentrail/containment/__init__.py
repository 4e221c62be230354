"""
Containment: which steps end an attacker's credentials, in which order, with proof; and how they are done and undone.

It reasons in plain Python over the credentials that lineage traced. It may import lineage, policy, results and errors,
and never the store, the case or a terminal. Only `apply` and `undo` change an AWS account, and only `aws` calls AWS.
"""
