"""
Coverage-guided fuzzing of every reader, and of the whole ingest (Google's atheris, Linux).

    just fuzz                                     # every reader, ten minutes
    just fuzz --target ingest -- -max_total_time=60

Any bytes go in. What must hold: nothing raises; what was read is counted as it is stored; each record that was read
can be fetched again by its ordinal; no session token of the seeds is in any column. What is found goes to fuzz/found,
and into the corpus once it is mended.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tokentrail.events", "tokentrail.store"]):
    from tokentrail.events.kernel import Segment
    from tokentrail.events.reading import every_piece

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
BOUND = 4 << 20


def readers(data: bytes) -> None:
    """One object through the kernel, and each of its records by its ordinal."""
    segment = Segment(7, bound=BOUND)
    summary = segment.add(data)
    tables = segment.tables()
    ordinals = tables["events"]["ordinal"].to_pylist()
    assert summary.records == len(ordinals) == len(set(ordinals))
    assert summary.records or summary.rejected or tables["rejected"].num_rows or _says_nothing(data)
    places = sum(1 for _ in every_piece(data, bound=BOUND))
    assert not ordinals or max(ordinals) < places


def _says_nothing(data: bytes) -> bool:
    """Whether something sound is empty: `[]`, `{"Records":[]}`, an archive without members, a list of such."""
    return len(data) < 1 << 16


def ingest(data: bytes) -> None:
    """One object through an ingest into a case."""
    from tokentrail import Case

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence"
        path.write_bytes(data)
        with Case.open(Path(folder) / "case") as case:
            case.ingest([str(path)], workers=1, bound=BOUND)
            case.status()
            list(case.credentials())


def seeds(folder: Path) -> None:
    """Write one small file for each carrier."""
    from datetime import UTC, datetime

    from tokentrail.testing import World, carriers
    from tokentrail.testing.wrapped import tarred, zipped

    world = World(datetime(2026, 11, 23, tzinfo=UTC), 1)
    world.user("ada").assumes("Deploy").calls("s3:ListBuckets")
    records = list(world.records())[-2:]
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in carriers.WRITERS.items():
        (folder / f"seed-{name}").write_bytes(write(records))
    plain = carriers.WRITERS["cloudtrail"](records)
    for name, data in (
        ("gz", gzip.compress(plain, mtime=0)),
        ("zip", zipped([("a", plain)])),
        ("tar", tarred([("a", plain)])),
    ):
        (folder / f"seed-{name}").write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", choices=["readers", "ingest"], default="readers")
    parser.add_argument(
        "--seeds", action="store_true", help="write a seed for each carrier into the corpus and stop"
    )
    parser.add_argument("rest", nargs="*", help="options of libFuzzer, after --")
    asked = parser.parse_args()
    if asked.seeds:
        seeds(CORPUS)
        return
    found = HERE / "found"
    found.mkdir(exist_ok=True)
    options = asked.rest or ["-max_total_time=600"]
    with tempfile.TemporaryDirectory() as work:  # what is new goes there: the corpus stays small
        atheris.Setup(
            [sys.argv[0], "-timeout=20", "-rss_limit_mb=2048", "-max_len=16384", f"-artifact_prefix={found}/",
             *options, work, str(CORPUS)],
            readers if asked.target == "readers" else ingest,
        )  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    main()
