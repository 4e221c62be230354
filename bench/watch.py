"""
Measure `tokentrail watch`: does it keep up, how late is a finding, does memory stay flat.

    python bench/watch.py --seconds 120                  # 2,000 events a second, as they would come
    python bench/watch.py --seconds 3600 --speed 4       # an hour of load in a quarter of one

A small server of our own stands for SQS and S3, in this process; the watch is a process of its own, with the whole
catalogue on. Every five seconds two incidents are planted: a token that was minted a minute before (--dormant) mints a
role session, and a session goes on whose key was deactivated a minute before. Each finding is known by its event, and
timed from the moment at which the message could be received to the line on the watch's standard output.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from evidence import ACCOUNTS, REGIONS, START, Maker, Session, iso, us_date

EVERY = 5
OBJECT = 200
"""Events of an object."""
QUARTERS = 4


@dataclass
class Cloud:
    """A queue and a bucket, in memory."""

    objects: dict[str, bytes] = field(default_factory=dict)
    waiting: deque[tuple[str, str, float]] = field(default_factory=deque)
    flying: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    deleted: int = 0

    def tell(self, key: str, data: bytes) -> float:
        body = json.dumps(
            {
                "Records": [
                    {
                        "eventName": "ObjectCreated:Put",
                        "s3": {"bucket": {"name": "logs"}, "object": {"key": key}},
                    }
                ]
            }
        )
        now = time.time()
        with self.changed:
            self.objects[key] = data
            self.waiting.append((key, body, now))
            self.changed.notify()
        return now

    def sqs(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            if operation == "ReceiveMessage":
                self.changed.wait_for(lambda: bool(self.waiting), asked.get("WaitTimeSeconds", 0))
                found = []
                while self.waiting and len(found) < asked.get("MaxNumberOfMessages", 1):
                    one = self.waiting.popleft()
                    self.flying[one[0]] = one
                    found.append(
                        {
                            "MessageId": one[0],
                            "ReceiptHandle": one[0],
                            "Body": one[1],
                            "Attributes": {
                                "SentTimestamp": str(int(one[2] * 1000)),
                                "ApproximateReceiveCount": "1",
                            },
                        }
                    )
                return {"Messages": found} if found else {}
            if operation == "DeleteMessageBatch":
                for one in asked["Entries"]:
                    if self.flying.pop(one["ReceiptHandle"], None):
                        self.deleted += 1
                        self.objects.pop(one["ReceiptHandle"], None)
                return {"Successful": [{"Id": one["Id"]} for one in asked["Entries"]], "Failed": []}
            if operation == "ChangeMessageVisibilityBatch":
                return {"Successful": [{"Id": one["Id"]} for one in asked["Entries"]], "Failed": []}
            return {
                "Attributes": {
                    "VisibilityTimeout": "30",
                    "ApproximateNumberOfMessages": str(len(self.waiting)),
                    "ApproximateNumberOfMessagesNotVisible": str(len(self.flying)),
                }
            }


def served(cloud: Cloud) -> str:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            answer = cloud.sqs(self.headers["X-Amz-Target"].rpartition(".")[2], json.loads(content))
            self.answer(json.dumps(answer).encode(), "application/x-amz-json-1.0")

        def do_GET(self) -> None:
            data = cloud.objects.get(self.path.partition("?")[0].removeprefix("/logs/"))
            self.answer(data or b"", "binary/octet-stream", 200 if data else 404)

        def answer(self, data: bytes, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class Load:
    """Makes the events of an organisation, and incidents among them whose halves lie so many seconds apart."""

    def __init__(self, seed: int, dormant: int) -> None:
        self.random = random.Random(seed)
        self.makers = [Maker(n, seed) for n in range(ACCOUNTS)]
        self.begun: deque[tuple[int, Callable[[int], str]]] = deque()
        self.dormant, self.sent = dormant, 0

    def object(self, when: int, extra: list[str]) -> bytes:
        maker = self.random.choice(self.makers)
        region = self.random.choice(REGIONS)
        records = [maker.event(when, region) for _ in range(OBJECT)] + extra
        return gzip.compress(('{"Records":[' + ",".join(records) + "]}").encode(), 1)

    def begin(self, when: int) -> list[str]:
        """The first halves of two incidents."""
        maker = self.random.choice(self.makers)
        return [self.steals(maker, when), *self.cuts(maker, when)]

    def end(self, when: int) -> dict[str, str]:
        """The second halves of those that began long enough ago, by the ids of their events."""
        told = []
        while self.begun and when - self.begun[0][0] >= self.dormant:
            told.append(self.begun.popleft()[1](when))
        return {json.loads(text)["eventID"]: text for text in told}

    def steals(self, maker: Maker, when: int) -> str:
        """A token is minted, and later mints."""
        user, key = maker.user(900 + 2 * self.sent), "ASIA" + maker.base32(16)
        identity = user.identity.replace(user.key, key).replace(
            '"userName"',
            f'"sessionContext":{{"attributes":{{"creationDate":"{iso(when)}","mfaAuthenticated":"false"}}}},"userName"',
        )
        token = Session(key, identity, "192.0.2.66", "Boto3/1.0")
        self.begun.append((when, lambda later: minted(maker, token, later)))
        until = us_date(when + 129600)
        answer = f'{{"credentials":{{"accessKeyId":"{key}","sessionToken":"FAKE","expiration":"{until}"}}}}'
        return maker.record(user, when, REGIONS[0], "sts", "GetSessionToken", "null", answer, "")

    def cuts(self, maker: Maker, when: int) -> Iterator[str]:
        """A session is minted, its key is deactivated, and later the session goes on."""
        user = maker.user(901 + 2 * self.sent)
        live = maker.live
        maker.live = []
        yield minted(maker, user, when)
        [session] = maker.live
        maker.live = live
        asked = (
            f'{{"userName":"service-{901 + 2 * self.sent}","accessKeyId":"{user.key}","status":"Inactive"}}'
        )
        yield maker.record(maker.users[0], when + 1, REGIONS[0], "iam", "UpdateAccessKey", asked, "null", "")
        self.begun.append(
            (
                when,
                lambda later: maker.record(
                    session, later, REGIONS[0], "s3", "ListBuckets", "null", "null", ""
                ),
            )
        )


def minted(maker: Maker, by: Session, when: int) -> str:
    """A role session by some credential alone."""
    kept, maker.users, maker.live = (maker.users, maker.live), [by], []
    text = maker.issuance(when, REGIONS[0])
    maker.users, maker.live = kept[0], [*kept[1], *maker.live]
    return text


def resident(pid: int) -> float:
    """Megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak(pid: int) -> float:
    """Megabytes at most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1e3
    return 0.0


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def worked(pid: int) -> float:
    """Seconds of processor time, with that of children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def lateness(late: list[float]) -> str:
    """How late findings were."""
    if not late:
        return "none"
    late = sorted(late)
    shown = [statistics.median(late), late[int(len(late) * 0.95)], late[-1]]
    return "median {:.2f}, 19 in 20 within {:.2f}, all within {:.2f}".format(*shown)


