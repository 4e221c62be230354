"""What publishes a release can do no more than it must, and publishes only what was tried."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
PUBLISHING = {"publish", "image-index", "notes"}


def steps(job: str) -> list[dict[str, Any]]:
    """The steps of a job."""
    found: list[dict[str, Any]] = JOBS[job]["steps"]
    return found


def test_it_holds_no_secret_and_no_job_may_more_than_it_needs() -> None:
    """By default nothing is permitted; identity is for the jobs that attest, and no stored secret is named."""
    assert WORKFLOW["permissions"] == {}
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text()
    may = {name for name, job in JOBS.items() if job.get("permissions", {}).get("id-token") == "write"}
    assert may == {"publish", "image-index"}
    assert {name for name, job in JOBS.items() if job["permissions"].get("contents") == "write"} == {"notes"}


def test_nothing_is_published_but_what_was_tried_and_for_a_tag() -> None:
    """Files and images wait for every build and try; a start by hand publishes nothing."""
    assert set(JOBS["publish"]["needs"]) >= {"sdist", "wheels", "newest", "image-index"}
    assert set(JOBS["image-index"]["needs"]) == {"sdist", "wheels", "newest", "image"}
    assert "publish" in JOBS["notes"]["needs"]
    for name in PUBLISHING - {"notes"}:  # which comes after them
        assert JOBS[name]["if"] == "startsWith(github.ref, 'refs/tags/')"
    (push,) = (one for one in steps("image") if "push-by-digest" in one.get("run", ""))
    assert push["if"] == "startsWith(github.ref, 'refs/tags/')"


def test_only_actions_of_github_and_of_pypa_run() -> None:
    """Nobody else's code runs where something is published."""
    used = {one["uses"].partition("/")[0] for job in JOBS for one in steps(job) if "uses" in one}
    assert used == {"actions", "pypa"}


def test_each_action_is_pinned_to_a_commit() -> None:
    """A tag can be moved to other code; the hash of a commit can't."""
    used = [one["uses"] for job in JOBS for one in steps(job) if "uses" in one]
    assert used and not [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one)]


def test_what_a_runner_is_told_is_no_part_of_a_script() -> None:
    """Names of tags and actors reach shells as variables, never as text of the script."""
    assert not [one["run"] for job in JOBS for one in steps(job) if "${{" in one.get("run", "")]
