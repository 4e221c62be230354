"""
The case: evidence goes in, answers come out; the one orchestrator, and the library's front door.

It may import every room below the faces: containment, lineage, policy, sources, store. It never prints, asks or draws:
that is for the faces, which call it.
"""

from tokentrail.case.case import Case

__all__ = ["Case"]
