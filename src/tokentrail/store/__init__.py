"""
The case: where evidence and its columns are kept, and the one door to the engine that queries them.

May import `events` and `errors`; only `duck` may import an engine.
Never reaches AWS, but by what it is handed for a case in a bucket, and gives columns no meaning beyond their names.
"""
