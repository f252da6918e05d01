"""`prepared`: a bound chain with its numbers filled in, once for all blocks of one form.

What holds here: the result is that of `chain.apply`; only pointwise steps can be prepared.

To work out what a chain is for a block takes longer than to run it on a small one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import toolz
from immutabledict import immutabledict

from ..axes import MemberId
from ..sample import Sample, with_member
from ..spec import SampleSpec
from ..tensor import Tensor
from .chain import is_joinable, kernels_of
from .kernels import Ready, made_ready, run_ready
from .transform import Step

__all__ = ["Prepared", "applied", "prepared"]


@attrs.frozen(eq=False)
class Prepared:
    """What pointwise steps do to tensors of one form.

    Args:
        kernels: by tensor, ready to be run; tensors that are not named stay as they are.
    """

    kernels: Mapping[MemberId, Ready] = attrs.field(converter=immutabledict)


def prepared(chain: Iterable[Step], spec: SampleSpec) -> Prepared | None:
    """A bound chain for samples of one form; None if not all of its steps are pointwise.

    Args:
        spec: has every tensor that the chain works on.

    Raises:
        AxesError, OperationError: if a step does not fit its tensor.

    Examples:
        >>> from ..spec import sample_spec
        >>> from .records import ScaleLinear
        >>> from .transform import Transform
        >>> sample = Sample({"raw": Tensor([1.0, 2.0], "x")})
        >>> doubled = prepared([Transform(ScaleLinear(2.0), "raw")] * 2, sample_spec(sample))
        >>> applied(doubled, sample, set())["raw"].data.tolist()
        [4.0, 8.0]
    """
    steps = list(enumerate(chain))
    if not all(map(is_joinable, steps)):
        return None
    by_member = toolz.groupby(lambda numbered: numbered[1].member, steps)
    tensors = {member: spec.members[member] for member in by_member}
    made = {m: made_ready(kernels_of(by_member[m], t), t.dtype) for m, t in tensors.items()}
    return Prepared(made)


def applied(chain: Prepared, sample: Sample, lost: set[str]) -> Sample:
    """A sample behind a chain that was prepared for its form.

    Args:
        lost: takes the types to which casts changed values.
    """
    for member, kernels in chain.kernels.items():
        tensor = sample.members[member]
        data = run_ready(kernels, tensor.data, lost)
        if data is not tensor.data:
            sample = with_member(sample, member, Tensor(data, tensor.axes, tensor.calibration))
    return sample
