"""
What would have stopped it: an audit of the account's IAM, guardrail policies, and their back-test over the case.

It may import detection, lineage, policy, the store's interface and what lies below them.
It never changes an account, opens a file, or says that a policy refuses what the log leaves open.
"""
