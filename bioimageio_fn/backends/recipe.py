"""`Recipe`: what it takes to open a network, as a value.

What holds here:

- a recipe is frozen, comparable and picklable, so that pipelines are, too; the network itself
  lives in the sessions of each process, and is opened on first use;
- a file is opened only if it has the sha256 that its description gives;
- inputs and outputs are in the order of the description, whatever the order of the network;
- arrays come out as they went in: PyTorch on its device, everything else as NumPy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import attrs

from ..errors import BackendError, BioimageioFnError, HashMismatchError
from ..files import existing_path, sha256_of
from .devices import place, spelled
from .exchange import like
from .once import warn_once
from .sessions import close_session, open_session
from .signature import Port, Signature, bound

__all__ = ["Network", "Recipe", "checked"]


@attrs.frozen
class Network:
    """An open network, as its framework has it.

    Args:
        inputs: what it takes, in its own order.
        outputs: what it gives, in its own order; empty if it does not name them.
        run: takes arrays by the names of the inputs, None for one that is left out, and the names
            of the outputs that are wanted; gives these, or all if the network does not name them.
    """

    inputs: Sequence[Port]
    outputs: Sequence[Port]
    run: Callable[[Mapping[str, Any], Sequence[str]], Sequence[Any]]


def checked(source: Path, sha256: str | None) -> Path:
    """A file, if it is there and is the one meant.

    Raises:
        MissingFileError: if there is none.
        HashMismatchError: if it is another one.
    """
    path = existing_path(source)
    if sha256 is not None and (digest := sha256_of(path)) != sha256:
        raise HashMismatchError(
            f"{path.name} was changed", expected=f"sha256 {sha256}", got=f"sha256 {digest}"
        )
    return path


@attrs.frozen
class Recipe:
    """A file of weights and how it is to be run; a backend adds the running.

    A backend defines `framework` and `how_to_use_a_gpu`, which stand in messages; `available`,
    which devices there are; and `open`, which makes a `Network` of a file.

    Args:
        source: the file.
        sha256: what it has to hash to; None for anything.
        device: where the network runs: `cpu`, `cuda`, `cuda:N` or `mps`. None for one GPU, if
            there is one that the framework can use, else the CPU.
        input_ids: the inputs in the order in which they are given; bound to those of the network
            by name where the names match, else by order.
        output_ids: likewise for the outputs, where the network names them.
    """

    framework: ClassVar[str]
    how_to_use_a_gpu: ClassVar[str | None] = None

    source: Path = attrs.field(converter=Path)
    sha256: str | None = None
    device: str | None = attrs.field(default=None, converter=spelled)
    input_ids: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    output_ids: tuple[str, ...] = attrs.field(default=(), converter=tuple)

    def available(self) -> tuple[str, ...]:
        """The devices that the framework can use."""
        raise NotImplementedError

    def open(self, path: Path, device: str) -> Network:
        """Open the file, which was checked, on a device, which is there."""
        raise NotImplementedError

    @property
    def signature(self) -> Signature:
        """What the network says of its inputs and outputs, in the order of the ids."""
        return open_session(self, self._opened)[0]

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """Run the network on one array for each input; None for an optional one that is absent.

        Returns:
            One array for each output that is described. PyTorch tensors, on the device of the
            first input, if that is one, else NumPy arrays.

        Raises:
            BackendError: if the network can not be run on these, or gives too few outputs.
        """
        signature, run = open_session(self, self._opened)
        self._check_inputs(arrays, signature.inputs)
        feed = {port.name: array for port, array in zip(signature.inputs, arrays, strict=True)}
        with self._named("run"):
            outputs = run(feed, [port.name for port in signature.outputs])
            return like(arrays, self._described(outputs))

    def close(self) -> None:
        """Free the network; it is opened again when it is needed."""
        close_session(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check_device(self) -> None:
        """Look whether the device is there, before anything is opened.

        Raises:
            DeviceError: if it is not; with those that are.
        """
        if self.device not in (None, "cpu"):
            self._place()

    def _opened(self) -> tuple[Signature, Callable[..., Sequence[Any]]]:
        path = checked(self.source, self.sha256)
        with self._named("open"):
            network = self.open(path, self._place())
        ports = network.outputs or [Port(name) for name in self.output_ids]
        self._described(ports)
        signature = Signature(bound(self.input_ids, network.inputs), bound(self.output_ids, ports))
        return signature, network.run

    def _place(self) -> str:
        available = self.available()
        return place(self.device, available, self.framework, remedy=self.how_to_use_a_gpu)

    def _described(self, outputs: Sequence[Any]) -> Sequence[Any]:
        """The outputs that are described, if they are there; those behind them are dropped."""
        wanted = len(self.output_ids) or len(outputs)
        if len(outputs) < wanted:
            raise BackendError(
                "the network gives fewer outputs than its description",
                expected=", ".join(self.output_ids),
                got=len(outputs),
            )
        if len(outputs) > wanted:
            warn_once(
                f"{self.source} gives {len(outputs)} outputs, its description has {wanted};"
                " the rest is dropped"
            )
        return outputs[:wanted]

    def _check_inputs(self, arrays: Sequence[Any], ports: Sequence[Port]) -> None:
        if len(arrays) != len(ports):
            raise BackendError(
                "a network takes one array for each of its inputs",
                expected=", ".join(self.input_ids or [port.name for port in ports]),
                got=f"{len(arrays)} arrays",
            )
        for i, (array, port) in enumerate(zip(arrays, ports, strict=True)):
            if array is None and port.optional is False:
                raise BackendError(
                    f"{self.source.name} can not be run without one of its inputs",
                    tensor=self.input_ids[i] if self.input_ids else port.name,
                    remedy="give it, or choose weights of another format, which may do without",
                )

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Whatever the framework raises becomes an error of ours."""
        try:
            yield
        except BioimageioFnError:
            raise
        except Exception as error:
            raise BackendError(
                f"{self.framework} can not {what} {self.source.name}: {_reason(error)}"
            ) from error


def _reason(error: Exception) -> str:
    """What the framework says, in one line. PyTorch says it last, behind a traceback."""
    text = re.sub("\x1b\\[[0-9;]*m", "", str(error)).strip()  # without its colours
    text = text.rpartition("\n")[2] if "Traceback of TorchScript" in text else text
    return " ".join(text.split())[:500] or type(error).__name__
