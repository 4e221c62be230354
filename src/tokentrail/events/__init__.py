"""
What one CloudTrail record means: bytes of a log object in, canonical columns out.

May import `errors`, decoders (msgspec, isal) and pyarrow's column types.
Never does I/O, asks the clock, or raises for bad data: what can't be read becomes a `Rejected`.
"""
