"""From a source of batches to their consumer: in order or not, and bounded."""
