"""What a process loads that helps to judge raw records."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
import tokentrail.store.answering, tokentrail.detection.sigma.sweep
print([name for name in ("numpy", "pyarrow", "duckdb", "sigma") if name in sys.modules])
"""


def test_a_helping_process_loads_neither_tables_nor_engines() -> None:
    """A process that is started for a second's work does not spend half of it on its start."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
