"""How much is under way at once: the numbers behind the gates that batches go through.

Memory has one gate, the permits of a stream's `Feeder` (`output_buffer_size`), and workers have
one, the `Scheduler` of their engine. What is between them is kept short by these numbers. Those
for calls that are over before a message is through are in `small_calls`.
"""

# Batches that a source may be asked for at once; more would only be in memory for longer.
MOST_PER_PULL = 16
# Chunks of a stream under way per worker: in its hands, on the way there, on the way back.
CHUNKS_PER_WORKER = 3
# With `output_buffer_size="auto"`, chunks of a stream that may exist per worker, and the bytes that
# they may have, unless this were fewer than CALLS_PER_WORKER chunks. Tiny batches travel many at
# once, so that ten per worker, as in imgaug's `augment_batches`, would have workers wait.
AUTO_BUFFERED = 100
AUTO_BYTES = 32 << 20
# A list is cut into this many chunks per worker, as multiprocessing.Pool does.
CUTS_PER_WORKER = 4
# Large calls of a stream in shared memory per worker: one in its hands, one ready to follow.
CALLS_PER_WORKER = 2
# Those of an engine: streams may not take all of them, for others would wait for a stream's turn.
LARGE_CALLS_PER_WORKER = CALLS_PER_WORKER + 1
# Results that callers may hold in shared memory before they are copied out of it.
RESULTS_HELD = 8
