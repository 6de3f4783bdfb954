"""Loaders in the training loops of frameworks, each of which is skipped where it is missing."""

from __future__ import annotations

import numpy as np
import pytest
from tensors_testing import NamedPictures, Pictures

torch = pytest.importorskip("torch")

import aioaug  # noqa: E402
import aioaug.torch  # noqa: E402
import imgaug.augmenters as iaa  # noqa: E402

EPOCHS = 2


def loader(pictures):
    return aioaug.torch.Loader(
        pictures, iaa.Fliplr(0.5), 4, shuffle=True, seed=3, dtype=torch.float32, engine="inline"
    )


def sums():
    """What the images of each batch add up to, of both epochs in a row."""
    with loader(Pictures(40, 8)) as ours:
        return [images.sum().item() for _ in range(EPOCHS) for images, _ in ours]


def network():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))


@pytest.mark.parametrize("in_dataloader", [False, True])
def test_accelerate(in_dataloader):
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    net, got = network(), []
    steps = torch.optim.SGD(net.parameters(), lr=1e-3)
    with loader(Pictures(40, 8)) as ours:
        whole = torch.utils.data.DataLoader(ours, batch_size=None) if in_dataloader else ours
        net, steps, batches = accelerator.prepare(net, steps, whole)
        for _ in range(EPOCHS):
            for images, labels in batches:
                loss = torch.nn.functional.cross_entropy(net(images), labels % 2)
                accelerator.backward(loss)
                steps.step()
                steps.zero_grad()
                got.append(images.sum().item())
    np.testing.assert_allclose(got, sums(), rtol=1e-5)


@pytest.mark.filterwarnings("default")  # its own are not ours to mend
def test_trainer_of_transformers(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    got = []

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, images, labels):
            got.append(images.sum().item())
            logits = self.net(images)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels % 2), "logits": logits}

    class OurTrainer(transformers.Trainer):
        def get_train_dataloader(self):
            return torch.utils.data.DataLoader(self.train_dataset, batch_size=None)

    arguments = transformers.TrainingArguments(
        str(tmp_path),
        num_train_epochs=EPOCHS,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    with loader(NamedPictures(40, 8)) as ours:
        done = OurTrainer(Net(), arguments, train_dataset=ours).train()
    assert done.global_step == EPOCHS * 10
    np.testing.assert_allclose(got, sums(), rtol=1e-5)


async def test_jax_takes_arrays():
    jax = pytest.importorskip("jax")
    given = [np.full((4, 8, 8, 3), place, np.uint8) for place in range(3)]
    async with (
        aioaug.AsyncPool(iaa.Fliplr(0.5), seed=1, engine="inline") as pool,
        aioaug.arrays(pool.imap_batches(given), dtype="float32") as batches,
    ):
        got = [float(jax.numpy.from_dlpack(batch).mean()) async for batch in batches]
    np.testing.assert_allclose(got, [0, 1 / 255, 2 / 255], rtol=1e-5)
