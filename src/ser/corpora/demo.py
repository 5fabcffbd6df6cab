"""The demo corpus: synthetic speech under the names of four real corpora.

It exists so that everything runs on any machine without a download. Its voices are espeak-ng's and
its emotions are rules (``tools/make_demo_corpus.py``): no number computed from it says anything
about people.
"""

import dataclasses
from pathlib import Path, PurePath

from ser.corpora.base import EMOTIONS, Archive, ClipName, Corpus, read

SPEAKERS = {
    "ravdess": tuple(f"{actor:02d}" for actor in range(1, 17)),
    "crema_d": ("1001", "1002", "1003", "1005"),
    "tess": ("OAF", "YAF"),
    "savee": ("DC", "JE"),
}
SCHEMES = {name: read(name) for name in SPEAKERS}
CLIPS = Path(__file__).with_name("demo_clips.zip")


def parse(path: PurePath) -> ClipName | None:
    """Decode a name by the scheme of its first folder."""
    scheme = SCHEMES.get(path.parts[0]) if path.parts else None
    clip = scheme.parse(path) if scheme else None
    if scheme is None or clip is None:
        return None
    return dataclasses.replace(clip, speaker=f"{scheme.name}-{clip.speaker}", age=None)


def canonical(path: PurePath) -> str:
    """Return the scheme's name and the clip's."""
    scheme = SCHEMES[path.parts[0]]
    return f"{scheme.name}-{scheme.canonical(path)}"


CORPUS = Corpus(
    name="demo",
    title="Demo corpus: synthetic speech, for trying things out; not a result",
    language="en",
    n_clips=720,
    licence="None needed: synthesised speech, free of rights (CC0)",
    citation="None: synthetic speech must not be cited as a result",
    homepage="https://github.com/espeak-ng/espeak-ng",
    parse=parse,
    labels=EMOTIONS,
    canonical=canonical,
    archives=(Archive(url=str(CLIPS), filename=CLIPS.name),),
    demographics={
        f"{scheme}-{speaker}": (SCHEMES[scheme].demographics[speaker][0], None)
        for scheme, speakers in SPEAKERS.items()
        for speaker in speakers
    },
)
