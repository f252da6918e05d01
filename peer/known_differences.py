"""What the reference is known to do differently, and what decides that we do not follow it.

What holds here: each entry names the sentence of the format's own text (docstrings of
`bioimageio.spec` 0.5.14, modules `v0_4` and `v0_5` of `bioimageio.spec.model`) that decides it, or
where that is silent, the decision of ours. The condition of an entry, and what the right result is,
stand as code in `repairs.py`; an entry does not excuse a result other than that.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KNOWN", "ROUNDING", "Difference"]

DECISION = "docs/decisions/004-numbers.md"


@dataclass(frozen=True)
class Difference:
    """One known difference.

    Args:
        what: what the reference does, and when.
        text: the sentence that decides.
        source: where it stands.
    """

    what: str
    text: str
    source: str


ROUNDING = "rounding_at_a_jump"

KNOWN = {
    "statistics_of_raw": Difference(
        "a step measures the tensor that entered the chain, not the one that reaches the step",
        "The subset of axes to normalize jointly, i.e. axes to reduce to compute mean/std. [...]"
        " `out = (tensor - mean) / (std + eps)`",
        "v0_5 ZeroMeanUnitVarianceKwargs; likewise ScaleRangeKwargs: 'ID of the unprocessed input"
        " tensor [...] Default: The tensor itself.'",
    ),
    "outputs_not_measured": Difference(
        "postprocessing that measures its own tensor fails: no output is there to be measured",
        "ID of the unprocessed input tensor to compute the percentiles from. Default: The tensor"
        " itself.",
        "v0_5 ScaleRangeKwargs.reference_tensor; OutputTensorDescr.postprocessing admits it",
    ),
    "eps_ignored": Difference(
        "`eps` of zero_mean_unit_variance and scale_range is 1e-6, whatever is described",
        "epsilon for numeric stability: `out = (tensor - mean) / (std + eps)`.",
        "v0_5 and v0_4 ZeroMeanUnitVarianceKwargs.eps, ScaleRangeKwargs.eps",
    ),
    "fixed_eps": Difference(
        "fixed_zero_mean_unit_variance of 0.5 divides by std + 1e-6; seen if std is small",
        "Subtract a given mean and divide by the standard deviation.",
        "v0_5 FixedZeroMeanUnitVarianceDescr",
    ),
    "binarize_axis": Difference(
        "thresholds along an axis are compared along the last axis, or fail",
        "The fixed threshold values along `axis`",
        "v0_5 BinarizeAlongAxisKwargs.threshold",
    ),
    "clip_to_one_value": Difference(
        "clip with min equal to max fails",
        "Set tensor values below min to min and above max to max.",
        "v0_5 ClipDescr, v0_4 ClipDescr; neither asks for min < max",
    ),
    "scale_linear_axes": Difference(
        "scale_linear of 0.4 with `axes` fails",
        "The subset of axes to scale jointly. For example xy to scale the two image axes for 2d"
        " data jointly.",
        "v0_4 ScaleLinearKwargs.axes",
    ),
    "fixed_scalar_axes": Difference(
        "mode fixed of 0.4 with one mean fails if `axes` leave an axis other than batch",
        "The mean value(s) to use for `mode: fixed`.",
        "v0_4 ZeroMeanUnitVarianceKwargs.mean: float | NotEmpty[list[float]]",
    ),
    "output_cast_first": Difference(
        "an output of 0.4 is cast to its type before its postprocessing, and is float32 behind it",
        "Data type. The data flow in bioimage.io models is explained in this diagram.",
        "v0_4 OutputTensorDescr.data_type: the type of the described output; as the format's own"
        " conversion to 0.5 has it ('postprocessing always ends with an ensure_dtype operation')",
    ),
    "cast_alone_dropped": Difference(
        "an input of 0.4 without steps is not cast to its type",
        "If preprocessing does not start with an 'ensure_dtype' entry, it is added to ensure an"
        " input tensor's data type matches the input tensor's data description.",
        "v0_5 InputTensorDescr.preprocessing, to which the format converts 0.4",
    ),
    "cast_behind_binarize": Difference(
        "behind a last binarize the tensor stays bool, whatever type is described",
        "`postprocessing` always ends with an 'ensure_dtype' operation.",
        f"v0_5 OutputTensorDescr.postprocessing; of inputs, {DECISION}: 'Behind it the result is"
        " cast to the described type, of inputs too.'",
    ),
    "casts_wrap": Difference(
        "a cast wraps what does not fit into the type",
        "Casts saturate; NaN becomes 0 (False); the fraction is dropped; one `CastWarning`.",
        f"{DECISION}; the format says only 'Cast the tensor data type'",
    ),
    "sigmoid_of_integers": Difference(
        "sigmoid and softmax of integers negate unsigned ones, round to float16, or fail",
        "The logistic sigmoid function, a.k.a. expit function.",
        "v0_5 SigmoidDescr, v0_4 SigmoidDescr; v0_5 SoftmaxDescr: 'The softmax function.'",
    ),
    "statistics_of_bool": Difference(
        "steps that measure fail on truth values",
        "Truth values, 8- and 16-bit integers and float16 are computed in float32, larger integers"
        " in float64.",
        f"{DECISION}; the format excludes no type",
    ),
    "missing_pixels": Difference(
        "NaN spreads from one pixel to all, or percentile clip replaces it by a bound",
        "NaN marks a missing pixel: statistics leave it out, operations let it through.",
        f"{DECISION}; the format is silent",
    ),
    "float32_statistics": Difference(
        "statistics of float32 or of wide integers are taken in their type, and lose digits",
        "They and mean and std are float64. [...] a constant image becomes 0.",
        f"{DECISION}; by the format `out = (tensor - mean) / (std + eps)` of a constant is 0",
    ),
    "float32_steps": Difference(
        "we compute in float32 what the reference computes in float64; seen where digits"
        " cancel, and at a threshold",
        "float32 stays float32, float64 float64. Truth values, 8- and 16-bit integers and float16"
        " are computed in float32, larger integers in float64.",
        f"{DECISION}; the format is silent, and here it is the reference that is more exact",
    ),
    "dataset_clip": Difference(
        "percentiles of clip over samples are interpolated, unlike those of clip within a sample",
        "Percentiles: `linear` for scale_range, `inverted_cdf` for clip (always a value that"
        " occurs, so clipped integers stay integers).",
        f"{DECISION}; the format is silent",
    ),
    ROUNDING: Difference(
        "values within rounding of a threshold or a whole number fall on its other side",
        "float32 stays float32, float64 float64.",
        f"{DECISION}; the reference computes most steps in float64",
    ),
}
