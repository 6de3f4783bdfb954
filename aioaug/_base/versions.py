"""Which version of a distribution is installed."""

from __future__ import annotations

from importlib import metadata


def installed_version(distribution: str) -> str | None:
    """The version that is installed, or `None`."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
