"""Label images in which every object has its fate: what one program makes of another's."""

import numpy as np

SIDE = 12  # pixels of a cell of the grid, with an object of 8 x 8 in its middle
FATES = ("same", "eroded", "changed", "split", "merged", "missing")


def cell(n, columns):
    """The object of cell n; two cells more than its columns make a row, so that two can merge."""
    y, x = divmod(n, columns)
    return slice(SIDE * y + 2, SIDE * y + 10), slice(2 * SIDE * x + 2, 2 * SIDE * x + 10)


def drawn(fates, new, numbers):
    """Expected and produced labels where every object, or pair of them, has its fate."""
    columns, rows = 3, -(-(len(fates) + new) // 3)
    expected = np.zeros((SIDE * rows, 2 * SIDE * columns), "int64")
    produced = np.zeros_like(expected)
    given_, own = 0, iter(numbers)
    for n, fate in enumerate(fates):
        y, x = cell(n, columns)
        given_ += 1
        expected[y, x] = given_
        beside = slice(x.start + SIDE, x.stop + SIDE)
        if fate == "merged":
            given_ += 1
            expected[y, beside] = given_
            produced[y, x] = produced[y, beside] = next(own)
        elif fate == "split":
            produced[y, x.start : x.start + 4] = next(own)
            produced[y, x.start + 4 : x.stop] = next(own)
        elif fate == "changed":
            produced[y, x.start : x.start + 5] = next(own)
        elif fate == "eroded":
            produced[y.start + 1 : y.stop - 1, x] = next(own)
        elif fate == "same":
            produced[y, x] = next(own)
    for n in range(len(fates), len(fates) + new):
        produced[cell(n, columns)] = next(own)
    return expected, produced
