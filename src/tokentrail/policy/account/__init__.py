"""
An account's IAM at one time, from a snapshot: users, roles, their policies, and what they may reach.

It imports the policy language, and of the history only the policies that AWS manages.
"""
