"""What is compiled runs under every Python from 3.11 on, whichever of them compiled it."""

import re
from pathlib import Path

_NATIVE = Path(__file__).parents[2] / "src" / "tokentrail" / "events" / "native"
_COUNTED = re.compile(r'"[^"\n]*[A-Za-z]#')


def test_no_call_into_python_counts_bytes_in_its_format() -> None:
    """
    What 3.13 or later made of a format with `#` is refused by 3.11 and 3.12, though both promise the same ABI.

    Source: What's New In Python 3.13, 'Changes in the C API': the macro PY_SSIZE_T_CLEAN means nothing any more.
    """
    sources = [*_NATIVE.glob("*.[ch]")]
    counted = [one.name for one in sources if _COUNTED.search(one.read_text())]

    assert len(sources) > 5
    assert counted == []
