"""`python -m aioaug`."""

from __future__ import annotations

import sys

from .cli import main

# Workers import this module under another name.
if __name__ == "__main__":
    sys.exit(main())
