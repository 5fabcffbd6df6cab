// From a file or a microphone to samples: the browser decodes, nothing is sent anywhere.

import { AudioError } from "./answer.js";

export const MAX_BYTES = 100e6;
export const MAX_SECONDS = 600;
export const KEPT_S = 120; // of what is spoken: the latest
const RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000];
const STREAMED = 0x7fff0000; // bytes; what writes into a pipe claims so many, or more
const METADATA_MS = 3000;

// Files ---------------------------------------------------------------------------------------------

/** Read from a file's beginning at which rate it was recorded, and whether its end is missing. */
export function describe(bytes) {
  const view = new DataView(bytes);
  const text = (at, n) => String.fromCharCode(...new Uint8Array(bytes, at, Math.min(n, bytes.byteLength - at)));
  const found = { rate: 48000, truncated: false, coded: null };
  const size = bytes.byteLength;
  if (size < 64) return found;
  if (text(0, 4) === "RIFF" && text(8, 4) === "WAVE") {
    for (let at = 12; at + 8 <= size; ) {
      const [name, length] = [text(at, 4), view.getUint32(at + 4, true)];
      if (name === "fmt " && at + 16 <= size) found.rate = view.getUint32(at + 12, true);
      if (name === "data") {
        found.truncated = length < STREAMED && at + 8 + length > size;
        break;
      }
      at += 8 + length + (length % 2);
    }
  } else if (text(0, 4) === "fLaC") {
    found.rate = (view.getUint16(18) << 4) | (view.getUint8(20) >> 4);
  } else if (text(0, 4) === "OggS" && text(28, 8) === "OpusHead") {
    found.coded = view.getUint32(40, true); // browsers give 48 kHz all the same
  } else if (text(0, 4) === "OggS" && text(28, 7) === "\x01vorbis") {
    found.rate = view.getUint32(40, true);
  } else {
    found.rate = rateOfMp3(new Uint8Array(bytes)) ?? found.rate;
  }
  if (!RATES.includes(found.rate)) found.rate = 48000;
  return found;
}

function rateOfMp3(bytes) {
  let at = 0;
  if (String.fromCharCode(...bytes.subarray(0, 3)) === "ID3") {
    at = 10 + bytes.subarray(6, 10).reduce((sum, byte) => (sum << 7) | byte, 0);
  }
  const [first, second, third] = bytes.subarray(at, at + 3);
  const layer = (second >> 1) & 3; // 0 is AAC
  if (first !== 0xff || (second & 0xe0) !== 0xe0 || !layer) return null;
  const rate = [44100, 48000, 32000][(third >> 2) & 3];
  return rate / { 3: 1, 2: 2, 0: 4 }[(second >> 3) & 3];
}

/** Ask the browser how long a file says it is; NaN where it does not know. */
function claimedSeconds(file) {
  return new Promise((resolve) => {
    const player = new Audio();
    const url = URL.createObjectURL(file);
    const tell = () => {
      clearTimeout(timer);
      resolve(player.duration);
      player.removeAttribute("src");
      URL.revokeObjectURL(url);
    };
    const timer = setTimeout(tell, METADATA_MS);
    player.onloadedmetadata = player.onerror = tell;
    player.preload = "metadata";
    player.src = url;
  });
}

/** Decode a file: its channels at the rate they were recorded at. */
export async function decode(file) {
  if (!file.size) {
    throw new AudioError("the file is empty (0 bytes). Record or copy it again.");
  }
  if (file.size > MAX_BYTES) {
    throw new AudioError(
      `the file has ${(file.size / 1e6).toFixed(0)} MB; at most ${MAX_BYTES / 1e6} MB are taken. ` +
      "Cut or compress it.",
    );
  }
  const tooLong = (seconds) =>
    new AudioError(
      `the recording is ${(seconds / 60).toFixed(0)} minutes long; at most ${MAX_SECONDS / 60} ` +
      "minutes are taken here. Cut it into parts, or use the command line: ser predict.",
    );
  const claimed = await claimedSeconds(file);
  if (Number.isFinite(claimed) && claimed > MAX_SECONDS) throw tooLong(claimed);
  const bytes = await file.arrayBuffer().catch(() => {
    throw new AudioError("the file cannot be read. Is it still where it was?");
  });
  const head = new TextDecoder().decode(bytes.slice(0, 26));
  if (head.startsWith("version https://git-lfs")) {
    throw new AudioError(
      "this is a Git LFS pointer, not the recording itself. Run `git lfs pull` in that checkout.",
    );
  }
  const { rate, truncated, coded } = describe(bytes);
  let decoded;
  try {
    decoded = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  } catch {
    throw new AudioError(
      "expected a recording (wav, mp3, m4a, webm, ogg, flac), found something that this browser " +
      "cannot decode. Convert it to WAV, or record it again.",
    );
  }
  if (decoded.duration > MAX_SECONDS) throw tooLong(decoded.duration);
  if (!decoded.length) throw new AudioError("the file holds no samples. Record or export it again.");
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, i) =>
    decoded.getChannelData(i));
  return { channels, rate: decoded.sampleRate, truncated, coded };
}

// The microphone ------------------------------------------------------------------------------------

const REFUSED = {
  NotAllowedError:
    "the browser may not use the microphone. Allow it beside the address, or drop a recording.",
  NotFoundError: "no microphone was found. Plug one in, or drop a recording.",
  NotReadableError: "another program holds the microphone. Close it and try again.",
};

/**
 * Listen until `stop`: `port` is sent blocks of `seconds` from the audio thread itself, `level` is
 * called with the peak about twenty times a second.
 */
export class Microphone {
  static async open(port, seconds, level) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new AudioError(
        "a microphone needs a secure page (https, or localhost). Drop a recording instead.",
      );
    }
    const found = new Microphone();
    try {
      // as the voice is: what a telephone would do to it is no part of how it sounds
      found.stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (error) {
      throw new AudioError(REFUSED[error.name] ?? `no microphone can be opened (${error.message}).`);
    }
    try {
      found.context = new AudioContext();
      found.rate = found.context.sampleRate;
      await found.context.audioWorklet.addModule(new URL("capture.js", import.meta.url));
      const source = found.context.createMediaStreamSource(found.stream);
      const capture = new AudioWorkletNode(found.context, "capture", {
        numberOfOutputs: 0,
        processorOptions: { block: Math.round(seconds * found.rate) },
      });
      capture.port.onmessage = ({ data }) => level(data);
      capture.port.postMessage(port, [port]);
      source.connect(capture);
      found.context.resume();
      found.capture = capture;
    } catch (error) {
      await found.stop();
      throw error;
    }
    return found;
  }

  /** Close the microphone; what was heard since the last block is sent too. */
  async stop() {
    this.stream.getTracks().forEach((track) => track.stop());
    if (this.capture) {
      const flushed = new Promise((resolve) => (this.capture.port.onmessage = resolve));
      this.capture.port.postMessage("flush");
      await Promise.race([flushed, new Promise((resolve) => setTimeout(resolve, 500))]);
    }
    await this.context?.close();
  }
}
