"""Lightning trains on a `Loader`: it takes it as it is, in the place of a DataLoader."""

import logging
import os
import warnings

import aioaug.torch
import imgaug.augmenters as iaa
import lightning
import numpy as np
import torch
from skimage import data

EPOCHS = int(os.environ.get("EPOCHS", "20"))


class Faces(torch.utils.data.Dataset):  # type: ignore[misc]
    """Pictures (H,W,1) of bytes, and whether they are faces."""

    def __init__(self) -> None:
        self.pictures = (data.lfw_subset() * 255).round().astype(np.uint8)[..., np.newaxis]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[np.ndarray, float]:
        return self.pictures[number], float(number < 100)


class Network(lightning.LightningModule):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(25 * 25, 128),
            torch.nn.ReLU(),
            torch.nn.Linear(128, 1),
        )
        self.losses: list[float] = []

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        images, is_face = batch
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            self.net(images)[:, 0], is_face.float()
        )
        self.losses.append(float(loss.detach()))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 1e-3)


def main() -> None:
    warnings.filterwarnings("ignore", module="lightning")  # it advises on the machine
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    lightning.seed_everything(1, verbose=False)
    network = Network()
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    augmenter = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-15, 15), mode="edge")])
    with aioaug.torch.Loader(
        Faces(), augmenter, 25, shuffle=True, seed=1, processes=1, mean=0.4, std=0.25
    ) as loader:
        trainer.fit(network, loader)
    steps = len(network.losses)
    first, last = np.mean(network.losses[:8]), np.mean(network.losses[-8:])
    print(f"{steps} steps, the loss went from {first:.2f} to {last:.2f}")


if __name__ == "__main__":
    main()
