"""
How fast evidence in S3 on loopback becomes a case, over how fast the same becomes one from disk.

    python bench/s3.py [FOLDER] [--events 700000] [--rounds 3] [--cores 2]

Contestants take turns, each time in a fresh process; the ratio is the median of each round's own. The bucket is a
folder that a small server of our own hands out, since moto's costs many times what reading does; it runs on the same
cores all the same, so that what it takes counts against S3. Without FOLDER evidence is made (bench/evidence.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import bytecode

import evidence

WANTED = 0.7


class Bucket:
    """A folder as S3 hands it out: listings and objects, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
        }
        self.keys = sorted(self.files)
        self.etags = {key: hashlib.md5(key.encode()).hexdigest() for key in self.keys}
        self.sizes = {key: path.stat().st_size for key, path in self.files.items()}
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        waiting = b""
        with connection, suppress(ConnectionError):
            while True:
                while b"\r\n\r\n" not in waiting:
                    got = connection.recv(65_536)
                    if not got:
                        return
                    waiting += got
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                line, *headers = head.decode("latin-1").split("\r\n")
                self._answer(connection, line.split(" ")[1], headers)

    def _answer(self, connection: socket.socket, target: str, headers: list[str]) -> None:
        parts = urlsplit(target)
        key = unquote(parts.path.lstrip("/").partition("/")[2])
        if not key:
            body = self._listing({name: values[0] for name, values in parse_qs(parts.query).items()})
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(body)
                + body
            )
            return
        size = self.sizes[key]
        first = any(one.lower().startswith("range: bytes=0-0") for one in headers)
        status = f"206 Partial Content\r\nContent-Range: bytes 0-0/{size}" if first else "200 OK"
        length = 1 if first else size
        head = f'HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: "{self.etags[key]}"\r\n\r\n'
        connection.sendall(head.encode())
        with self.files[key].open("rb") as file:
            connection.sendfile(file, count=length)

    def _listing(self, asked: dict[str, str]) -> bytes:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter")
        after = asked.get("continuation-token") or asked.get("start-after", "")
        found: list[str] = []
        folders: set[str] = set()
        last, truncated = "", False
        for key in self.keys:
            if not key.startswith(prefix) or key <= after:
                continue
            rest = key.removeprefix(prefix)
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            if len(found) == 1000:
                truncated = True
                break
            found.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{self.sizes[key]}</Size>"
                f"<ETag>&quot;{self.etags[key]}&quot;</ETag></Contents>"
            )
            last = key
        commons = [
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)
        ]
        more = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if truncated else ""
        told = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{more}{''.join(found)}{''.join(commons)}"
        return f"<ListBucketResult>{told}</ListBucketResult>".encode()


def one_run(source: str, endpoint: str | None, cores: int) -> dict[str, float]:
    """Ingest into a fresh case; seconds from the call to the committed case, without linking."""
    from tokentrail.sources import dispatch
    from tokentrail.sources.interface import Access, Wanted
    from tokentrail.store.folder import CaseFolder
    from tokentrail.store.ingest import ingest
    from tokentrail.store.tasks import Options
    from tokentrail.store.without_pandas import load_arrow_without_pandas

    load_arrow_without_pandas()  # as the program does
    with tempfile.TemporaryDirectory() as parent:
        folder = CaseFolder.open(Path(parent) / "case")
        started, before = time.perf_counter(), sum(os.times()[:4])
        events = 0
        for batch in dispatch.batches([source], [Access(endpoint_url=endpoint)], Wanted(), folder):
            events += sum(
                one.records for one in ingest(folder, batch.objects, options=Options(), workers=cores)
            )
        return {
            "seconds": time.perf_counter() - started, "cpu": sum(os.times()[:4]) - before, "events": events,
        }  # fmt: skip


def measured(source: str, endpoint: str | None, cores: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--run", source, "--cores", str(cores)]
    environment = {
        **os.environ, "AWS_ACCESS_KEY_ID": "AKIABENCH", "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    done = subprocess.run(
        [*command, *(("--endpoint", endpoint) if endpoint else ())],
        check=True, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    return json.loads(done.stdout)


def compare(folder: Path, rounds: int, cores: int) -> None:
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        endpoint = server.stdout.readline().strip()
        ratios, rates = [], {"disk": [], "s3": []}
        for _ in range(rounds):
            disk, far = measured(str(folder), None, cores), measured("s3://bench/", endpoint, cores)
            assert disk["events"] == far["events"]
            ratios.append(disk["seconds"] / far["seconds"])
            for name, one in (("disk", disk), ("s3", far)):
                rates[name].append(one["events"] / one["seconds"])
                print(
                    f"  {name:5}{one['events'] / one['seconds']:>10,.0f} events/s  {one['cpu']:.1f} s CPU",
                    file=sys.stderr,
                )
    finally:
        server.kill()
        server.wait()
    for name, some in rates.items():
        print(f"{name:6}{statistics.median(some):>10,.0f} events/s on {cores} cores")
    print(f"S3 on loopback, times disk: {statistics.median(ratios):.2f}   at least {WANTED}")


def main() -> None:
    parser = evidence.options(__doc__, events=700_000, cores=os.cpu_count() or 1)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        bucket = Bucket(asked.serve)
        print(bucket.url, flush=True)
        bucket.serve()
    elif asked.run:
        print(json.dumps(one_run(asked.run, asked.endpoint, asked.cores)))
    else:
        with bytecode.kept("tokentrail.sources.s3"), tempfile.TemporaryDirectory() as made:
            if asked.folder is None:
                evidence.write(Path(made), asked.events)
            compare(asked.folder or Path(made), asked.rounds, asked.cores)


if __name__ == "__main__":
    main()
