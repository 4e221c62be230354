"""
Findings that one can act on: what in the evidence looks like theft, why, and what answers it.

May import `lineage`, `policy`, `store.interface`, `events` and `errors`.
Never touches an engine, the network, the clock or a terminal, and never changes anything: a rule is a pure function
from a context (events and forest, through the store's door) to what it found.
"""
