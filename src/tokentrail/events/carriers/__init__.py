"""
What brings CloudTrail's records beside its own files: one module a shape, each from JSON objects or rows to records.

Imports what `events` may import. Never does I/O, and never guesses in silence: what a shape lacks is absent from
the record, and `lost` says in words what that is.
"""