class Run:
    """One watch under load, and what was seen of it."""

    def __init__(self, asked: argparse.Namespace, case: Path) -> None:
        self.asked, self.case = asked, case
        self.cloud, self.load = Cloud(), Load(11, asked.dormant)
        self.planted: dict[str, float] = {}
        self.late: list[tuple[float, float]] = []
        """When a finding was told, in seconds since 1970, and how late."""
        self.began = time.time()
        self.memory: list[tuple[float, float]] = []
        """When, and megabytes."""
        self.processor: list[tuple[float, float]] = []
        """When, and seconds of processor time."""
        self.lines = 0
        self.most_waiting = 0
        url = served(self.cloud)
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": "AKIABENCH0000000001", "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
        given = ("--hot", str(asked.hot)) if asked.hot else ()
        self.watch = subprocess.Popen(
            [sys.executable, "-m", "tokentrail", "watch", f"sqs:{url}/1/trail",
             "--endpoint-url", url, "--case", str(case), "--format", "jsonl", *given],
            stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        """Time the findings as they come."""
        assert self.watch.stdout is not None
        for line in self.watch.stdout:
            now = time.time()
            self.lines += 1
            if ('"token-mints-tokens"' in line or '"outlived-key"' in line) and '"change": "new"' in line:
                known = [event for event in json.loads(line)["events"] if event in self.planted]
                self.late += [(now, now - self.planted.pop(event)) for event in known]

    def drive(self) -> float:
        """Send the load at its pace; how long that took."""
        while not (self.case / "watch" / "state.json").exists():
            time.sleep(0.1)
        began = self.began = time.time()
        next_planted = next_sample = 0.0
        while (elapsed := (time.time() - began) * self.asked.speed) < self.asked.seconds:
            due = self.load.sent * OBJECT / self.asked.rate
            if due > elapsed:
                time.sleep(min(0.05, (due - elapsed) / self.asked.speed))
                continue
            plant = elapsed >= next_planted
            next_planted = elapsed + EVERY if plant else next_planted
            self.send(START + int(elapsed), plant=plant)
            self.most_waiting = max(self.most_waiting, len(self.cloud.waiting))
            if elapsed >= next_sample:
                next_sample = elapsed + max(2.0, self.asked.seconds / 400)
                self.memory.append((elapsed, resident(self.watch.pid)))
                self.processor.append((elapsed, worked(self.watch.pid)))
        self.processor.append((self.asked.seconds, worked(self.watch.pid)))
        return time.time() - began

    def send(self, when: int, *, plant: bool) -> None:
        """Send an object, with parts of incidents in it if wanted."""
        ended = self.load.end(when) if plant else {}
        data = self.load.object(when, [*ended.values(), *(self.load.begin(when) if plant else ())])
        self.load.sent += 1
        self.planted |= dict.fromkeys(ended, time.time())
        self.cloud.tell(f"{self.load.sent:08d}.json.gz", data)

    def end(self) -> float:
        """Wait until all is taken, and stop the watch; how long that took."""
        began = time.time()
        while (self.cloud.waiting or self.cloud.flying) and time.time() < began + 180:
            time.sleep(0.1)
        took = time.time() - began
        self.peak = peak(self.watch.pid)
        told = time.time()
        while self.planted and time.time() < told + 90:
            time.sleep(0.5)
        self.watch.terminate()
        self.watch.wait(180)
        return took

    def report(self, took: float, drained: float) -> None:
        """Print what was seen."""
        events = self.load.sent * OBJECT
        print(f"events                {events:,} in {took:.0f} s: {events / took:,.0f} a second")
        waited = self.most_waiting * OBJECT / self.asked.rate / self.asked.speed
        print(
            f"waiting               {waited:.1f} s of load at most; all taken {drained:.1f} s after the last"
        )
        print(f"incidents             {len(self.late)} found, {len(self.planted)} not found")
        if self.late:
            print(f"seconds to a finding  {lateness([one for _, one in self.late])}")
            for n in range(QUARTERS):
                within = [one for at, one in self.late if int((at - self.began) * QUARTERS / took) == n]
                print(f"  quarter {n + 1}           {lateness(within)}")
        whole = [self.work(n / QUARTERS, (n + 1) / QUARTERS) for n in range(QUARTERS)]
        print(
            f"processor             {self.work(0.0, 1.0):.2f} of a core; by quarters "
            + " ".join(f"{one:.2f}" for one in whole)
        )
        print(f"notices               {self.lines:,}")
        print(f"preloaded             {os.environ.get('LD_PRELOAD') or 'nothing'}")
        means = [self.mean(n / QUARTERS, (n + 1) / QUARTERS) for n in range(QUARTERS)]
        print("memory, MB            " + " ".join(f"{one:.0f}" for one in means) + " by quarters; at most "
              f"{self.peak:.0f}")  # fmt: skip
        if means[1] and means[3]:
            print(f"last quarter / second {means[3] / means[1]:.2f}")
        shown = [size(self.case / name) / events for name in ("derived", "segments", "objects")]
        print("bytes an event        derived {:.0f}, columns {:.0f}, evidence {:.0f}".format(*shown))
        print(f"manifests             {sum(1 for _ in (self.case / 'manifests').glob('*.json'))}")

    def mean(self, start: float, end: float) -> float:
        """Mean memory in a part of the run."""
        seconds = self.asked.seconds
        found = [one for at, one in self.memory if start * seconds <= at < end * seconds]
        return statistics.mean(found) if found else 0.0

    def work(self, start: float, end: float) -> float:
        """Cores that were busy in a part of the run, at one second of load a second."""
        seconds = self.asked.seconds
        found = [one for one in self.processor if start * seconds <= one[0] <= end * seconds]
        return (found[-1][1] - found[0][1]) / max(found[-1][0] - found[0][0], 1e-9) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=120, help="seconds of load, as the events tell them")
    parser.add_argument("--rate", type=int, default=2000, help="events in such a second")
    parser.add_argument("--speed", type=float, default=1.0, help="such seconds in a real one")
    parser.add_argument("--dormant", type=int, default=60, help="seconds between an incident's halves")
    parser.add_argument(
        "--hot", type=int, default=0, help="records that a turn judges; the default of the verb by default"
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run(parser.parse_args(), Path(folder) / "case")
        took = run.drive()
        run.report(took, run.end())


if __name__ == "__main__":
    main()
