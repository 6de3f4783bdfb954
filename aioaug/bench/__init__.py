"""Measure aioaug beside other ways to augment batches: the same pictures, the same augmenters.

Each round of each way runs in a process of its own (`python -m aioaug.bench.trial`), so that
memory, forks and threads do not mix; rounds are interleaved, so that a machine that is busy for a
while is busy for all of them. From the ground up:

    workloads   what is augmented, and how
    peers       the libraries, and how to install them
    trial_spec  what one trial has to know
    memory      how much memory a family of processes holds
    lag         how late an event loop is
    ways        how each library is used
    requests    how each library is asked for single batches, and one round of that
    trial       one round of one library, as a program
    figures     medians, quartiles, ratios, targets
    measure     all rounds, interleaved
    tables      the figures as text and as Markdown
    charts      the figures as pictures
    kernels     single augmenters in one thread, beside plain imgaug and Albumentations
    twins       the blocking classes, as a program of its own
"""
