"""TESS: two women, 200 words each in seven emotions."""

from __future__ import annotations

from ser.corpora.scheme import Scheme

EMOTION_NAMES = {
    "angry": ("angry", "angry"),
    "disgust": ("disgust", "disgust"),
    "fear": ("fearful", "fear"),
    "happy": ("happy", "happy"),
    "neutral": ("neutral", "neutral"),
    "ps": ("surprised", "pleasant surprise"),
    "sad": ("sad", "sad"),
}

SCHEME = Scheme(
    pattern=r"(?P<speaker>[OY]AF)_(?P<statement>[a-z]+)_(?P<emotion>[a-z]+)",
    stem="{speaker}_{statement}_{emotion}",
    codes={"emotion": EMOTION_NAMES},
    speakers={"OAF": ("female", 64), "YAF": ("female", 26)},
    slips={"oa_bite_neutral": "OAF_bite_neutral"},
)

CORPUS = SCHEME.corpus(
    name="tess",
    title="Toronto Emotional Speech Set",
    language="en",
    n_clips=2800,
    names_sha256="573c91117f2789c05b4e998bb33e6a05b2f98a36bd7792c39edf4227e1e7eb3f",
    licence="CC BY-NC-ND 4.0: non-commercial use, no derivatives",
    citation=(
        "M. K. Pichora-Fuller and K. Dupuis, Toronto emotional speech set (TESS), Borealis, "
        "2020, doi:10.5683/SP2/E8H2MF"
    ),
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    kaggle="ejlok1/toronto-emotional-speech-set-tess",
)
