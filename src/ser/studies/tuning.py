"""Search for settings on validation speakers, with Optuna; test clips take no part.

A search is a study in an SQLite file. Stopped anywhere, the same call goes on: finished trials
count, and the one under way continues in the epoch it was in.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser import experiments
from ser.config import Recipe, changed, stable_hash, to_dict
from ser.models import backend
from ser.project import SerError, alone, paths, shown, unknown, write_csv, write_json

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
    _optuna()
    space = SPACE if space is None else space
    if not isinstance(space, Mapping):
        raise SerError(f"space: expected settings and their choices, found {space!r}.")
    distributions = {name: _distribution(name, part) for name, part in space.items()}
    recipe = changed(recipe, {"training.refit": False})
    base = experiments.plan(recipe, protocol, table)
    if not set(folds) <= set(range(len(base.folds))) or not folds:
        raise SerError(f"protocol {base.protocol} has folds 0 to {len(base.folds) - 1}.")
    name = stable_hash(recipe, base.fingerprint, space, list(folds), seed)
    home = paths().runs / "tuning" / f"{recipe.name}-{base.protocol}-{name}"
    with alone(home / ".lock", f"searches {name}"):
        return _search(base, space, distributions, n_trials, folds, seed, home)


def _search(
    base: experiments.Plan,
    space: Mapping[str, Any],
    distributions: dict[str, optuna.distributions.BaseDistribution],
    n_trials: int,
    folds: Sequence[int],
    seed: int,
    home: Path,
) -> optuna.Study:
    optuna, recipe = _optuna(), base.recipe
    study = optuna.create_study(
        storage=f"sqlite:///{home / 'study.db'}",
        study_name=stable_hash(recipe, base.fingerprint, space, list(folds), seed),
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=5),
    )
    for killed in _trials(study, "RUNNING"):  # what a killed call was trying comes first
        study.tell(killed.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(killed.params)
    report = paths().reports / "tuning" / recipe.name / base.protocol
    n_done = len(_trials(study, "COMPLETE", "PRUNED"))
    print(f"{recipe.name}, {base.protocol}: {n_done} of {n_trials} trials done before.")
    for number in range(n_done, n_trials):
        # what is drawn follows from the trial's number, however often the search was stopped
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
        trial = study.ask(distributions)
        try:
            other = dataclasses.replace(base, recipe=changed(recipe, trial.params))
            done = study.tell(trial, _value(other, trial, folds, seed, home))
        except optuna.TrialPruned:
            done = study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except SerError:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        _print(study, done, f"{number + 1}/{n_trials}")
        _write(study, recipe, report)
    print(f"Trials: {shown(report / 'trials.csv')}; the best: {shown(report / 'best.json')}")
    return study


def view(study: optuna.Study, name: str) -> Any:
    """Draw one of Optuna's views of a search with Matplotlib."""
    optuna = _optuna()
    if name not in VIEWS:
        raise unknown(f"no view {name!r}", VIEWS, name)
    if (n := len(_trials(study, "COMPLETE"))) < 2:
        raise SerError(f"{n} trials have finished; {name} needs two. Run more trials.")
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


def _trials(study: optuna.Study, *states: str) -> list[Any]:
    return [trial for trial in study.trials if trial.state.name in states]


def _distribution(name: str, part: Any) -> optuna.distributions.BaseDistribution:
    from optuna import distributions as kinds

    try:
        if isinstance(part, (list, tuple)):
            return kinds.CategoricalDistribution(list(part))
        whole = isinstance(part["low"], int) and isinstance(part["high"], int)
        return (kinds.IntDistribution if whole else kinds.FloatDistribution)(**part)
    except (TypeError, KeyError, ValueError) as error:
        raise SerError(
            f"{name}: expected a list of choices, or {{'low': …, 'high': …}} with 'log' or 'step' "
            f"where wanted, found {part!r}."
        ) from error


def _value(
    plan: experiments.Plan, trial: optuna.Trial, folds: Sequence[int], seed: int, home: Path
) -> float:
    """Train the folds of a trial; give the mean UAR on validation speakers, in the kept epoch."""
    keras: Any = backend.load()
    import optuna

    from ser import models
    from ser.training import fitting

    def tell(before: int, epoch: int, logs: dict[str, float]) -> None:
        trial.report(float(logs["val_uar"]), before + epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    begun, values = experiments.pretrain(plan, seed, every=0), []
    for number, fold in enumerate(folds):
        _, parts = experiments.load_parts(plan, fold, names=("train", "validation"))
        before = number * plan.recipe.training.epochs
        model, _ = fitting.fit(
            plan.recipe,
            parts["train"],
            parts["validation"],
            home / stable_hash(plan.recipe) / f"fold-{fold}-seed-{seed}",
            seed=seed,
            every=0,
            start=models.load(begun) if begun else None,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=partial(tell, before))],
        )
        validation = parts["validation"]
        guesses = fitting.predict(model, validation.features, validation.clips).argmax(axis=1)
        hits = pd.Series(guesses == validation.labels).groupby(validation.labels).mean()
        values.append(hits.mean())
    return float(np.mean(values))


def _print(study: optuna.Study, trial: Any, place: str) -> None:
    stopped = trial.state.name == "PRUNED"  # its value is then that of its last epoch
    value = "stopped early" if stopped else f"validation UAR {100 * trial.value:.1f} %"
    best = f"; best {100 * study.best_value:.1f} %" if _trials(study, "COMPLETE") else ""
    found = {name.split(".")[-1]: value for name, value in trial.params.items()}
    settings = [f"{k} {v:.2g}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items()]
    print(f"trial {place}: {value}{best}; {', '.join(settings)}", flush=True)


def _write(study: optuna.Study, recipe: Recipe, folder: Path) -> None:
    frame = study.trials_dataframe(attrs=("number", "value", "state", "duration", "params"))
    frame = frame[frame["state"] != "FAIL"]
    frame["duration"] = frame["duration"].dt.total_seconds().round(1)
    frame = frame.rename(columns={"value": "validation_uar", "duration": "seconds"})
    write_csv(folder / "trials.csv", frame, float_format="%.6g")
    if _trials(study, "COMPLETE"):
        best = dataclasses.replace(changed(recipe, study.best_params), name=f"{recipe.name}-tuned")
        write_json(folder / "best.json", to_dict(best))
