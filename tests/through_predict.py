"""What every weights format has to do, from a folder on disk through `predict`.

Each format has a file of tests that says `from through_predict import *` and which formats these
are, so that frameworks that start slowly do so in one process.
"""

import numpy as np
from descriptions import write
from networks import described, images, network

import bioimageio_fn as fn

RAW, BOTH, SWAPPED = ("raw",), ("raw", "aux"), ("aux", "raw")
OUT, TWO = ("out",), ("out", "second")

CASES = [
    *((v, s, RAW, OUT, b) for v in ("0.4", "0.5") for s in (2, 3) for b in (1, 3)),
    *((v, 2, i, o, 2) for v in ("0.4", "0.5") for i, o in ((BOTH, OUT), (RAW, TWO), (BOTH, TWO))),
]


def check_case(kind, folder, version, space, inputs, outputs, batch):
    """`predict` gives what the framework gives; the network may have another order of names."""
    turned = tuple(reversed(inputs)), tuple(reversed(outputs))
    content, direct = network(kind, folder / "n", space=space, inputs=turned[0], outputs=turned[1])
    model = described(kind, version, space=space, inputs=inputs, outputs=outputs)
    path = write(folder / "m", model, weights={kind: content})
    given = {n: images(kind, space=space, batch=batch, seed=i) for i, n in enumerate(inputs)}

    result = fn.predict(model=path, inputs=given, weights_format=kind)

    expected = dict(zip(turned[1], direct(*(given[n] for n in turned[0])), strict=True))
    if kind == "torchscript":  # its outputs have no names, so that they are taken in order
        expected = dict(zip(outputs, expected.values(), strict=True))
    assert list(result.members) == list(outputs)
    for name in outputs:
        np.testing.assert_allclose(np.asarray(result[name]), expected[name], atol=1e-5)


def check_optional(kind, folder):
    """An optional input may be given, and may be left out."""
    content, direct = network(kind, folder / "n", inputs=BOTH, optional=True)
    path = write(
        folder / "m", described(kind, "0.5", inputs=BOTH, optional=True), weights={kind: content}
    )
    raw, aux = images(kind), images(kind, seed=1)

    with fn.create_prediction_pipeline(path, weights_format=kind) as pipeline:
        with_aux = pipeline({"raw": raw, "aux": aux})
        without = pipeline({"raw": raw})

    np.testing.assert_allclose(np.asarray(with_aux), direct(raw, aux)[0], atol=1e-5)
    np.testing.assert_allclose(np.asarray(without), direct(raw, None)[0], atol=1e-5)
    assert not np.allclose(with_aux, without)
