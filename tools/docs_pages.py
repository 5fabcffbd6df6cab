"""The pages of the site that hold results or facts: from reports/, registry, recipes and cards."""

import importlib
import inspect
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[1]
os.environ["SER_ROOT"] = str(ROOT)  # whose reports these are
os.environ.setdefault("MPLBACKEND", "agg")
from ser import corpora, plots  # noqa: E402
from ser.corpora import base, registry  # noqa: E402
from ser.experiments import protocols, recipes  # noqa: E402
from ser.plots.style import (  # noqa: E402
    BLUE,
    VERMILION,
    chance_line,
    new_axes,
    percent_axis,
    style,
)
from ser.project import read_json  # noqa: E402
from ser.studies import leaderboard  # noqa: E402

REPORTS = ROOT / "reports"
LISTS = Path(protocols.__file__).parent / "lists"
RELEASED = sorted(
    (card.parent for card in (ROOT / "models").glob("*/bundle.json")),
    key=lambda folder: -(folder / "model.onnx").stat().st_size,
)
LANGUAGES = {"en": "English", "de": "German", "ur": "Urdu", "am": "Amharic"}
FIGURES = {
    "confusion": "Confusion matrix of {}: what was acted, and what was answered",
    "speakers": "UAR of {}, speaker by speaker",
    "reliability": "How often {} is right, against how sure it says it is",
}


def percent(value: float, digits: int = 1) -> str:
    """Write a share in percent, without the sign."""
    return f"{100 * value:.{digits}f}"


def with_interval(part: dict[str, Any], value: float | None = None) -> str:
    """Write a UAR and its interval over speakers, in percent."""
    value, limits = part["uar"] if value is None else value, part["interval_95"]
    around = f" ({percent(limits[0], 0)} to {percent(limits[1], 0)})" if limits else ""
    return f"{percent(value)}{around}"


def table(names: Iterable[str], rows: Iterable[Iterable[Any]], kind: str = "") -> str:
    """Write a table in Markdown."""
    names = list(names)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    attributes = f"{{.{kind}}}\n" if kind else ""
    return attributes + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def figure(path: str, says: str) -> str:
    """Show a figure."""
    return f'```{{image}} {path}\n:alt: "{says}"\n:class: figure\n```\n'


def toctree(names: Iterable[str], *options: str) -> str:
    """List pages below this one, without showing the list."""
    return "\n".join(["```{toctree}", ":hidden:", *options, "", *names, "```", ""])


def card_of(folder: Path) -> dict[str, Any]:
    """Read the card of a released model."""
    return read_json(folder / "bundle.json")


def report_of(folder: Path) -> Path:
    """Find the report of a released model's recipe."""
    card = card_of(folder)
    return REPORTS / card["recipe"]["name"] / card["protocol"]


# Numbers in prose ---------------------------------------------------------------------------------


