"""Run cells of a notebook, given as JSON, in a kernel of their own, and print what the last prints.

nbclient keeps an event loop for the rest of the program, so it has a program of its own.
"""

import json
import sys

import nbclient
import nbformat

cells = [nbformat.v4.new_code_cell(source) for source in json.load(sys.stdin)]
notebook = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, timeout=50, kernel_name="python3").execute()
print("".join(output.text for output in notebook.cells[-1].outputs), end="")
