"""What may stand in an augmenter's place, and what a batch may be."""
