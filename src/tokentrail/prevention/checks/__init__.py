"""
Checks of the audit, one file each: a weakness of the account's IAM, and the attack that it allows.

Each imports `prevention`'s estate and types only, and never another check.
"""
