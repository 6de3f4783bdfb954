"""What tests of the command line call, and what they compare."""

from __future__ import annotations

from aioaug.cli import main


def augment(source, out, *options, pipeline="flip"):
    """Augment by a pipeline of `pipe.py` in the current folder, with one worker."""
    arguments = ["augment", source, out, "--pipeline", f"pipe.py:{pipeline}", "--seed", "3"]
    return main([*map(str, arguments), "--workers", "1", *map(str, options)])


def content(folder):
    """All files below a folder, by their names."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
