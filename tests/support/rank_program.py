"""One of two ranks under gloo: prints the digests of its batches, as JSON.

python tests/support/rank_program.py RANK FILE
"""

from __future__ import annotations

import json
import sys

import torch.distributed
from loader_program import given, loader

if __name__ == "__main__":
    rank, file = int(sys.argv[1]), sys.argv[2]
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=2
    )
    with loader(shuffle=True, processes=1) as ours:
        json.dump([given(ours, 0), given(ours, 0)], sys.stdout)
    torch.distributed.destroy_process_group()
