"""
Where records come from: names and bytes of evidence objects. And what a case in a bucket is reached by, as AWS is asked
from here alone.

May import `events` and `errors`.
Never judges content, and never knows where the bytes are kept afterwards.
"""
