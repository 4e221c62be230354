"""Run statements of which some need what others make: as many at a time as the engine likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from tokentrail.store.interface import Step


def run_in_turn(listed: Sequence[Step], run: Callable[[Step], None], *, at_once: int) -> None:
    """Run statements, each after those that it needs."""
    waiting = dict(enumerate(listed))
    running: dict[Future[None], int] = {}
    done: set[int] = set()
    with ThreadPoolExecutor(at_once) as pool:
        while waiting or running:
            ready = [place for place, step in waiting.items() if step.needs <= done]
            for place in ready[: at_once - len(running)]:
                running[pool.submit(run, waiting.pop(place))] = place
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                done.add(running.pop(future))
