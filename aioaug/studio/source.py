"""Programs that make the pictures which the page shows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .pictures import OpenedDataset
from .trees import Node, is_whole_given, source
from .work import PipelineSpec


class ShownPicture(NamedTuple):
    """One picture at some index: its number or the name of its file, and its size if resized."""

    number: int | None
    upload: str
    resize: tuple[int, int] | None
    at: int  # its index


class ShownBatch(NamedTuple):
    """A batch of a run."""

    number: int
    size: int
    shuffle: bool


def python_program(
    tree: Node,
    specs: Mapping[str, PipelineSpec],
    opened: OpenedDataset,
    shown: ShownPicture | ShownBatch,
    seed: int,
) -> str:
    """A file that makes the pixels of what is shown, and writes them as PNGs."""
    given = _Given(specs)
    expression = source(tree, given)
    single = isinstance(shown, ShownPicture)
    if isinstance(shown, ShownPicture) and shown.number is None:
        names: Sequence[str] = ("Files",)
        lines: Sequence[str] = (f"dataset = Files([{shown.upload!r}])  # beside this file",)
    else:
        names, lines = opened.names, opened.lines
    imports = ["import asyncio", *given.imports, "", "import aioaug"]
    if "iaa." in expression:
        imports.append("import imgaug.augmenters as iaa")
    if "iap." in expression:
        imports.append("import imgaug.parameters as iap")
    # A function of images is given those alone, as by the studio's workers, and returns a list.
    forms = not is_whole_given(tree) or specs[tree["given"]].forms
    names = [*names, *(() if forms else ("decode",))]
    imports += [f"from aioaug.data import {', '.join(sorted(names))}", "from PIL import Image"]
    middle = [*lines, f"batch = {_batch(shown, seed)}"]
    if not forms:
        middle.append("images = list(decode(batch).images)")
    given_to_pool, made = ("batch", "done.images") if forms else ("images", "done")
    index = shown.at if isinstance(shown, ShownPicture) else shown.number
    parts = [*imports, "", *given.lines, f"pipeline = {expression}", "", *middle, "", ""]
    parts += [
        "async def main():",
        f"    async with aioaug.AsyncPool(pipeline, processes=1, seed={seed}) as pool:",
        f"        done = await pool.augment_batch({given_to_pool}, index={index})",
    ]
    if single:
        parts.append(f'    Image.fromarray({made}[0]).save("augmented.png")')
    else:
        parts += [
            f"    for place, image in enumerate({made}):",
            '        Image.fromarray(image).save(f"augmented-{place}.png")',
        ]
    parts += ["", "", 'if __name__ == "__main__":', "    asyncio.run(main())", ""]
    return "\n".join(parts)


def _batch(shown: ShownPicture | ShownBatch, seed: int) -> str:
    if isinstance(shown, ShownBatch):
        order = f"shuffle={shown.shuffle}, seed={seed}, epochs=None"
        return f"dataset.batches({shown.size}, {order})[{shown.number}]"
    resize = "" if shown.resize is None else f", resize={tuple(shown.resize)}"
    return f"dataset.subset([{shown.number or 0}]).batches(1{resize})[0]"


class _Given:
    """The expressions of augmenters that have no description, and the lines that load them."""

    def __init__(self, specs: Mapping[str, PipelineSpec]) -> None:
        self._specs = specs
        self.imports: list[str] = []
        self.lines: list[str] = []
        self._variables: dict[str, str] = {}

    def __call__(self, name: str, place: int) -> str:
        """The expression of an augmenter of a pipeline."""
        if name not in self._variables:
            self._variables[name] = f"given_{len(self._variables)}" if self._variables else "given"
            self._load(self._variables[name], self._specs[name])
        variable = self._variables[name]
        if place == 0:
            return variable
        return f"[{variable}, *{variable}.get_all_children(flat=True)][{place}]"

    def _load(self, variable: str, pipeline: PipelineSpec) -> None:
        place, _, attribute = pipeline.spec.rpartition(":")
        place = "aioaug.augmenters.presets" if place == "preset" else place
        called = "()" if pipeline.called else ""
        first, *rest = attribute.split(".")
        inner = "".join(f".{each}" for each in rest)
        if place.endswith(".py"):
            folder = os.path.dirname(place)
            if "import sys" not in self.imports:
                self.imports += ["import runpy", "import sys"]
            self.lines += [
                f"sys.path.insert(0, {folder!r})  # where its neighbours are",
                f"{variable} = runpy.run_path({place!r})[{first!r}]{inner}{called}",
            ]
        else:
            self.lines += [f"from {place} import {first}", f"{variable} = {first}{inner}{called}"]
