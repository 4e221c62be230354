"""
Where records come from: names and bytes of evidence objects.

May import `events` and `errors`.
Never judges content, and never knows where the bytes are kept afterwards.
"""
