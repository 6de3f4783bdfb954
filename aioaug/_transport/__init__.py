"""Objects on their way between processes: pickled, laid into shared memory, framed."""
