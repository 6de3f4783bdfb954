"""What `fit`, `evaluate` and `predict` of Keras make of an iterator, where Keras is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import aioaug
import images_testing
import numpy as np
import pytest
from aioaug.images import ImageIterator, ParallelImageDataGenerator

FAST = {"debug": True, "cores": 1}

# Keras and JAX warn when they are imported, and classes of iterators depend on what is imported.
HEAD = """
import sys
import numpy as np
import {keras} as keras
from aioaug.images import ParallelImageDataGenerator

SIZE = {{"target_size": (8, 8), "batch_size": 5, "class_mode": "sparse"}}

def model():
    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.Input((8, 8, 3)),
        keras.layers.Flatten(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

def flow(seed=1, **given):
    made = ParallelImageDataGenerator(cores=2, rescale=1 / 255)
    return made.flow_from_directory(sys.argv[1], seed=seed, **SIZE | given)

def check():
"""

FITS = """
    fitted, stepped = model(), model()
    given = {} if keras.__name__ == "keras" else {"shuffle": False}
    whole = {"shuffle": False, "full_batches": False}
    began = []
    with flow() as batches, flow(**whole) as validation:
        noted = keras.callbacks.LambdaCallback(lambda epoch, logs: began.append(batches.epoch))
        given |= {"validation_data": validation, "callbacks": [noted]}
        history = fitted.fit(batches, epochs=2, verbose=0, **given).history
        assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    with flow() as batches:
        for epoch in range(began[0] + 2):  # Keras looks at one batch first, and ends that epoch
            for x, y in batches:
                if epoch >= began[0]:
                    stepped.train_on_batch(x, y)
    for one, other in zip(fitted.get_weights(), stepped.get_weights()):
        np.testing.assert_allclose(one, other, atol=1e-5)
    with flow(**whole) as again:
        labels = again.classes
        x = np.concatenate([x.copy() for x, _ in again])
    weights, bias = fitted.get_weights()
    right = np.argmax(x.reshape(len(x), -1) @ weights + bias, axis=1) == labels
    np.testing.assert_allclose(history["val_accuracy"][-1], right.mean(), rtol=1e-5)
"""

PREDICTS = """
    trained = model()
    with flow(shuffle=False, full_batches=False) as batches:
        predicted = trained.predict(batches, verbose=0)
        x = np.concatenate([x.copy() for x, _ in batches])
        assert len(predicted) == len(x) == len(batches.classes)
        np.testing.assert_allclose(predicted, trained.predict(x, verbose=0), atol=1e-5)
        loss, accuracy = trained.evaluate(batches, verbose=0)
        np.testing.assert_allclose(accuracy, np.mean(predicted.argmax(1) == batches.classes))
    with flow() as batches:
        assert len(trained.predict(batches, verbose=0)) == 15
"""

TAIL = """
if __name__ == "__main__":
    check()
"""

BACKEND = next((name for name in ("jax", "torch", "tensorflow") if find_spec(name)), None)
INSTALLED = {"keras": BACKEND and find_spec("keras"), "tf_keras": find_spec("tf_keras")}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return images_testing.make_pictures(tmp_path_factory.mktemp("p"), {"a": 4, "b": 5, "c": 4})


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "keras",
    [
        pytest.param(name, marks=pytest.mark.skipif(not there, reason=f"{name} is missing"))
        for name, there in INSTALLED.items()
    ],
)
@pytest.mark.parametrize("body", [FITS, PREDICTS], ids=["fit", "predict"])
def test_models_take_iterators(pictures, tmp_path, keras, body):
    (tmp_path / "program.py").write_text(HEAD.format(keras=keras) + body + TAIL)
    done = subprocess.run(
        [sys.executable, "-W", "error:.*shuffle:UserWarning", tmp_path / "program.py", pictures],
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(aioaug.__file__).parent.parent),
            "KERAS_BACKEND": BACKEND or "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    )
    assert done.returncode == 0, done.stderr


class Sequence:
    """As Keras has it, as far as it matters here."""

    def __init__(self, workers=1):
        self.workers = workers


@pytest.fixture
def keras(monkeypatch):
    utils = types.SimpleNamespace(Sequence=Sequence)
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(utils=utils))


def flow_of_numbers(count=6, **given):
    x = np.arange(float(count))[:, None, None, None]
    return ParallelImageDataGenerator(**FAST).flow(x, batch_size=1, seed=1, **given)


def test_an_iterator_is_a_data_set_of_the_keras_that_is_there(keras):
    with flow_of_numbers() as flow:
        assert isinstance(flow, Sequence)
        assert isinstance(flow, ImageIterator)
        assert (type(flow).__name__, flow.workers) == ("ImageIterator", 1)
        assert type(flow_of_numbers()) is type(flow)


def test_keras_gets_the_batches_of_an_epoch_in_their_order():
    with flow_of_numbers() as flow:
        expected = [[flow.index_array.tolist()[place] for place in range(6)]]
        flow.on_epoch_begin()
        asked = [4, 2, 5, 0, 1, 3]
        assert [flow[place].item() for place in asked] == expected[0]
        assert [flow[place].item() for place in asked] == expected[0]  # twice the same
        flow.on_epoch_end()
        assert (flow.epoch, flow.total_batches_seen) == (1, 12)
        assert [flow[place].item() for place in asked] == flow.index_array[asked].tolist()


def test_keras_may_shuffle_what_the_flow_does_not():
    with flow_of_numbers(shuffle=False) as flow:
        flow.on_epoch_begin()
        assert [flow[place].item() for place in [4, 2, 5]] == [4, 2, 5]
