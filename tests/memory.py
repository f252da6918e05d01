"""How much memory lines of code need, in a process of their own."""

import subprocess
import sys

SETUP = """
import resource, sys
from pathlib import Path
import h5py, numpy as np, tifffile, zarr
from bioimageio_fn.io.images import open_image, write_image
from bioimageio_fn.io.mapped import new_npy
from bioimageio_fn.io.stores import created
from bioimageio_fn.spec import TensorSpec
from bioimageio_fn.tensor import Tensor
folder = Path(sys.argv[1])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
"""


def grown(code, folder):
    """MB by which the memory of a process grows at most (its peak RSS) while it runs the lines."""
    result = subprocess.run(
        [sys.executable, "-c", f"{SETUP}\n{code}\nprint(peak() - before)", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return float(result.stdout)
