"""SavedModels of TensorFlow: a folder, or a zip archive of one.

What holds here: the signature for serving is run; its inputs and outputs are known by their names,
as the order in which TensorFlow lists them is that of the alphabet.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs

from ..archives import unpacked
from ..errors import BackendError
from .exchange import as_numpy
from .recipe import Network, Recipe
from .signature import Port
from .tensorflow_files import check_assets, saved_model_in

__all__ = ["TensorflowBackend", "tensorflow_devices"]

_PLACES = ("arg", "args", "input", "inputs", "output", "outputs")
"""Names that TensorFlow gives by place. The numbers of others, as `conv2d_7`, are no places."""


@attrs.frozen
class TensorflowBackend(Recipe):
    """A SavedModel as a function of arrays; see `Recipe` for its arguments."""

    framework: ClassVar[str] = "TensorFlow"

    def available(self) -> tuple[str, ...]:
        """The devices of TensorFlow."""
        return tensorflow_devices()

    def open(self, path: Path, device: str) -> Network:
        """The signature for serving."""
        import tensorflow as tf

        where = "/" + (device if device != "cpu" else "cpu:0").replace("cuda", "gpu").upper()
        with tf.device(where):
            model, name = self.model(path)
        function = model.signatures[name]
        inputs = _ports(function.structured_input_signature[1], self.input_ids, optional=False)
        dtypes = {port.name: port.dtype for port in inputs}

        def run(feed: Mapping[str, Any], wanted: Sequence[str]) -> Sequence[Any]:
            with tf.device(where):
                given = {n: tf.constant(as_numpy(a, dtypes[n])) for n, a in feed.items()}
                # through the model, as the function alone does not keep the variables it reads
                result = model.signatures[name](**given)
            return [result[output].numpy() for output in wanted]

        return Network(inputs, _ports(function.structured_outputs, self.output_ids), run)

    def model(self, path: Path) -> tuple[Any, str]:
        """The SavedModel, and the name of its signature for serving.

        Raises:
            UnsafePackageError: if it takes files from outside of its folder.
            BackendError: if there is none, or it does not say what to run.
        """
        import tensorflow as tf

        folder = path if path.is_dir() else unpacked(path, sha256=self.sha256)
        folder = saved_model_in(folder)
        check_assets(folder)
        model = tf.saved_model.load(str(folder))
        return model, _serving(list(model.signatures))

    def close(self) -> None:
        """Free the network; it is opened again when it is needed."""
        super().close()
        gc.collect()  # graphs of TensorFlow refer to themselves in circles


def tensorflow_devices() -> tuple[str, ...]:
    """The devices that TensorFlow can use, the CPU first.

    It is told to take the memory of a GPU as it needs it, and not all of it at once.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, enable=True)
        except RuntimeError:  # somebody has used it already, and has decided
            break
    return ("cpu", *(f"cuda:{i}" for i in range(len(gpus))))


def _serving(names: Sequence[str]) -> str:
    """The signature to run."""
    if "serving_default" in names or len(names) == 1:
        return "serving_default" if "serving_default" in names else names[0]
    raise BackendError(
        "the SavedModel does not say which of its functions is the network",
        expected="a signature serving_default",
        got=", ".join(names) or "none",
    )


def _ports(specs: Mapping[str, Any], ids: Sequence[str], *, optional: bool | None = None) -> Any:
    names = _ordered(specs, ids)
    return [Port(n, _shape(specs[n]), specs[n].dtype.name, optional) for n in names]


def _shape(spec: Any) -> tuple[int | None, ...] | None:
    return None if spec.shape.rank is None else tuple(spec.shape.as_list())


def _ordered(names: Iterable[str], ids: Sequence[str]) -> list[str]:
    """The names of a signature, which has no order, in an order that is meant.

    Raises:
        BackendError: if there is none: to take the alphabet for it would be a guess.

    Examples:
        >>> _ordered(["output_1", "output_0"], ["a", "b"])
        ['output_0', 'output_1']
    """
    found = sorted(names)
    if len(found) < 2 or not ids or set(ids) <= set(found):
        return found
    stems, numbers = zip(*map(_numbered, found), strict=True)
    if len(set(stems)) == 1 and stems[0] in _PLACES and set(numbers) == set(range(len(found))):
        return sorted(found, key=_numbered)
    raise BackendError(
        "a SavedModel has names for its inputs and outputs, but no order",
        expected=f"tensors described as {', '.join(found)}",
        got=", ".join(ids),
        remedy="give the tensors of the description these names",
    )


def _numbered(name: str) -> tuple[str, int]:
    """A name without its number, and the number, which the first may lack."""
    stem = name.rstrip("0123456789")
    return stem.rstrip("_"), int(name[len(stem) :] or 0)
