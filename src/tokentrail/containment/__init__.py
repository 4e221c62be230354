"""
Containment: what ends an attacker's credentials, in which order, with proof; and how it is done and undone.

Reasons over the traced subtree in plain Python, on top of lineage and policy: it may import those, results and errors,
and never the store, the case or a terminal. Only `apply` and `undo` change an AWS account, and `aws` alone calls it.
"""