def numbers() -> dict[str, str]:
    """Give the numbers that pages written by hand name, each as a text."""
    bench = read_json(REPORTS / "bench" / "inference.json")
    rungs = pd.read_csv(REPORTS / "ladder" / "ladder.csv")
    falls = {name: rows.set_index("rung")["accuracy"] for name, rows in rungs.groupby("recipe")}
    steepest = max(falls, key=lambda name: falls[name]["a"] - falls[name]["d"])
    system = recipes.CLAIMS[steepest].system
    claims = [claim.accuracy for claim in recipes.CLAIMS.values() if claim.accuracy]
    both = RELEASED[0], RELEASED[-1]
    large, small = (read_json(report_of(folder) / "metrics.json") for folder in both)
    as_people = pd.read_csv(report_of(RELEASED[0]) / "robustness.csv").set_index("condition")["uar"]
    unheard = read_json(report_of(RELEASED[0]).with_name("leave-one-corpus-out") / "metrics.json")
    other = [part["uar"] for part in unheard["per_corpus"].values()]
    human = read_json(REPORTS / "ladder" / "human.json")["accuracy"]
    sizes = [folder / "model.onnx" for folder in both]
    first, second = (f"{file.stat().st_size / 1e6:.1f} MB" for file in sizes)
    scores = read_json(REPORTS / "best-scratch" / "ravdess-luna5" / "metrics.json")
    return {
        "version": importlib.import_module("ser").__version__,
        "n_classes": str(len(large["classes"])),
        "classes": ", ".join(large["classes"]),
        "chance": percent(1 / len(large["classes"])),
        "n_speakers": f"{large['n_speakers']}",
        "n_clips": f"{large['n_clips']:,}",
        "large_mb": first,
        "small_mb": second,
        "large_uar": percent(large["uar"]["mean"]),
        "large_interval": " to ".join(percent(x) for x in large["uar"]["interval_95"]),
        "small_uar": percent(small["uar"]["mean"]),
        "small_interval": " to ".join(percent(x) for x in small["uar"]["interval_95"]),
        "as_recorded": percent(as_people["as recorded"]),
        "telephone": percent(as_people["telephone, 8 kHz"]),
        "noise_5": percent(as_people["noise, 5 dB"]),
        "unheard_low": percent(min(other), 0),
        "unheard_high": percent(max(other), 0),
        "window_s": f"{card_of(RELEASED[0])['window_s']:.1f}",
        "female": percent(large["per_sex"]["female"]["uar"]),
        "male": percent(large["per_sex"]["male"]["uar"]),
        "human": percent(human, 0),
        "claims_low": percent(min(low for low, _ in claims), 0),
        "claims_high": percent(max(high for _, high in claims), 0),
        "steepest": system,
        "steepest_a": percent(falls[steepest]["a"]),
        "steepest_d": percent(falls[steepest]["d"]),
        "scratch_ravdess": percent(scores["uar"]["mean"]),
        "fresh_process_s": f"{bench['fresh_process_s']:.1f}",
        "warm_ms": f"{bench['warm_ms']:.0f}",
        "memory_mb": f"{bench['peak_memory_mb']:.0f}",
        "times_real_time": f"{bench['times_real_time']:.0f}",
        "n_recipes": str(len(recipes.RECIPES)),
        "n_protocols": str(len(protocols.PROTOCOLS)),
        "reliability": reliability(),
    }


def reliability() -> str:
    """Say how often what was tried, and what failed."""
    found = read_json(REPORTS / "reliability.json")
    of_commands = found.pop("kills", {}).items()
    rows = [
        (f"`ser {name}` killed", count["kills"], count["processes_left"] + count["differences"])
        for name, count in of_commands
    ]
    rows += [
        (f"{name.replace('_', ' ')} tried", count["tried"], count["failures"])
        for name, count in found.items()
    ]
    return table(("what", "how often", "failures"), rows)


def try_it(*, with_page: bool) -> str:
    """Show the page that answers in the browser; what to run on one's own machine without it."""
    if not with_page:
        return ""
    return (
        '<iframe class="try-it" src="page/index.html" allow="microphone" loading="lazy" '
        'title="Speak, and see an answer computed on your machine"></iframe>\n\n'
        '<p><a href="page/index.html">Open it on a page of its own</a>. '
        "Nothing that you say leaves your machine.</p>\n"
    )


# Results ------------------------------------------------------------------------------------------


def linked(text: str, to: str) -> str:
    """Take a table of `leaderboard`, and let its names lead to pages of the site."""
    lines = [line for line in text.splitlines() if "*published:" not in line]
    text = re.sub(r"\[`([\w.-]+)`\]\([^)]*\)", rf"[`\1`]({to}recipes.md#\1)", "\n".join(lines))
    known = "|".join(map(re.escape, protocols.PROTOCOLS))
    return re.sub(rf"^\| `({known})` \|", rf"| [`\1`]({to}\1.md) |", text, flags=re.M)


