"""
One file an idea; `detection.catalogue` lists them. A rule knows nothing of the others.

May import `detection.model`, `detection.context` and what they stand on.
Never prints, and never reads evidence but through its context.
"""
