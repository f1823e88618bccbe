"""A PUT cut off at any of its steps leaves the old object or the new one, nothing between."""

from pathlib import Path

import pytest
import trio

from tests.ops.lab import FakeBody, Lab, open_lab

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])
OLD, NEW = b"old" * 1000, b"new" * 1000
STEPS_MAX = 60


class CancelAfter(trio.abc.Instrument):
    """Cancels a scope when its task has been scheduled `steps` times."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.scope = trio.CancelScope()
        self.task: trio.lowlevel.Task | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.steps -= 1
            if self.steps == 0:
                self.scope.cancel()


async def put_cancelled_after(lab: Lab, path: str, steps: int) -> bool:
    """Whether the PUT got to its end all the same."""
    cancel = CancelAfter(steps)
    cancel.task = trio.lowlevel.current_task()
    trio.lowlevel.add_instrument(cancel)
    try:
        with cancel.scope:
            await lab.ask("PUT", path, body=FakeBody(NEW, 700), x_amz_meta_v="new")
            return True
    finally:
        trio.lowlevel.remove_instrument(cancel)
    return False


@BUCKETS
async def test_put_object_cancelled_at_every_step_is_whole_or_absent(
    tmp_path: Path, bucket: str
) -> None:
    finished = False
    for steps in range(1, STEPS_MAX):
        folder = tmp_path / str(steps)
        folder.mkdir()
        async with open_lab(folder) as lab:
            await lab.put(f"/{bucket}/k", OLD, x_amz_meta_v="old")
            finished = await put_cancelled_after(lab, f"/{bucket}/k", steps)
            got = await lab.get(f"/{bucket}/k")
            assert got.body in (OLD, NEW)
            if finished:
                assert got.body == NEW
            if bucket == "www":
                assert got.headers["x-amz-meta-v"] == ("new" if got.body == NEW else "old")
                assert lab.catalog.open_intents() == []
                assert len(set(lab.blobs()) - set(lab.garbage())) == 1
            else:
                files = [path for path in lab.files.rglob("*") if path.is_file()]
                assert files == [lab.files / "k"]
        if finished:
            return
    assert finished, "the PUT takes more steps than are tried"
