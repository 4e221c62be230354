"""
Guardrails, one file each: a policy or setting made from the organisation's own evidence.

Each imports `prevention`'s types and documents only, and never another guardrail.
"""
