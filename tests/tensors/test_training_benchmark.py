"""`aioaug bench train`: both ways make the same kind of batches."""

from __future__ import annotations

import aioaug
import numpy as np
import pytest
from aioaug.bench import files, train
from aioaug.bench.trial_spec import TrialSpec
from aioaug.bench.workloads import augmenter

torch = pytest.importorskip("torch")

import aioaug.torch  # noqa: E402


@pytest.fixture
def job(tmp_path):
    files.make_files(tmp_path, 8)
    return TrialSpec("aioaug", "train", folder=str(tmp_path))


@pytest.fixture(params=["albumentations", "torchvision"])
def theirs(job, request):
    pytest.importorskip(request.param)
    picture = {"albumentations": train.TrainingPicture, "torchvision": train.TorchvisionPicture}
    read = files.JpegFiles(job.folder, picture[request.param]())
    return torch.stack([read[number] for number in range(8)])


async def first_of_ours(job):
    options = {"seed": 1, "engine": "inline", **train.pool_options()}
    async with aioaug.AsyncPool(augmenter("train"), **options) as pool:
        async with train.our_tensors(pool, job) as stream:
            return (await anext(stream)).images


def test_tensors_of_jpegs(job, theirs):
    ours = aioaug.run(first_of_ours(job))
    for tensors in (ours, theirs):
        assert (tensors.dtype, tensors.shape[1:]) == (torch.float32, (3, 224, 224))
        assert tensors.is_contiguous()
    # Of the same pictures, resized and brightened alike.
    np.testing.assert_allclose(ours.mean((0, 2, 3)), theirs.mean((0, 2, 3)), atol=0.5)
    np.testing.assert_allclose(ours.std((0, 2, 3)), theirs.std((0, 2, 3)), atol=0.5)
