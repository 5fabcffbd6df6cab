"""Find a model by its name or place, and open it: a bundle, a run or a ``.keras`` file.

A bundle never needs TensorFlow or librosa; for a ``.keras`` file they come in with `load_model`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ser.audio import to_waveform
from ser.config import AudioConfig, FeatureConfig, from_dict
from ser.inference import bundle
from ser.inference.model import Model
from ser.inference.windows import Heard
from ser.models import backend
from ser.project import MODEL_FILE, SerError, paths, read_json, shown

N_STEPS = 64  # of integrated gradients
PACKAGED = Path(__file__).parents[1] / "released"  # what a wheel brings; a checkout has models/


def integrated_gradients(
    network: Any, rows: np.ndarray, position: int, *, n_steps: int = N_STEPS
) -> np.ndarray:
    """Share a probability out among the features of a clip."""
    if backend.load().config.backend() != "tensorflow":
        raise SerError("integrated gradients need TensorFlow: leave KERAS_BACKEND unset.")
    import tensorflow as tf

    valid = np.any(rows != 0, axis=1)
    baseline = np.zeros_like(rows)
    baseline[valid] = rows[valid].mean(axis=0)
    shares = (np.arange(n_steps) + 0.5) / n_steps
    path = baseline + shares[:, None, None].astype(np.float32) * (rows - baseline)
    batch = tf.convert_to_tensor(path)
    with tf.GradientTape() as tape:
        tape.watch(batch)
        probability = network(batch, training=False)[:, position]
    gradients = tape.gradient(probability, batch).numpy()
    return (rows - baseline) * gradients.mean(axis=0)


def _of_keras(file: Path) -> Model:
    from ser import models

    card = models.checked_card(file)  # or one line, before seconds of importing
    backend.load()
    from ser.features import extraction

    plain = models.load(file)
    network = models.with_attention(plain)
    audio = from_dict(AudioConfig, card["audio"], source=f"{file}: its card")
    config = from_dict(FeatureConfig, card["features"], source=f"{file}: its card")
    if getattr(plain, "inputs", None):  # or it is a class of a reader's own
        said = (config.n_rows, len(extraction.feature_names(config)), len(card["classes"]))
        found = (*plain.input_shape[1:], plain.output_shape[-1])
        if found not in (said, (None, *said[1:])):
            raise SerError(
                f"{file}: its card says {said} frames, features and classes, its layers {found}. "
                "Train it again."
            )

    def hear(samples: np.ndarray, rate: float) -> Heard:
        rows = extraction.compute(samples, rate, audio, config)
        found = network.predict_on_batch(rows[None])
        return (found[0][0], found[1][0]) if isinstance(found, list) else (found[0], None)

    def share_out(samples: np.ndarray, rate: float, position: int) -> np.ndarray:
        rows = extraction.compute(samples, rate, audio, config)
        return integrated_gradients(plain, rows, position)

    longest_s = config.n_frames * config.hop_length / audio.sample_rate_hz
    return Model(hear, longest_s, card, shown(file.parent), share_out)


def _of_bundle(folder: Path) -> Model:
    opened = bundle.load(folder)
    audio = AudioConfig(sample_rate_hz=opened.sample_rate_hz)  # it trims itself

    def hear(samples: np.ndarray, rate: float) -> Heard:
        return opened(to_waveform(samples, rate, audio))

    name = folder.name if folder.parent == PACKAGED else shown(folder)
    return Model(hear, opened.window_s, opened.card, name)


def find_model(choice: Path | str | None = None) -> Path:
    """Find a bundle's folder or a ``.keras`` file; `choice` is as `load_model` takes it."""
    released = _released()
    if choice is None:
        if released:
            return max(released.values(), key=lambda f: sum(x.stat().st_size for x in f.iterdir()))
        for run in paths().finished_runs():
            if "demo" not in read_json(run / "run.json")["recipe"]["corpora"]:
                return run / MODEL_FILE
        raise SerError(
            f"no released model under {shown(paths().models)}, and no training on real speech. "
            "Name one with --model."
        )
    path, name = Path(choice), str(choice)
    if (path / bundle.CARD).is_file():
        return path
    file = path / MODEL_FILE if path.is_dir() else path
    if file.is_file():
        return file
    if name in released:
        return released[name]
    for run in paths().finished_runs():
        if name in ("newest", run.parts[-3]) and (run / MODEL_FILE).is_file():
            return run / MODEL_FILE
    raise SerError(
        f"{choice}: no model there. Expected a bundle, a run folder, a .keras file, newest, a "
        f"recipe with a finished run, or a released model: {', '.join(released) or 'none here'}."
    )


def _released() -> dict[str, Path]:
    """Find released models in the package, its checkout and the project; the last wins."""
    checkout = Path(__file__).resolve().parents[3]
    homes = [checkout / "models"] if (checkout / "pyproject.toml").is_file() else []
    return {
        card.parent.name: card.parent
        for home in (PACKAGED, *homes, paths().models)
        for card in sorted(home.glob(f"*/{bundle.CARD}"))
    }


def load_model(choice: Path | str | None = None) -> Model:
    """Load a model.

    Parameters
    ----------
    choice : path or str, optional
        A bundle, a run folder, a ``.keras`` file; the name of a released model (``small``) or of a
        recipe, whose newest run it is then; or ``newest`` for the newest run of any recipe. The
        largest released model where left out.

    Returns
    -------
    Model
        Ready to `predict`. A bundle needs neither TensorFlow nor librosa.

    Raises
    ------
    SerError
        When there is no such model, or it is damaged.
    """
    found = find_model(choice)
    return _of_bundle(found) if found.is_dir() else _of_keras(found)
