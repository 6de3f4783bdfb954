"""What is drawn for the items of one call of `apply_parallel`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from .calls import Call
from .chance import Chance
from .expressions import P


@dataclass
class Draws:
    """What is drawn for the items of one call: the same for every pair of `src` and `dst`."""

    chosen: Any  # whether the function is applied to an item; None is to all
    seeds: Any  # of the items' generators; None without

    @classmethod
    def of(cls, batch: Chance, size: int, p: Any, requires_rng: bool, seeds: Any) -> Self:
        """Draw for every item of the batch, the choice first."""
        if isinstance(p, float) or (p is not None and not isinstance(p, P | int)):
            p = float(p)
            if not 0 <= p <= 1:
                raise ValueError(f"p must be from 0 to 1, got {p}")
            p = P(batch.random.binomial(1, p, size=size))
        elif p not in (None, 0, 1) and not isinstance(p, P):
            raise ValueError(f"p must be from 0 to 1, got {p}")
        if seeds is None and requires_rng:
            seeds = batch.random.integers(0, 2**63 - 1, size=size)
        return cls(p, seeds.values if isinstance(seeds, P) else seeds)

    def over(self, calls: Sequence[Call]) -> tuple[list[Call], dict[int, Any]]:
        """The calls to be made, and by position the items that pass as they are.

        Raises `ValueError` if something was drawn or given for fewer items.
        """
        count = len(calls)
        given: tuple[tuple[str, Any], ...] = (
            ("p", getattr(self.chosen, "values", None)),
            ("rng_seeds", self.seeds),
        )
        for name, values in given:
            if hasattr(values, "__len__") and len(values) < count:
                raise ValueError(f"{name} has {len(values)} values for {count} items")
        made, through = [], {}
        for call in calls:
            if self._applied(call.position):
                made.append(replace(call, seed=self._seed(call.position)))
            else:
                through[call.position] = call.args[0] if call.args else None
        return made, through

    def _applied(self, position: int) -> bool:
        if isinstance(self.chosen, P):
            return bool(self.chosen.values[position])
        return self.chosen is None or bool(self.chosen)

    def _seed(self, position: int) -> int | None:
        if self.seeds is None:
            return None
        return int(self.seeds[position] if hasattr(self.seeds, "__len__") else self.seeds)
