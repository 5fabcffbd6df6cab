"""RAVDESS: 24 actors, two sentences, eight emotions, two intensities."""

from __future__ import annotations

import re
from pathlib import PurePath

from ser.corpora.base import EMOTIONS, Archive, ClipName, Corpus

MODALITIES = {"01": "full-av", "02": "video-only", "03": "audio-only"}
VOCAL_CHANNELS = {"01": "speech", "02": "song"}
EMOTION_CODES = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
REPETITIONS = {"01": "1", "02": "2"}
N_ACTORS = 24

_NAME = re.compile(r"\d\d(-\d\d){6}")


def parse(path: PurePath) -> ClipName | None:
    """Decode the seven fields of a RAVDESS name, sound or video."""
    if not _NAME.fullmatch(path.stem):
        return None
    modality, channel, emotion, intensity, statement, repetition, actor = path.stem.split("-")
    try:
        clip = ClipName(
            emotion=EMOTION_CODES[emotion],
            emotion_raw=EMOTION_CODES[emotion],
            speaker=actor,
            sex="male" if int(actor) % 2 else "female",
            intensity=INTENSITIES[intensity],
            statement=STATEMENTS[statement],
            repetition=REPETITIONS[repetition],
            modality=MODALITIES[modality],
            vocal_channel=VOCAL_CHANNELS[channel],
        )
    except KeyError:
        return None
    no_such_actor = not 1 <= int(actor) <= N_ACTORS
    strong_neutral = clip.emotion == "neutral" and clip.intensity == "strong"
    return None if no_such_actor or strong_neutral else clip


CORPUS = Corpus(
    name="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song",
    language="en",
    n_clips=1440,
    licence="CC BY-NC-SA 4.0: non-commercial use, share alike",
    citation=(
        "S. R. Livingstone and F. A. Russo, The Ryerson Audio-Visual Database of Emotional "
        "Speech and Song (RAVDESS): A dynamic, multimodal set of facial and vocal expressions in "
        "North American English, PLoS ONE 13(5): e0196391, 2018, doi:10.1371/journal.pone.0196391"
    ),
    homepage="https://zenodo.org/records/1188976",
    parse=parse,
    labels=EMOTIONS,
    kaggle="uwrfkaggler/ravdess-emotional-speech-audio",
    archives=(
        Archive(
            url=(
                "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1"
            ),
            filename="Audio_Speech_Actors_01-24.zip",
            checksum="md5:bc696df654c87fed845eb13823edef8a",
            size_bytes=208_468_073,
        ),
    ),
    demographics={
        f"{actor:02d}": ("male" if actor % 2 else "female", None)
        for actor in range(1, N_ACTORS + 1)
    },
)
