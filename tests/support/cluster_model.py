"""A discrete simulation of batches on a cluster, beside the formula of docs/clusters.md.

    python tests/support/cluster_model.py

Each batch takes the loop, then the network, a thread of a worker, the network and the loop again.
The loop and the network serve one batch at a time; a worker has one batch more than threads.
"""

from __future__ import annotations

import heapq
import itertools


def formula(workers, seconds, transfer, loop):
    """Batches per second at most: of the workers, the network and the loop."""
    return min(workers / seconds, 1 / transfer, 1 / loop)


def simulated(workers, seconds, transfer, loop, batches=600):
    """Batches per second; `transfer` and `loop` are what a batch needs of both, in seconds."""
    free = {"loop": 0.0, "network": 0.0}
    threads = [0.0] * workers
    events, order = [], itertools.count()
    waiting, done, end = batches, 0, 0.0

    def use(resource, now, duration):
        begun = max(now, free[resource])
        free[resource] = begun + duration
        return free[resource]

    def push(when, stage):
        heapq.heappush(events, (when, next(order), stage))

    for _ in range(min(2 * workers, waiting)):
        push(0.0, "send")
        waiting -= 1
    while events:
        now, _, stage = heapq.heappop(events)
        if stage == "send":
            push(use("loop", now, loop / 2), "there")
        elif stage == "there":
            push(use("network", now, transfer / 2), "work")
        elif stage == "work":
            begun = max(now, heapq.heappop(threads))
            heapq.heappush(threads, begun + seconds)
            push(begun + seconds, "back")
        elif stage == "back":
            push(use("network", now, transfer / 2), "receive")
        elif stage == "receive":
            push(use("loop", now, loop / 2), "done")
        else:
            done, end = done + 1, now
            if waiting:
                waiting -= 1
                push(now, "send")
    return done / end


def main():
    print("workers  loop ms  transfer ms  formula/s  simulated/s")
    for loop, transfer in ((0.036, 0.0155), (0.036, 0.155), (0.002, 0.0155)):
        for workers in (1, 2, 4, 8, 16, 64):
            case = (workers, 0.17, transfer, loop)
            print(
                f"{workers:7}  {loop * 1e3:7.0f}  {transfer * 1e3:11.1f}  "
                f"{formula(*case):9.1f}  {simulated(*case):11.1f}"
            )


if __name__ == "__main__":
    main()
