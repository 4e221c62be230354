"""How evidence is cut into tasks."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tokentrail.store.tasks import TASK_BYTES, evened, tasks


@dataclass(frozen=True)
class Sized:
    """Evidence of which only the size counts."""

    name: str
    size: int
    identity: str | None = None
    distant: bool = False

    def read(self) -> bytes:
        """Never asked for here."""
        raise AssertionError(self.name)


@given(st.lists(st.integers(1, TASK_BYTES), max_size=60), st.integers(1, 4))
def test_the_last_tasks_are_small_and_nothing_is_lost(sizes: list[int], processes: int) -> None:
    """Each object is in one task, in order; where several work, the end is cut finer and the rest is as before."""
    objects = [Sized(str(place), size) for place, size in enumerate(sizes)]
    listed = list(tasks(objects))
    found = evened(listed, processes)

    assert objects == [one for task in found for one in task.objects]
    assert all(task.size == sum(one.size for one in task.objects) for task in found)
    last = len(listed) if processes == 1 else max(0, len(listed) - processes)
    assert listed[:last] == found[:last]
    largest = max(sizes, default=0)
    assert all(task.size < TASK_BYTES / 4 + largest for task in found[last:])
