"""SAVEE: four men, 120 sentences each in seven emotions."""

from __future__ import annotations

from ser.corpora.scheme import Scheme

EMOTION_CODES = {
    "a": ("angry", "anger"),
    "d": ("disgust", "disgust"),
    "f": ("fearful", "fear"),
    "h": ("happy", "happiness"),
    "n": ("neutral", "neutral"),
    "sa": ("sad", "sadness"),
    "su": ("surprised", "surprise"),
}
SCHEME = Scheme(
    pattern=(
        r"(?P<speaker>[A-Z]{2})_"
        r"(?P<emotion>n(?=0[1-9]|[12]\d|30)|(?:sa|su|[adfh])(?=0[1-9]|1[0-5]))"  # 30, 15 each
        r"(?P<statement>\d\d)"
    ),
    stem="{speaker}_{emotion}{statement}",
    codes={"emotion": EMOTION_CODES},
    speakers=dict.fromkeys(("DC", "JE", "JK", "KL"), ("male", None)),
    speaker_folder=True,
)

CORPUS = SCHEME.corpus(
    name="savee",
    title="Surrey Audio-Visual Expressed Emotion",
    language="en",
    n_clips=480,
    names_sha256="7bdb2ba44e53c94916e3a7a7197880c4c5309cf0a825135a2c662241cafd467a",
    licence="Research use only; may not be redistributed",
    citation=(
        "S. Haq and P. J. B. Jackson, Multimodal Emotion Recognition, in W. Wang (ed.), Machine "
        "Audition: Principles, Algorithms and Systems, IGI Global, chapter 17, 398-423, 2010"
    ),
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    kaggle="ejlok1/surrey-audiovisual-expressed-emotion-savee",
)
