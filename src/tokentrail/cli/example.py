"""
The end of each verb's help: one example.
"""

from __future__ import annotations


def example(line: str) -> str:
    """Word the example."""
    return f"\b\nExample:\n  {line}"
