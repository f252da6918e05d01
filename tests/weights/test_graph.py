"""The graph of formats: a shortest path, held against every path that there is."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.weights.graph import CONVERTERS, Converter, converter_function, shortest_path

NODES = st.sampled_from("abcdef")
EDGES = st.lists(
    st.builds(Converter, NODES, NODES, st.sampled_from(["one way", "another"])), max_size=12
)


def every_path(edges, sources, target):
    """All orders of formats from a source to the target, without one met twice."""
    found = [0] if target in sources else []
    pairs = {(edge.source, edge.target) for edge in edges}
    for length in range(1, 6):
        for nodes in itertools.permutations("abcdef", length + 1):
            if nodes[0] in sources and nodes[-1] == target:
                found += [length] * all(pair in pairs for pair in itertools.pairwise(nodes))
    return found


@given(EDGES, st.sets(NODES, min_size=1), NODES)
def test_a_path_leads_there_and_none_is_shorter(edges, sources, target):
    path = shortest_path(edges, sorted(sources), target)

    lengths = every_path(edges, sources, target)
    if path is None:
        assert lengths == []
        return
    assert len(path) == min(lengths)
    assert all(edge in edges for edge in path)
    assert not path or (path[0].source in sources and path[-1].target == target)
    assert all(a.target == b.source for a, b in itertools.pairwise(path))


@given(EDGES, NODES, NODES)
def test_the_first_of_several_converters_is_taken(edges, source, target):
    path = shortest_path(edges, [source], target) or ()

    for edge in path:
        same = [e for e in edges if (e.source, e.target) == (edge.source, edge.target)]
        assert edge == same[0]


def test_where_a_converter_fails_there_is_the_next_way():
    left = list(CONVERTERS)
    ways = []
    while path := shortest_path(left, ["pytorch_state_dict"], "onnx"):
        ways.append([f"{c.target} {c.how}" for c in path])
        left.remove(path[0])

    assert ways == [
        ["onnx torch.export"],
        ["torchscript scripted", "onnx traced"],
        ["torchscript traced", "onnx traced"],
    ]


def test_every_converter_is_there():
    assert all(callable(converter_function(converter)) for converter in CONVERTERS)