def dots(rows: list[dict[str, Any]], protocol: str, path: Path) -> None:
    """Draw the UAR of each recipe with its interval, and what others report."""
    import matplotlib.pyplot as plt

    others = protocols.get(protocol).published
    with style():
        height = 1.3 + 0.42 * (len(rows) + len(others))
        ax = new_axes(None, height=height)
        names = [row["recipe"] for row in reversed(rows)]
        for y, row in enumerate(reversed(rows)):
            uar = row["uar"]
            if uar["interval_95"]:
                ax.hlines(y, *uar["interval_95"], color=BLUE, linewidth=2)
            label = "UAR, 95 % over speakers" if not y else None
            ax.plot(uar["mean"], y, "o", color=BLUE, label=label)
        for y, other in enumerate(others, start=len(rows)):
            filled = other.score == "UAR"
            face = VERMILION if filled else "none"
            shape = {"color": VERMILION, "markerfacecolor": face, "linestyle": "none"}
            ax.plot(other.percent / 100, y, "s", **shape, label=f"published {other.score}")
            how = ", pretrained" if other.pretrained else ""
            names.append(other.system.split(",")[0].split(";")[0] + how)
        chance_line(ax, 1 / len(rows[0]["classes"]), which="x")
        ax.set_yticks(range(len(names)), names)
        ax.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1), xlabel="percent")
        percent_axis(ax, "x")
        handles, labels = ax.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        ax.legend(once.values(), once.keys(), loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
        path.parent.mkdir(parents=True, exist_ok=True)
        ax.figure.savefig(path, dpi=130, bbox_inches="tight")
        plt.close(ax.figure)


def protocol_page(name: str, rows: list[dict[str, Any]], compared: Any, home: Path) -> str:
    """Describe a protocol, and what recipes reach under it."""
    about = protocols.get(name)
    parts = [f"# `{name}`\n", f"{about.description[0].upper()}{about.description[1:]}.\n"]
    facts = []
    if about.corpora:
        facts.append(("corpora", ", ".join(f"[{c}](../corpora/{c}.md)" for c in about.corpora)))
    if about.classes:
        facts.append(("classes", ", ".join(about.classes)))
    lists = [read_json(file) for file in sorted(LISTS.glob(f"{name}.json"))]
    for listed in lists:
        facts.append(("folds", len(listed["folds"])))
        tested = [len(fold["test"]) for fold in listed["folds"]]
        span = f"{min(tested)} to {max(tested)}" if min(tested) < max(tested) else f"{tested[0]}"
        facts.append(("speakers tested in a fold", span))
        facts.append(("where they come from", listed["source"]))
    tested = "once" if about.tested == "once" else "by the model of each other corpus"
    facts.append(("a clip is tested", tested))
    parts.append(table(["", ""], facts, "facts"))
    if others := about.published:
        said = "\n".join(f"- {other}" for other in others)
        parts.append(f"Others report, in percent:\n\n{said}\n")
    if not rows:
        parts.append("No committed result. Make one: `ser run RECIPE --protocol " + name + "`.\n")
        return "\n".join(parts)
    dots(rows, name, home / "figures" / "protocols" / f"{name}.png")
    parts += [
        "## Results\n",
        figure(f"../figures/protocols/{name}.png", f"UAR of {len(rows)} recipes under {name}"),
        "{.sortable}",
        linked(leaderboard.table(rows, compared), "") + "\n",
        f"Reproduce a row: `ser run RECIPE --protocol {name}`.\n",
    ]
    best = rows[-1]["recipe"]
    parts.append(f"## The best of them, `{best}`\n")
    for kind, says in FIGURES.items():
        drawn = REPORTS / best / name / "figures" / f"{kind}.png"
        if drawn.is_file():
            there = home / "figures" / "protocols" / f"{name}-{kind}.png"
            shutil.copy(drawn, there)
            parts.append(figure(f"../figures/protocols/{there.name}", says.format(best)))
    return "\n".join(parts)


def recipe_section(name: str, scores: list[dict[str, Any]]) -> str:
    """Describe a recipe: its settings, and what it reaches."""
    recipe = recipes.get(name)
    model = recipe.model
    learnt = f"at most {recipe.training.epochs} epochs, batches of {recipe.training.batch_size}"
    members = f", {model.members} of them" if model.members > 1 else ""
    facts = [
        ("corpora", ", ".join(recipe.corpora)),
        ("classes", ", ".join(recipe.classes)),
        ("features", ", ".join(recipe.features.kinds)),
        ("model", f"`{model.architecture}`{members}"),
        ("variants of a clip", recipe.augmentation.n_variants),
        ("training", learnt),
    ]
    if scores:
        facts.insert(4, ("parameters", f"{scores[0]['n_parameters'] / 1e3:,.0f} k"))
    if claim := recipes.CLAIMS.get(name):
        facts.append(("its source claims", claim.text))
    for row in scores:
        what = f"UAR under [`{row['protocol']}`]({row['protocol']}.md)"
        facts.append((what, f"**{with_interval(row['uar'], row['uar']['mean'])}**"))
    description = recipe.description[0].upper() + recipe.description[1:]
    return f"({name})=\n\n### `{name}`\n\n{description}.\n\n{table(['', ''], facts, 'facts')}"


def recipes_page(rows: list[dict[str, Any]]) -> str:
    """Tell of all recipes, by the module that they stand in."""
    parts = [
        "# Recipes\n",
        "A recipe is everything that decides a result: corpora and classes, features, "
        "augmentation, model, training. `ser recipes` lists them, `ser run RECIPE` "
        "cross-validates one, and "
        '`changed(recipe, {"training.learning_rate": 1e-3})` makes one of your own.\n',
    ]
    told = ""
    for name in recipes.names():
        if (story := recipes.story(name)) != told:
            told = story
            title, _, text = inspect.cleandoc(story).partition("\n")
            parts.append(f"## {title.rstrip('.')}\n\n{text.strip()}\n")
        parts.append(recipe_section(name, [row for row in rows if row["recipe"] == name]))
    return "\n".join(parts)


def ladder_page(home: Path) -> str:
    """Show what is left of published numbers."""
    shutil.copy(REPORTS / "ladder" / "ladder.png", home / "figures")
    begin, end = leaderboard.MARKS["ladder"]
    text = (REPORTS / "README.md").read_text(encoding="utf-8")
    measured = pd.read_csv(REPORTS / "ladder" / "ladder.csv")
    human = read_json(REPORTS / "ladder" / "human.json")["accuracy"]
    systems = [
        (f"[`{name}`](recipes.md#{name})", claim.system, claim.text)
        for name in measured["recipe"].unique()
        if (claim := recipes.CLAIMS.get(name))
    ]
    says = "Accuracy of published systems on the four rungs of the ladder"
    return "\n".join(
        [
            "# The leakage ladder\n",
            "Public projects report high accuracies for small networks on these corpora. Each of "
            "theirs is a recipe here, and climbs the same ladder: the model, the features and the "
            "training stay the same, and only the split changes.\n",
            table(
                ["rung", "tests on", "what is still shared with training"],
                [
                    (
                        "a",
                        "rows at random",
                        "speakers, sentences, augmented copies, statistics, "
                        "and the epoch is chosen on the test rows",
                    ),
                    ("b", "other clips", "speakers and sentences"),
                    ("c", "other sentences", "speakers"),
                    ("d", "other speakers", "nothing"),
                ],
                "prose",
            ),
            figure("../figures/ladder.png", says),
            "Test accuracy in percent, with 95 % intervals over speakers:\n",
            "{.sortable}",
            linked(text.split(begin)[1].split(end)[0].strip(), "") + "\n",
            "For comparison: people who only heard CREMA-D's clips named the emotion that was "
            f"acted for {percent(human, 0)} % of them (majority of the votes).\n",
            "The systems, and what they claim:\n",
            table(["recipe", "system", "claim"], systems, "prose"),
            "[Notebook 7](../notebooks/07_leakage_ladder.ipynb) explains each fall. Make the "
            "numbers anew with `ser ladder`.\n",
        ]
    )


def robustness_page(home: Path) -> str:
    """Show what is left under the ways people record."""
    import matplotlib.pyplot as plt

    files = {folder.name: report_of(folder) / "robustness.csv" for folder in RELEASED}
    tables = {name: pd.read_csv(file) for name, file in files.items() if file.is_file()}
    first = next(iter(tables.values()))
    chance = 1 / len(card_of(RELEASED[0])["classes"])
    with style():
        ax = plots.robustness(tables, chance=chance)
        ax.figure.savefig(home / "figures" / "robustness.png", dpi=130, bbox_inches="tight")
        plt.close(ax.figure)
    rows = [
        (
            condition,
            *(
                with_interval({"uar": row["uar"], "interval_95": (row["low"], row["high"])})
                for row in (found.iloc[position] for found in tables.values())
            ),
        )
        for position, condition in enumerate(first["condition"])
    ]
    return "\n".join(
        [
            "# As people record\n",
            "The corpora are studio recordings. Here the models of a cross-validation hear "
            f"{first['n_clips'].iloc[0]:,} of their test clips again, each changed in one way: "
            "over a telephone, through a codec, in noise, in a room, at another level. Speakers "
            "are unseen, as everywhere.\n",
            figure(
                "../figures/robustness.png", "UAR of the released models, condition by condition"
            ),
            "UAR in percent, with 95 % intervals over speakers:\n",
            table(["recorded", *(f"[{n}](../models/{n}.md)" for n in tables)], rows, "sortable"),
            "[Notebook 11](../notebooks/11_robustness.ipynb) goes through the conditions; "
            "`ser robustness RECIPE` measures a model of your own.\n",
        ]
    )


def results_pages(home: Path) -> dict[str, str]:
    """Write everything under results/."""
    rows = leaderboard.collect()
    compared = leaderboard.compare(rows)
    written = {
        f"results/{name}.md": protocol_page(
            name, [row for row in rows if row["protocol"] == name], compared, home
        )
        for name in protocols.names()
    }
    ways = [
        (
            f"[`{name}`]({name}.md)",
            protocols.get(name).description,
            sum(row["protocol"] == name for row in rows),
        )
        for name in protocols.names()
    ]
    written["results/index.md"] = "\n".join(
        [
            "# Results\n",
            "Every number is computed from predictions that are committed to the repository. No "
            "test speaker is heard in training or in choosing the epoch. UAR is the unweighted "
            "average recall over classes (balanced accuracy); the mean and standard deviation are "
            "over seeds, the interval is a bootstrap over test speakers. A click on a heading "
            "sorts.\n",
            "{.sortable}",
            linked(leaderboard.table(rows, compared), "") + "\n",
            "## Protocols\n",
            "A protocol is a named way to split. Folds that results were published with are lists "
            "of speakers in the package, so no release of a library can move a clip.\n",
            table(["protocol", "what is split, and how", "results"], ways, "prose"),
            toctree(["recipes", "ladder", "robustness", *protocols.names()]),
        ]
    )
    written["results/recipes.md"] = recipes_page(rows)
    written["results/ladder.md"] = ladder_page(home)
    written["results/robustness.md"] = robustness_page(home)
    return written


# Models and corpora -------------------------------------------------------------------------------


def models_pages() -> dict[str, str]:
    """Write the card of each released model, and an index of them."""
    written, rows = {}, []
    for folder in RELEASED:
        text = (folder / "README.md").read_text(encoding="utf-8")
        body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
        written[f"models/{folder.name}.md"] = body.replace("\n| of |", "\n\n| of |")
        card, found = card_of(folder), read_json(report_of(folder) / "metrics.json")
        size = f"{(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB"
        parameters = f"{card['n_parameters'] / 1e3:,.0f} k"
        uar = with_interval(found["uar"], found["uar"]["mean"])
        rows.append((f"[{folder.name}]({folder.name}.md)", size, parameters, f"**{uar}**"))
    written["models/index.md"] = "\n".join(
        [
            "# Released models\n",
            "Waveform in, probabilities out; the front end and the calibration are inside the "
            "ONNX file. Their recipes were cross-validated on unseen speakers of five corpora.\n",
            table(["model", "file", "trained parameters", "UAR, %"], rows),
            "```{include} ../_parts/about-models.md\n```\n",
            toctree(folder.name for folder in RELEASED),
        ]
    )
    return written


def counts_of(name: str) -> Counter[str]:
    """Count the clips of each class, from the predictions of a protocol about this corpus alone."""
    for protocol, about in protocols.PROTOCOLS.items():
        if about.corpora == (name,):
            for file in sorted(REPORTS.glob(f"*/{protocol}/predictions.csv")):
                found = pd.read_csv(file, usecols=["clip_id", "label"]).drop_duplicates("clip_id")
                return Counter(found["label"])
    return Counter()


def corpus_facts(corpus: corpora.Corpus) -> list[tuple[str, Any]]:
    """Give what the registry knows of a corpus."""
    people = list(corpus.demographics.values())
    sexes = Counter(sex for sex, _ in people)
    ages = [age for _, age in people if age is not None]
    who = ", ".join(f"{number} {sex}" for sex, number in sorted(sexes.items()))
    who += f"; {min(ages)} to {max(ages)} years" if ages else ""
    link = f"<{corpus.homepage}>"
    facts = [
        ("name here", f"`{corpus.name}`"),
        ("language", LANGUAGES.get(corpus.language, corpus.language)),
        ("clips", f"{corpus.n_clips:,}"),
        ("speakers", f"{len(people)} ({who})"),
        ("labels", ", ".join(corpus.labels)),
        ("licence", corpus.licence),
        ("home", link),
    ]
    if corpus.archives and not corpus.archives[0].in_package:
        size = sum(archive.size_bytes for archive in corpus.archives) / 1e6
        amount = f" {size:,.0f} MB," if size else ""
        facts.append(("download", f"`ser data download {corpus.name}`,{amount} no account"))
    elif corpus.archives:
        facts.append(("download", "comes with the package"))
    elif corpus.kaggle:
        where = f"[Kaggle](https://www.kaggle.com/datasets/{corpus.kaggle})"
        facts.append(("download", f"`ser data download {corpus.name}`, from {where}"))
    else:
        facts.append(("download", f"by hand, then `ser data add {corpus.name} FOLDER`"))
    return facts


def codes_of(name: str) -> str:
    """Say how the file names of a corpus read."""
    if name == "demo":
        return ""  # as the corpora whose names it borrows
    scheme = base.scheme_of(name)
    parts = [f"## File names\n\nA name is `{scheme.stem}`.\n"]
    for field, codes in scheme.codes.items():
        rows = [
            (f"`{code}`", *((says[1], says[0] or "none") if field == "emotion" else (says,)))
            for code, says in codes.items()
        ]
        heads = ["code", "the corpus' word", "label here"] if field == "emotion" else ["code", ""]
        parts.append(f"**{field.replace('_', ' ').capitalize()}**\n\n{table(heads, rows)}")
    return "\n".join(parts)


def corpus_page(corpus: corpora.Corpus, quirks: str) -> str:
    """Write the card of a corpus."""
    name, counts = corpus.name, counts_of(corpus.name)
    parts = [f"# {corpus.title}\n", table(["", ""], corpus_facts(corpus), "facts")]
    if counts:
        rows = [(label, f"{number:,}") for label, number in sorted(counts.items())]
        parts.append(
            f"## What it holds\n\nClips that can be used, by label:\n\n"
            f"{table(['label', 'clips'], rows)}"
        )
    parts.append(quirks)
    parts.append(codes_of(name))
    splits = [
        (f"[`{protocol}`](../results/{protocol}.md)", about.description)
        for protocol, about in protocols.PROTOCOLS.items()
        if name in about.corpora or (not about.corpora and name != "demo")
    ]
    if splits:
        parts.append(f"## Splits\n\n{table(['protocol', 'how'], splits, 'prose')}")
    parts.append(f"## Cite\n\n{corpus.citation}.\n")
    return "\n".join(part for part in parts if part)


def corpora_pages() -> dict[str, str]:
    """Write the card of each corpus that comes with the package, and an index of them."""
    written, rows = {}, []
    for name in registry.BUILT_IN:
        corpus = corpora.get(name)
        by_hand = ROOT / "docs" / "corpora" / f"{name}.md"
        quirks = by_hand.read_text(encoding="utf-8") if by_hand.is_file() else ""
        written[f"corpora/{name}.md"] = corpus_page(corpus, quirks)
        rows.append(
            (
                f"[{name}]({name}.md)",
                LANGUAGES.get(corpus.language, corpus.language),
                f"{corpus.n_clips:,}",
                len(corpus.demographics),
                len(corpus.labels),
                corpus.licence,
            )
        )
    heads = ["corpus", "language", "clips", "speakers", "labels", "licence"]
    written["corpora/index.md"] = "\n".join(
        [
            "# Corpora\n",
            "Acted emotion, each corpus with terms of its own; none is part of the repository "
            "except the synthetic demo corpus. `ser data list` says what is on your machine and "
            "how to get the rest. [Your own recordings](../make-it-yours.md) are a corpus too.\n",
            table(heads, rows, "sortable"),
            toctree(f"{name} <{name}>" for name in registry.BUILT_IN),
        ]
    )
    return written


def notebooks_page() -> dict[str, str]:
    """List the notebooks, each with the sentences that it opens with."""
    import json

    rows, names = [], []
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        first = "".join(json.loads(file.read_text(encoding="utf-8"))["cells"][0]["source"])
        blocks = [" ".join(block.split()) for block in first.split("\n\n")]
        title = re.sub(r"^# (\d+\. )?", "", blocks[0])
        says = next(block for block in blocks[1:] if not block.startswith("["))
        rows.append((file.stem[:2], f"[{title}]({file.stem}.ipynb)", says))
        names.append(file.stem)
    return {
        "notebooks/index.md": "\n".join(
            [
                "# Notebooks\n",
                "Each reads and writes files only, so you can start anywhere, change a cell and "
                "run again: `make lab` opens them, and the link at the top of each opens it in "
                "Colab. Shown here as committed, with the sounds that they play.\n",
                table(["", "notebook", "what happens"], rows, "prose"),
                toctree(names),
            ]
        )
    }


def texts() -> dict[str, str]:
    """Take along what the repository says of itself."""
    named = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
    return {
        page: (ROOT / file).read_text(encoding="utf-8")
        for page, file in named.items()
        if (ROOT / file).is_file()
    }


def pages(home: Path) -> dict[str, str]:
    """Write all of them, and draw their figures below `home`."""
    (home / "figures").mkdir(parents=True, exist_ok=True)
    return {
        **results_pages(home),
        **models_pages(),
        **corpora_pages(),
        **notebooks_page(),
        **texts(),
    }
