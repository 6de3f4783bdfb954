"""Clusters for the tests: real ones, on this machine; skipped where they are not installed."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
import time

import clusters_testing as cl
import pytest


def pytest_collection_modifyitems(items):
    """They have a leg of their own in `.ci/run`; `-m "not slow"` has what is quick of them."""
    for item in items:
        if "clusters/" in str(item.path) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(120))


@pytest.fixture(autouse=True)
def no_leaks():
    """Clusters have processes and descriptors of their own, but we leave no thread behind."""
    yield
    end = time.monotonic() + 3
    while (left := _our_threads()) and time.monotonic() < end:
        time.sleep(0.01)
    assert not left


def _our_threads():
    return [each.name for each in threading.enumerate() if each.name.startswith("aioaug-")]


@pytest.fixture(scope="session")
def dask_programs():
    """A scheduler and two workers with one thread each."""
    pytest.importorskip("distributed")
    programs = cl.DaskPrograms()
    try:
        for _ in range(2):
            programs.add_worker()
        asyncio.run(programs.ready(2))
        yield programs
    finally:
        programs.close()


@pytest.fixture(scope="session")
def ray_address():
    """Ray with two CPUs."""
    ray = pytest.importorskip("ray")
    # By default Ray's workers stand back behind all other programs: a busy machine starts none.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own name
    context = ray.init(
        num_cpus=2,
        include_dashboard=False,
        logging_level="ERROR",
        object_store_memory=200 << 20,
        runtime_env={"env_vars": {"PYTHONPATH": f"{cl.ROOT}:{cl.SUPPORT}"}},
    )
    yield context.address_info["address"]
    ray.shutdown()


@pytest.fixture(params=["dask", "ray"])
def kind(request):
    """The clusters that can be had here, one after the other."""
    if importlib.util.find_spec("distributed" if request.param == "dask" else "ray") is None:
        pytest.skip(f"{request.param} is not installed")
    request.getfixturevalue("dask_programs" if request.param == "dask" else "ray_address")
    return request.param


@pytest.fixture
async def make(kind, request):
    """An engine on a cluster, for `engine=`."""
    from aioaug.engines import DaskEngine, RayEngine

    if kind == "ray":
        yield RayEngine()
        return
    programs = request.getfixturevalue("dask_programs")
    async with cl.client_of(programs.address) as client:
        await cl.workers_of(client, 2)
        yield DaskEngine(client)
        await cl.gone(client)
