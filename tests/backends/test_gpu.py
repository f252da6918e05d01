"""On a GPU: what the CPU gives, and the memory back. `pytest -m gpu` on a machine that has one."""

import time

import numpy as np
import pytest
from networks import images, network

import bioimageio_fn as fn
from bioimageio_fn.backends.devices import count_of_gpus
from bioimageio_fn.backends.formats import recipe_class

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(count_of_gpus() == 0, reason="there is no GPU of NVIDIA"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SUFFIXES = {
    "onnx": "onnx",
    "torchscript": "pt",
    "keras_v3": "keras",
    "tensorflow_saved_model_bundle": "zip",
}


@pytest.fixture(params=SUFFIXES)
def recipes(request, tmp_path, monkeypatch):
    """The same network on the GPU and on the CPU; left out where the framework is one without."""
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    kind = request.param
    content, _ = network(kind, tmp_path / "n", outputs=("out", "second"))
    path = tmp_path / f"weights.{SUFFIXES[kind]}"
    path.write_bytes(content)
    make, ids = recipe_class(kind), {"input_ids": ["raw"], "output_ids": ["out", "second"]}
    gpu, cpu = (make(path, device=device, **ids) for device in ("cuda", "cpu"))
    if "cuda:0" not in gpu.available():
        pytest.skip(f"this {gpu.framework} is one for the CPU")
    return kind, gpu, cpu


def test_the_gpu_gives_what_the_cpu_gives(recipes):
    kind, gpu, cpu = recipes
    image = images(kind)

    for a, b in zip(gpu(image), cpu(image), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2)  # TensorFloat-32 has 10 bits


def test_one_gpu_is_the_default(recipes):
    _, gpu, _ = recipes

    assert gpu._place() == type(gpu)(gpu.source)._place() == "cuda:0"


def test_tensors_on_the_gpu_stay_there(recipes):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch is one for the CPU")
    kind, gpu, cpu = recipes
    image = images(kind)

    results = gpu(torch.from_numpy(image).cuda())

    assert {str(result.device) for result in results} == {"cuda:0"}
    for a, b in zip(results, cpu(image), strict=True):
        np.testing.assert_allclose(a.cpu(), b, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_the_memory_comes_back(kind):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch is one for the CPU")
    backend = fn.load_backend(fn.demo_model(), weights_format=kind)
    if "cuda:0" not in backend.available():
        pytest.skip(f"this {backend.framework} is one for the CPU")
    image = np.zeros((1, 1, 2048, 2048), "float32")
    backend(image[..., :64, :64])  # what a framework takes for itself at first stays with it
    backend.close()
    before = torch.cuda.mem_get_info()[0]

    backend(image)
    during = torch.cuda.mem_get_info()[0]
    backend.close()

    assert during < before - 50e6
    assert torch.cuda.mem_get_info()[0] > before - 50e6


def test_the_stream_of_blocks_is_told_beside_the_bare_forward(real_model, capsys):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch is one for the CPU")
    image = np.tile(np.load(real_model / "test_input.npy"), (1, 1, 4, 4)).astype("uint16")
    with fn.create_prediction_pipeline(
        real_model / "bioimageio.yaml", weights_format="torchscript", devices="cuda"
    ) as pipeline:
        plan = fn.default_plan(pipeline, image)
        block = np.zeros((1, 1, 512, 512), "float32")
        pipeline.backend(block)  # opened, and tuned to this size

        result, seconds = timed(lambda: fn.run(pipeline, image, plan))
        _, bare = timed(lambda: [pipeline.backend(block) for _ in range(plan.count)])

    assert plan.count > 4
    assert np.isfinite(np.asarray(result)).all()
    with capsys.disabled():
        print(f"\n{plan.count} blocks: {seconds:.2f} s, forward alone {bare:.2f} s")  # noqa: T201


def timed(call):
    start = time.perf_counter()
    return call(), time.perf_counter() - start
