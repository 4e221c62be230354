"""
Guardrails: policies and settings made from the organisation's own evidence, in a file for each shape that they have.

Each imports `prevention`'s types and documents only, and never another guardrail.
"""
