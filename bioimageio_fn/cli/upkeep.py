"""Commands on the installation: `version` and `empty-cache`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import click

from .. import __version__
from .answering import Answer, Say, answering

__all__ = ["empty_cache", "version"]

_PACKAGES = (
    *("bioimageio.spec", "numpy", "onnxruntime", "onnxruntime-gpu", "torch", "tensorflow"),
    *("keras", "tifffile", "zarr", "h5py", "bioio"),
)


@click.command()
@answering
def version(say: Say) -> Answer:
    """Print versions, for reports of errors."""
    found = {"bioimageio_fn": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version_of(name)
        except PackageNotFoundError:
            continue
    found["platform"] = platform.platform()
    for name, value in found.items():
        say(f"{name} {value}")
    return Answer(found)


@click.command("empty-cache")
@answering
def empty_cache(say: Say) -> Answer:
    """Remove what was downloaded and unpacked. It is fetched again where it is needed."""
    from ..cache import emptied_cache

    folder, freed = emptied_cache()
    say(f"{folder}: {freed / 1e6:.1f} MB freed")
    return Answer({"folder": str(folder), "bytes": freed})
