"""Augment batches in a worker: seed for the batch's index, then call the augmenter."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from .._base.joining import Joining, JointAugmenter
from .._base.results import BatchResult, value_or_failure
from .._base.seeding import Seeds, batch_seeds, seed_generators, seeded_generators
from .._base.signatures import parameters_of
from .._imgaug import Portable, seed_augmenter
from ..augmenters import batch_forms
from ..augmenters.arrays import contiguous
from ..augmenters.kinds import adapted, is_imgaug
from ..fast.profiling import AugmenterTimer
from ..fast.trees import check_release, draws_from_its_own, is_of_imgaug, rewrite

Item = tuple[int, Any]

_REMEDIES = {
    "accelerate": "leave it out, and put those of imgaug's that it uses through "
    "aioaug.fast.accelerate",
    "profile": "leave it out",
}


class Augmentation(Portable):
    """An augmenter ready to work: the state of one worker. Pickle it, or call `clone`.

    What is unpickled or cloned has the faster forms of imgaug's augmenters, with `accelerate` the
    close ones, too: `TypeError` where there are none. With `profile` it measures them.
    An imgaug augmenter gets the batch's seeds as in `imgaug.multicore.Pool`. A callable that has
    a parameter `rng` gets a `numpy.random.Generator` made of both; any other finds `random`,
    `numpy.random` and OpenCV's generator seeded, and so do functions inside of imgaug's.
    """

    def __init__(
        self,
        augmenter: Any,
        seed: int,
        *,
        owns_interpreter: bool = False,
        accelerate: bool = False,
        profile: bool = False,
    ) -> None:
        for name, wanted in (("accelerate", accelerate), ("profile", profile)):
            if wanted and not is_of_imgaug(augmenter):
                kind = type(augmenter).__name__
                raise TypeError(
                    f"{name}: only for an augmenter of imgaug's, got {kind}; {_REMEDIES[name]}"
                )
        if accelerate:
            check_release("leave it out")
        self.augmenter = adapted(augmenter)
        self.seed = seed
        # Whether nobody else uses this interpreter's global generators; an engine says so.
        self.owns_interpreter = owns_interpreter
        self.accelerate = accelerate
        self.profile = profile
        self.timer: AugmenterTimer | None = None
        self._is_imgaug = is_imgaug(augmenter)
        self._draws_from_its_own = False
        self._takes_rng = not self._is_imgaug and "rng" in (parameters_of(self.augmenter) or ())

    def clone(self) -> Augmentation:
        """A copy for one more worker in this interpreter: augmenters are not thread-safe."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "forms": batch_forms.registered_forms()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        batch_forms.adopt_forms(state.pop("forms"))
        vars(self).update(state)
        if self._is_imgaug:
            self.localize(self.augmenter)
            rewrite(self.augmenter, close=self.accelerate)
            # Then nobody sees how the generators of other libraries are seeded.
            self._draws_from_its_own = draws_from_its_own(self.augmenter)
        if self.profile:
            self.timer = AugmenterTimer(self.augmenter)

    def __call__(self, index: int, batch: Any, in_place: bool = False) -> Any:
        """Augment the batch with this index; it stays as it is, unless `in_place` is set."""
        return self.run(batch, batch_seeds(self.seed, index), in_place=in_place)

    def run(self, batch: Any, seeds: Seeds, *, in_place: bool = False) -> Any:
        """Augment a batch with these seeds."""
        if self._is_imgaug:
            return self._run_imgaug(batch, seeds, in_place)
        batch = contiguous(batch)
        if not self.owns_interpreter:
            batch = copy.deepcopy(batch)
        if self._takes_rng:
            return self._run_with_rng(batch, seeds)
        with (
            self.private_rng(seeds.library),
            seeded_generators(seeds, owned=self.owns_interpreter),
        ):
            return self.augmenter(batch)

    def _run_imgaug(self, batch: Any, seeds: Seeds, in_place: bool) -> Any:
        if self.owns_interpreter and not self._draws_from_its_own:
            seed_generators(seeds)
        with self.private_rng(seeds.library):
            seed_augmenter(self.augmenter, seeds.augmenter)
            return batch_forms.augment_with(self.augmenter, batch, in_place=in_place)

    def _run_with_rng(self, batch: Any, seeds: Seeds) -> Any:
        import numpy as np

        return self.augmenter(batch, rng=np.random.default_rng(seeds))


def augment_chunk(worker: Augmentation, chunk: Sequence[Item]) -> list[BatchResult]:
    """Augment some (index, batch) pairs; a batch that fails does not touch its neighbours."""
    if isinstance(worker.augmenter, JointAugmenter):
        batches = [batch for _, batch in chunk]
        if all(isinstance(batch, Joining) for batch in batches):
            return worker.augmenter.together(batches)
    in_place = worker.owns_interpreter and _are_separate(chunk)
    return [value_or_failure(worker, index, batch, in_place) for index, batch in chunk]


def _are_separate(chunk: Sequence[Item]) -> bool:
    """Whether what was unpickled for this call shares no array among its batches.

    An array that the caller has in two batches of a chunk is one object here, too.
    """
    if len(chunk) == 1:
        return True
    import numpy as np

    arrays = {id(batch) for _, batch in chunk if type(batch) is np.ndarray}
    return len(arrays) == len(chunk)


def augment_chunk_timed(
    worker: Augmentation, chunk: Sequence[Item]
) -> tuple[list[BatchResult], dict[str, float]]:
    """The same, and how many seconds each augmenter took for it."""
    results = augment_chunk(worker, chunk)
    return results, {} if worker.timer is None else worker.timer.take()
