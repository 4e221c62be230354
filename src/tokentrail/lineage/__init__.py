"""
The forest of credentials: who got which credential from whom, what each did, and its state at a moment.

May import `policy`, `store.interface`, `events` and `errors`.
Never touches an engine, a file, the network, the clock or a terminal: SQL goes through the store's door.
"""
