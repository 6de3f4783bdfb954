"""Two processes train one network, one of them is killed, and the training goes on where it was.

Each rank has its share of the batches by itself, because torch.distributed is initialised. Rank 0
writes a checkpoint after every step, with the state of the loader. When a rank dies, both are
started again, and the batches that follow are those that would have come.
"""

import hashlib
import multiprocessing
import os
import signal
import tempfile
from pathlib import Path

import aioaug.torch
import imgaug.augmenters as iaa
import numpy as np
import torch
import torch.distributed

RANKS, EPOCHS = 2, 2
KILLED_AFTER = 7  # steps


class Spots(torch.utils.data.Dataset):  # type: ignore[misc]
    """Dark pictures with a bright spot on the left (0) or on the right (1)."""

    def __len__(self) -> int:
        return 160

    def __getitem__(self, number: int) -> tuple[np.ndarray, int]:
        rng = np.random.default_rng(number)
        image = rng.integers(0, 60, (16, 16, 3), np.uint8)
        side = number % 2
        row, column = rng.integers(2, 13), rng.integers(1, 6) + 9 * side
        image[row : row + 2, column : column + 2] = 255
        return image, side


augmenter = iaa.Sequential([iaa.Flipud(0.5), iaa.Multiply((0.8, 1.2)), iaa.Affine(rotate=(-9, 9))])


def train(rank: int, folder: Path, run: int, killed_after: int | None) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    meeting = f"file://{folder}/meeting-{run}"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=RANKS)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16 * 16 * 3, 2))
    model = torch.nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    checkpoint, digests = folder / "checkpoint", folder / f"batches-{rank}"
    step, loss = 0, torch.zeros(())
    with aioaug.torch.Loader(
        Spots(), augmenter, 8, shuffle=True, seed=1, processes=1, dtype=torch.float32
    ) as loader:
        if checkpoint.exists():
            saved = torch.load(checkpoint)
            net.load_state_dict(saved["net"])
            optimizer.load_state_dict(saved["optimizer"])
            loader.load_state_dict(saved["loader"])
            step = saved["step"]
        while loader.state_dict()["epoch"] < EPOCHS:
            for images, sides in loader:
                digest = hashlib.sha256(images.numpy().tobytes()).hexdigest()
                with digests.open("a") as file:
                    print(step, digest, file=file)
                if rank == 1 and step == killed_after:
                    os.kill(os.getpid(), signal.SIGKILL)
                loss = torch.nn.functional.cross_entropy(model(images), sides)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
                if rank == 0:
                    state = {
                        "net": net.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "loader": loader.state_dict(),
                        "step": step,
                    }
                    torch.save(state, folder / "new")
                    os.replace(folder / "new", checkpoint)
    if rank == 0:
        print(f"{step} steps, the loss of the last one is {loss:.3f}")
    torch.distributed.destroy_process_group()


def run_ranks(folder: Path, run: int, killed_after: int | None = None) -> None:
    context = multiprocessing.get_context("spawn")
    ranks = [
        context.Process(target=train, args=(rank, folder, run, killed_after))
        for rank in range(RANKS)
    ]
    for process in ranks:
        process.start()
    ranks[1].join()
    if ranks[1].exitcode:  # the other one waits for it in the next step
        ranks[0].kill()
    ranks[0].join()


def batches_of(folder: Path) -> list[dict[str, str]]:
    """The batch of each step, of each rank; a step that was done twice had the same one."""
    found = []
    for rank in range(RANKS):
        batches: dict[str, str] = {}
        for line in (folder / f"batches-{rank}").read_text().splitlines():
            step, digest = line.split()
            if batches.setdefault(step, digest) != digest:
                raise SystemExit(f"step {step} of rank {rank} had two batches")
        found.append(batches)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        interrupted, whole = Path(first), Path(second)
        run_ranks(interrupted, 1, KILLED_AFTER)
        print(f"rank 1 was killed after {KILLED_AFTER} steps")
        run_ranks(interrupted, 2)
        run_ranks(whole, 3)
        one, other = batches_of(interrupted), batches_of(whole)
        print("equally many batches:", len(one[0]) == len(one[1]))
        print("the same batches as without the kill:", one == other)


if __name__ == "__main__":
    main()
