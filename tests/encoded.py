"""Recordings as phones, browsers and cameras make them."""

from pathlib import Path

import av
import numpy as np

# name → codec, rate, bit rate; names with "video" have pictures beside their sound
KINDS = {
    "phone.m4a": ("aac", 44_100, 96_000),
    "lossless.m4a": ("alac", 44_100, None),
    "browser.webm": ("libopus", 48_000, 64_000),
    "video.webm": ("libopus", 48_000, 64_000),
    "video.mp4": ("aac", 48_000, 96_000),
    "video.mov": ("pcm_s16le", 48_000, None),
    "video.avi": ("libmp3lame", 44_100, 96_000),
    "video.mpg": ("mp2", 44_100, 96_000),
    "raw.aac": ("aac", 48_000, 96_000),
    "windows.wma": ("wmav2", 44_100, 96_000),
    "old.amr": ("libopencore_amrnb", 8_000, 12_200),
    "old.3gp": ("libopencore_amrnb", 8_000, 12_200),
    "flash.flv": ("aac", 44_100, 96_000),
    "archive.mka": ("flac", 44_100, None),
}
PICTURES = {".webm": "libvpx", ".mpg": "mpeg1video"}  # mpeg4 elsewhere


def can_be_made(name: str) -> bool:
    codec, suffix = KINDS[name][0], Path(name).suffix
    codecs = {codec, PICTURES.get(suffix, "mpeg4")} if "video" in name else {codec}
    return codecs <= av.codecs_available


def encode(path: Path, samples: np.ndarray, rate: int, kind: str = "", **options: str) -> Path:
    """Write samples (n_samples,) or (n_samples, n_channels) as the kind that the name tells."""
    codec, _, bit_rate = KINDS[kind or path.name]
    samples = np.ascontiguousarray(np.atleast_2d(samples.T), np.float32)
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
    container = {".aac": "adts", ".m4a": "ipod"}.get(path.suffix)
    with av.open(str(path), "w", format=container, options=options) as file:
        pictures = None
        if "video" in (kind or path.name):
            pictures = file.add_stream(PICTURES.get(path.suffix, "mpeg4"), rate=25)
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
        sound = file.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            sound.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        size = sound.codec_context.frame_size or 1_024
        cut = av.AudioResampler(format=sound.format, layout=layout, rate=rate, frame_size=size)
        for number in range(round(25 * samples.shape[1] / rate) if pictures else 0):
            grey = np.full((64, 64, 3), number % 256, np.uint8)
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        for part in [*cut.resample(frame), *cut.resample(None)]:
            file.mux(sound.encode(part))
        for stream in [sound, pictures] if pictures else [sound]:
            file.mux(stream.encode(None))
    return path
