"""RAVDESS: 24 actors, two sentences, eight emotions, two intensities."""

from __future__ import annotations

from ser.corpora.base import Archive
from ser.corpora.scheme import Scheme

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
SCHEME = Scheme(
    pattern=(
        r"(?P<modality>\d\d)-(?P<vocal_channel>\d\d)-"
        r"(?!01-02)"  # there is no strong neutral
        r"(?P<emotion>\d\d)-(?P<intensity>\d\d)-"
        r"(?P<statement>\d\d)-(?P<repetition>\d\d)-(?P<speaker>\d\d)"
    ),
    # a video, whole or silent, shows the performance of an audio file: one clip for all three
    stem="03-{vocal_channel}-{emotion}-{intensity}-{statement}-{repetition}-{speaker}",
    codes={
        "modality": MODALITIES,
        "vocal_channel": VOCAL_CHANNELS,
        "emotion": {code: (emotion, emotion) for code, emotion in EMOTION_CODES.items()},
        "intensity": INTENSITIES,
        "statement": STATEMENTS,
        "repetition": REPETITIONS,
    },
    speakers={f"{actor:02d}": ("male" if actor % 2 else "female", None) for actor in range(1, 25)},
)

CORPUS = SCHEME.corpus(
    name="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song",
    language="en",
    n_clips=1440,
    names_sha256="fadd49d0b453b09e6350bfdaef59105fabd71f1c7deb26df2853abd4f43eea94",
    licence="CC BY-NC-SA 4.0: non-commercial use, share alike",
    citation=(
        "S. R. Livingstone and F. A. Russo, The Ryerson Audio-Visual Database of Emotional "
        "Speech and Song (RAVDESS): A dynamic, multimodal set of facial and vocal expressions in "
        "North American English, PLoS ONE 13(5): e0196391, 2018, doi:10.1371/journal.pone.0196391"
    ),
    homepage="https://zenodo.org/records/1188976",
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
)
