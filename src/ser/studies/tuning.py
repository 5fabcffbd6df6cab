"""Search for settings on validation speakers, with Optuna; test clips take no part.

A search is a study in an SQLite file. Stopped anywhere, the same call goes on: finished trials
count, and the one under way continues in the epoch it was in.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser.config import Recipe, changed, stable_hash, to_dict
from ser.experiments.plans import Plan, plan
from ser.experiments.runner import load_parts, pretrain
from ser.models import backend
from ser.project import SerError, paths, shown, unknown, write_json, writing

if TYPE_CHECKING:
    import optuna

SPACE: dict[str, Any] = {
    "training.learning_rate": {"low": 3e-4, "high": 6e-3, "log": True},
    "training.weight_decay": {"low": 1e-5, "high": 1e-1, "log": True},
    "training.label_smoothing": [0.0, 0.1],
    "training.mixup_alpha": [0.0, 0.2, 0.4],
    "masking.n_time_masks": {"low": 0, "high": 3},
    "masking.n_feature_masks": {"low": 0, "high": 3},
}
VALUE = "UAR on validation speakers"
VIEWS = {
    "history": "plot_optimization_history",
    "epochs": "plot_intermediate_values",
    "slices": "plot_slice",
    "importances": "plot_param_importances",
}
STARTUP_TRIALS = 5  # before the first is stopped early


def tune(
    recipe: Recipe,
    protocol: str | None = None,
    *,
    space: Mapping[str, Any] | None = None,
    n_trials: int = 20,
    folds: Sequence[int] = (0,),
    seed: int = 0,
    table: pd.DataFrame | None = None,
) -> optuna.Study:
    """Try settings of a recipe, and keep those that do best on validation speakers.

    Parameters
    ----------
    recipe : Recipe
        Where all that is not searched for comes from.
    protocol : str, optional
        A name from `ser.experiments.protocols.names`; the recipe's own where left out.
    space : mapping, optional
        What is searched: a setting's name, such as ``"training.learning_rate"`` or
        ``"model.options.lstm_units"``, and a list of choices or a range ``{"low": …, "high": …}``,
        of whole numbers or not, with ``"log": True`` where orders of magnitude count. ``SPACE``
        where left out.
    n_trials : int
        How many settings are tried in all, those of earlier calls included.
    folds : sequence of int
        Folds of the protocol; a trial's value is the mean UAR on their validation speakers.
    seed : int
        Of the trainings, and of the search.
    table : DataFrame, optional
        The metadata table; read from ``data/interim`` where left out.

    Returns
    -------
    optuna.Study
        For Optuna's plots. ``reports/tuning/<recipe>/<protocol>/`` holds ``trials.csv``, a row
        per trial, and ``best.json``, a recipe for `ser run`.

    Raises
    ------
    SerError
        When Optuna is not installed, the space is not as described, a setting is out of range, or
        a fold does not exist. Finished trials are kept.
    """
    optuna = _optuna()
    space = SPACE if space is None else dict(space)
    distributions = {name: _distribution(name, part) for name, part in space.items()}
    recipe = changed(recipe, {"training.refit": False})
    base = plan(recipe, protocol, table)
    if not set(folds) <= set(range(len(base.folds))) or not folds:
        raise SerError(f"protocol {base.protocol} has folds 0 to {len(base.folds) - 1}.")
    name = stable_hash(recipe, base.fingerprint, space, list(folds), seed)
    home = paths().runs / "tuning" / f"{recipe.name}-{base.protocol}-{name}"
    home.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{home / 'study.db'}",
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=5),
    )
    _give_back(study)
    report = paths().reports / "tuning" / recipe.name / base.protocol
    print(f"{recipe.name}, {base.protocol}: {_counted(study)} of {n_trials} trials done before.")
    while _counted(study) < n_trials:
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
        trial = study.ask(distributions)
        try:
            other = dataclasses.replace(base, recipe=changed(recipe, trial.params))
            value = _value(other, trial, folds, seed, home)
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except SerError:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        else:
            study.tell(trial, value)
        _print(study, trial.number, n_trials)
        _write(study, recipe, report)
    print(f"Trials: {shown(report / 'trials.csv')}; the best: {shown(report / 'best.json')}")
    return study


def view(study: optuna.Study, name: str) -> Any:
    """Draw one of Optuna's views of a search with Matplotlib."""
    optuna = _optuna()
    if name not in VIEWS:
        raise unknown(f"no view {name!r}", VIEWS, name)
    if _completed(study) < 2:
        raise SerError(
            f"{_completed(study)} trials have finished; {name} needs two. Run more trials."
        )
    value = {} if name == "epochs" else {"target_name": VALUE}
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    from ser import plots

    # Optuna may still change these functions, and says so; and they bring a style of their own
    with warnings.catch_warnings(), plt.rc_context():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        from optuna.visualization import matplotlib as views

        drawn = getattr(views, VIEWS[name])(study, **value)
    axes = np.ravel(drawn)
    figure = axes[0].figure
    figure.set_size_inches(max(8.0, 2.2 * len(axes)), 3.6)
    figure.set_layout_engine("constrained")
    figure.suptitle("")
    for ax in axes:
        ax.set_title("")
        ax.set_xlabel(ax.get_xlabel().split(".")[-1])
        ax.xaxis.set_minor_formatter(NullFormatter())
        if name == "epochs":
            ax.set(xlabel="epoch", ylabel=VALUE)
        if ax.get_legend() and name in ("epochs", "importances"):
            ax.get_legend().remove()
        plots.restyle(ax)
    return axes[0] if len(axes) == 1 else axes


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise SerError("tuning needs Optuna: pip install 'ser-honest[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(name: str, part: Any) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    try:
        if isinstance(part, (list, tuple)):
            return CategoricalDistribution(list(part))
        whole = isinstance(part["low"], int) and isinstance(part["high"], int)
        return (IntDistribution if whole else FloatDistribution)(**part)
    except (TypeError, KeyError, ValueError) as error:
        raise SerError(
            f"{name}: expected a list of choices, or {{'low': …, 'high': …}} with 'log' or 'step' "
            f"where wanted, found {part!r}."
        ) from error


def _give_back(study: optuna.Study) -> None:
    """Queue again what a killed call was trying."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _counted(study: optuna.Study) -> int:
    from optuna.trial import TrialState

    return len(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _value(plan: Plan, trial: optuna.Trial, folds: Sequence[int], seed: int, home: Path) -> float:
    """Train the folds of a trial; give the mean UAR on validation speakers, in the kept epoch."""
    keras: Any = backend.load()
    import optuna

    from ser.training import fitting

    class Report(keras.callbacks.Callback):
        """Tell the study about each epoch, and stop a training that falls behind."""

        def __init__(self, begun: int) -> None:
            super().__init__()
            self.begun = begun

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            trial.report(float((logs or {})["val_uar"]), self.begun + epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

    values = []
    for number, fold in enumerate(folds):
        _, parts = load_parts(plan, fold, names=("train", "validation"))
        model, _ = fitting.fit(
            plan.recipe,
            parts["train"],
            parts["validation"],
            home / stable_hash(plan.recipe) / f"fold-{fold}-seed-{seed}",
            seed=seed,
            every=0,
            start=pretrain(plan, seed, every=0),
            callbacks=[Report(number * plan.recipe.training.epochs)],
        )
        validation = parts["validation"]
        guesses = fitting.predict(model, validation.features, validation.clips).argmax(axis=1)
        hits = pd.Series(guesses == validation.labels).groupby(validation.labels).mean()
        values.append(hits.mean())
    return float(np.mean(values))


def _print(study: optuna.Study, number: int, n_trials: int) -> None:
    trial = study.trials[number]
    stopped = trial.state.name == "PRUNED"  # its value is then that of its last epoch
    value = "stopped early" if stopped else f"validation UAR {100 * (trial.value or 0):.1f} %"
    best = f"; best {100 * study.best_value:.1f} %" if _completed(study) else ""
    settings = ", ".join(f"{k.split('.')[-1]} {_short(v)}" for k, v in trial.params.items())
    print(f"trial {_counted(study)}/{n_trials}: {value}{best}; {settings}", flush=True)


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _completed(study: optuna.Study) -> int:
    from optuna.trial import TrialState

    return len(study.get_trials(states=(TrialState.COMPLETE,)))


def _write(study: optuna.Study, recipe: Recipe, folder: Path) -> None:
    frame = study.trials_dataframe(attrs=("number", "value", "state", "duration", "params"))
    frame = frame[frame["state"] != "FAIL"]
    frame["duration"] = frame["duration"].dt.total_seconds().round(1)
    frame = frame.rename(columns={"value": "validation_uar", "duration": "seconds"})
    with writing(folder / "trials.csv") as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g")
    if _completed(study):
        best = dataclasses.replace(changed(recipe, study.best_params), name=f"{recipe.name}-tuned")
        write_json(folder / "best.json", to_dict(best))
