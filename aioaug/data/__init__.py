"""Labelled datasets: references go to the workers, which read, decode and augment the pictures."""

from .archives import Table, Tar
from .batches import DatasetBatches
from .decoding import DataBatch, ReferenceBatch, decode
from .folders import Files, Frame, ImageFolder
from .references import FileReference
from .samples import MovableLabels, PictureDataset, Reference, Sample

__all__ = [
    "DataBatch",
    "DatasetBatches",
    "FileReference",
    "Files",
    "Frame",
    "ImageFolder",
    "MovableLabels",
    "PictureDataset",
    "Reference",
    "ReferenceBatch",
    "Sample",
    "Table",
    "Tar",
    "decode",
]
