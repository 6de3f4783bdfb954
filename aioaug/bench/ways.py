"""How each library is used: a source of batches in, augmented batches out.

Every way is a context that gives an iterator over the results. The workers of all of them run one
native thread each, as those of imgaug and aioaug do, and `serial` does; `serial-threads` does not.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Any

from .._base.optional import need
from .trial_spec import TrialSpec
from .workloads import (
    ALBUMENTATIONS,
    AugmentedDataset,
    AugmentedPictures,
    WorkloadSource,
    augmented,
    augmenter,
)

Way = Callable[[TrialSpec, WorkloadSource], AbstractContextManager[Iterator[Any]]]


@contextmanager
def serial(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """imgaug without anything around it, on one core."""
    one_native_thread()
    with serial_threads(job, source) as results:
        yield results


@contextmanager
def serial_threads(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """imgaug without anything around it; OpenCV uses threads of its own, on every core."""
    augment = augmenter(job.workload).augment_batch_
    yield (augment(batch) for batch in source)


@contextmanager
def imgaug_pool(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """imgaug.multicore.Pool."""
    from imgaug import multicore

    with multicore.Pool(augmenter(job.workload), processes=job.workers, seed=1) as pool:
        if job.what.listed:
            yield chain.from_iterable(map(pool.map_batches, source.lists(job.what.listed)))
            return
        results = pool.imap_batches(
            iter(source), chunksize=job.what.chunksize, output_buffer_size=job.lookahead
        )
        yield results
        source.stop()
        for _ in results:  # it hangs if it is left early
            pass


@contextmanager
def torch(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """A DataLoader whose workers make the batches themselves: nothing is sent to them."""
    by_picture = job.what.augmenter == ALBUMENTATIONS
    pictures = AugmentedPictures(job.workload) if by_picture else AugmentedDataset(job.workload)
    yield by_data_loader(job, pictures, job.what.shape[0] if by_picture else None)


def by_data_loader(job: TrialSpec, items: Any, batch_size: int | None) -> Iterator[Any]:
    """The batches of PyTorch's `DataLoader` over these items, in their order."""
    loader = need("torch.utils.data", extra="bench").DataLoader(
        items,
        batch_size=batch_size,
        sampler=range(len(items)),
        num_workers=job.workers,
        prefetch_factor=max(1, job.lookahead // job.workers),
        worker_init_fn=one_native_thread,
    )
    return (tensor.numpy() for tensor in loader)


@contextmanager
def spdl(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """A pipeline with one stage that runs in processes."""
    from concurrent.futures import ProcessPoolExecutor

    pipeline = need("spdl.pipeline", extra="bench")
    chunks = job.what.chunksize > 1
    executor = ProcessPoolExecutor(
        job.workers, multiprocessing.get_context("forkserver"), one_native_thread
    )
    builder = pipeline.PipelineBuilder().add_source(iter(source))
    if chunks:
        builder = builder.aggregate(job.what.chunksize)
    builder = builder.pipe(
        AugmentAll(job.workload) if chunks else Augment(job.workload),
        executor=executor,
        concurrency=2 * job.workers,
        output_order="input",
    )
    if chunks:
        builder = builder.disaggregate()
    line = builder.add_sink(job.lookahead - 2 * job.workers).build(num_threads=1)
    with executor, line.auto_stop():
        yield line.get_iterator()
        source.stop()


@contextmanager
def spdl_subprocess(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """A pipeline whose threads make the batches themselves, all in one process of its own."""
    yield iter(_spdl_elsewhere(job))


@contextmanager
def spdl_shared(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """The same, and results come in shared memory, which SPDL 0.5 has."""
    pipeline = need("spdl.pipeline", extra="bench")
    most = int(job.what.megabytes * 1e6) + (1 << 16)
    yield iter(_spdl_elsewhere(job, arena=pipeline.SharedMemorySegmentPool(most, job.lookahead)))


def _spdl_elsewhere(job: TrialSpec, **options: Any) -> Any:
    pipeline = need("spdl.pipeline", extra="bench")
    source = range(len(AugmentedDataset(job.workload)))
    stage = (
        pipeline.PipelineBuilder()
        .add_source(source)
        .pipe(Make(job.workload), concurrency=job.workers, output_order="input")
    )
    return pipeline.run_pipeline_in_subprocess(
        stage.add_sink(max(1, job.lookahead // 2)).get_config(),
        num_threads=job.workers,
        buffer_size=max(1, job.lookahead // 2),
        initializer=one_native_thread,
        **options,
    )


@contextmanager
def grain(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """`mp_prefetch`: the workers make the batches themselves, nothing is sent to them."""
    lib = need("grain", extra="bench")
    options = lib.multiprocessing.MultiprocessingOptions(
        num_workers=job.workers, per_worker_buffer_size=max(1, job.lookahead // job.workers)
    )
    numbers = lib.MapDataset.range(len(AugmentedDataset(job.workload)))
    # By default each worker has threads, and is 500 batches ahead.
    alone = lib.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    dataset = numbers.map(Make(job.workload)).to_iter_dataset(alone)
    results = iter(dataset.mp_prefetch(options, worker_init_fn=one_native_thread))
    yield results
    results.close()


@contextmanager
def joblib(job: TrialSpec, source: WorkloadSource) -> Iterator[Iterator[Any]]:
    """`Parallel` with loky's processes, its results as a generator."""
    lib = need("joblib", extra="bench")
    parallel = lib.Parallel(
        n_jobs=job.workers,
        return_as="generator",
        batch_size=job.what.chunksize,
        pre_dispatch=job.lookahead,
        max_nbytes=None,  # otherwise every batch becomes a file, all kept until the end
    )
    results = parallel(lib.delayed(Augment(job.workload))(batch) for batch in source)
    yield results
    source.stop()
    for _ in results:
        pass


WAYS: dict[str, Way] = {
    "serial": serial,
    "serial-threads": serial_threads,
    "imgaug": imgaug_pool,
    "torch": torch,
    "spdl": spdl,
    "spdl-subprocess": spdl_subprocess,
    "spdl-shared": spdl_shared,
    "grain": grain,
    "joblib": joblib,
}


class Augment:
    """Augments batches of a workload; what goes to a worker is the workload's name."""

    def __init__(self, workload: str) -> None:
        self.workload = workload

    def __call__(self, batch: Any) -> Any:
        one_native_thread()
        return augmenter(self.workload).augment_batch_(batch)


class AugmentAll(Augment):
    """Augments a list of batches."""

    def __call__(self, batches: list[Any]) -> list[Any]:
        return list(map(super().__call__, batches))


class Make(Augment):
    """Makes the batch with a number, already augmented."""

    def __call__(self, number: int) -> Any:
        return augmented(self.workload, number)


def one_native_thread(*_: object) -> None:
    """Switch off OpenCV's threads: there is a worker for each core already."""
    import cv2

    cv2.setNumThreads(0)
