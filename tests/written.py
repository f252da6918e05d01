"""Image files as other programs write them: each with its axes, pixel sizes and channel names.

A writer takes a folder, an array, its axes as letters, pixel sizes by letter (micrometers, and
seconds for `t`) and names of channels, and gives the path to open.
"""

import json
import shutil

import h5py
import numpy as np
import tifffile
import zarr
from ome_zarr_models import v04, v05
from pydantic_zarr import v2 as arrays_v2
from pydantic_zarr import v3 as arrays_v3

NAMES = {"t": "time", "c": "channel"}


def ome_tiff(folder, array, axes, sizes, channels):
    metadata = {"axes": axes.upper(), **({"Channel": {"Name": [*channels]}} if channels else {})}
    for axis in sizes:
        name = "TimeIncrement" if axis == "t" else f"PhysicalSize{axis.upper()}"
        metadata |= {name: sizes[axis], f"{name}Unit": "s" if axis == "t" else "µm"}
    options = {"photometric": "minisblack", "compression": "zlib", "tile": (16, 16)}
    tifffile.imwrite(folder / "a.ome.tif", array, metadata=metadata, **options)
    return folder / "a.ome.tif"


def imagej_tiff(folder, array, axes, sizes, channels):
    planes = array.size // array.shape[-1] // array.shape[-2]
    metadata = {
        "axes": axes.upper(),
        "unit": r"\u00B5m",
        "spacing": sizes.get("z"),
        "finterval": sizes.get("t"),
        "Labels": [*channels] * (planes // max(len(channels), 1)),
    }
    known = {name: value for name, value in metadata.items() if value}
    resolution = (1 / sizes["x"], 1 / sizes["y"])
    path = folder / "a.tif"
    tifffile.imwrite(path, array, imagej=True, resolution=resolution, metadata=known)
    return path


def shaped_tiff(folder, array, axes, sizes, channels):
    resolution = (10000 / sizes["x"], 10000 / sizes["y"])
    options = {"photometric": "minisblack", "resolutionunit": "CENTIMETER"}
    metadata = {"axes": axes.upper()}
    path = folder / "a.tiff"
    tifffile.imwrite(path, array, metadata=metadata, resolution=resolution, **options)
    return path


def hdf5_labels(folder, array, axes, sizes, channels):
    with h5py.File(folder / "a.h5", "w") as file:
        data = file.create_dataset("raw", data=array)
        for dimension, axis in zip(data.dims, axes, strict=True):
            dimension.label = axis
        data.attrs["element_size_um"] = [sizes[axis] for axis in axes if axis in "zyx"]
    return folder / "a.h5"


def hdf5_axistags(folder, array, axes, sizes, channels):
    """As ilastik writes it: sizes without a unit."""
    tags = [{"key": a, "typeFlags": 2, "resolution": sizes.get(a, 0)} for a in axes]
    with h5py.File(folder / "a.hdf5", "w") as file:
        data = file.create_dataset("exported_data", data=array)
        data.attrs["axistags"] = json.dumps({"axes": tags})
    return folder / "a.hdf5"


def zarr2(folder, array, axes, sizes, channels):
    made = zarr.create_array(folder / "2.zarr", data=array, zarr_format=2)
    made.attrs["_ARRAY_DIMENSIONS"] = [NAMES.get(axis, axis) for axis in axes]
    return folder / "2.zarr"


def zarr3(folder, array, axes, sizes, channels):
    names = [NAMES.get(axis, axis) for axis in axes]
    zarr.create_array(folder / "3.zarr", data=array, dimension_names=names)
    return folder / "3.zarr"


def ome_zarr(path, array, axes, sizes, channels, version="0.5"):
    """An OME-Zarr image of two levels, made and validated by ome-zarr-models.

    A part of each size is given for both levels at once, the other for each.
    """
    of, arrays = (v04, arrays_v2) if version == "0.4" else (v05, arrays_v3)
    levels = [array, array[tuple(slice(None, None, 2 if a in "yx" else 1) for a in axes)]]
    options = {} if version == "0.4" else {"dimension_names": [*axes]}
    named = [of.axes.Axis(name=a, type=NAMES.get(a, "space"), unit=unit(a)) for a in axes]
    described = of.Image.new(
        array_specs=[arrays.ArraySpec.from_array(level, **options) for level in levels],
        paths=["0", "1"],
        axes=named,
        scales=[[2.0**i if a in "yx" else 1.0 for a in axes] for i in (0, 1)],
        translations=[None, None],
        global_scale=[sizes.get(a, 1.0) for a in axes],
    )
    store = zarr.storage.LocalStore(path)
    group = described.to_zarr(store, "")
    for i, level in enumerate(levels):
        group[str(i)][...] = level
    omero = {"omero": {"channels": [{"label": name} for name in channels]}}
    group.attrs.update(omero if version == "0.4" else {"ome": {**group.attrs["ome"], **omero}})
    return path


def unit(axis):
    return "second" if axis == "t" else None if axis == "c" else "micrometer"


def ome_zarr_0_4(folder, array, axes, sizes, channels):
    return ome_zarr(folder / "a.ome.zarr", array, axes, sizes, channels, "0.4")


def ome_zarr_0_5(folder, array, axes, sizes, channels):
    return ome_zarr(folder / "b.ome.zarr", array, axes, sizes, channels)


def ome_zarr_zip(folder, array, axes, sizes, channels):
    path = ome_zarr(folder / "c.ome.zarr", array, axes, sizes, channels)
    shutil.make_archive(path, "zip", path)
    return folder / "c.ome.zarr.zip"


def bioio_tiff(folder, array, axes, sizes, channels):
    from bioio_base.types import PhysicalPixelSizes
    from bioio_ome_tiff.writers import OmeTiffWriter

    OmeTiffWriter.save(
        array,
        folder / "bioio.ome.tiff",
        dim_order=axes.upper(),
        channel_names=[*channels] or None,
        physical_pixel_sizes=PhysicalPixelSizes(sizes.get("z"), sizes["y"], sizes["x"]),
    )
    return folder / "bioio.ome.tiff"


def bioio_zarr(folder, array, axes, sizes, channels):
    from bioio_ome_zarr.writers import Channel, OMEZarrWriter

    writer = OMEZarrWriter(
        str(folder / "bioio.ome.zarr"),
        array.shape,
        array.dtype,
        channels=[Channel(label=name, color="ffffff") for name in channels] or None,
        axes_names=[*axes],
        axes_types=[NAMES.get(axis, "space") for axis in axes],
        axes_units=[unit(axis) for axis in axes],
        physical_pixel_size=[sizes.get(axis, 1.0) for axis in axes],
    )
    writer.write_full_volume(array)
    return folder / "bioio.ome.zarr"


def pixels(axes, sizes=(("b", 2), ("t", 3), ("c", 2), ("z", 4), ("y", 20), ("x", 24))):
    """An array whose pixels are all different."""
    shape = [dict(sizes)[axis] for axis in axes]
    return np.arange(np.prod(shape), dtype="uint16").reshape(shape)
