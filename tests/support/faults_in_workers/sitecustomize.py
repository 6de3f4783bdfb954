"""Python imports this when it starts, if it finds it."""

import os
import sys

import faults

if faults.FAULT in os.environ and "multiprocessing.forkserver" in " ".join(sys.orig_argv):
    faults.begin_in_workers()
