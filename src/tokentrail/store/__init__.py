"""
The case: where evidence and its columns are kept, and the one door to the engine that queries them.

May import `events` and `errors`; only `duck` may import an engine.
Never reaches AWS (where a case lies in a bucket, it is handed what does), and gives columns no meaning beyond their names.
"""
