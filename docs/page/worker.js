// Models answer here, off the page's own thread, so that the page never stutters.

import * as ort from "./ort.wasm.min.mjs";
import { AudioError, FRAME, Live, predict } from "./answer.js";
import { KEPT_S } from "./recording.js";
import { asWav, envelope, resample, spectrogram, toMono } from "./sound.js";

const STATE = 128; // of the detector's memory
const CODED = [8000, 12000, 16000, 24000]; // rates of Opus that libsndfile gives as they are
const COLUMNS = 800; // of a waveform that is drawn

const models = new Map();
let listen = null;
let given = null; // the recording that is asked about: { mono, rate, truncated }
let job = 0;

const session = (bytes) =>
  ort.InferenceSession.create(bytes, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "disabled", // a second sooner, and answers take as long
    logSeverityLevel: 3,
  });

const hex = (buffer) =>
  Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Open Silero's detector; give it frames and its state, and it tells how probable speech is. */
async function openDetector(bytes) {
  const opened = await session(bytes);
  const memory = () => new ort.Tensor("float32", new Float32Array(STATE), [1, 1, STATE]);
  return async (frames, state) => {
    const input = new ort.Tensor("float32", frames, [frames.length / FRAME, FRAME]);
    const { h, c } = state ?? { h: memory(), c: memory() };
    const found = await opened.run({ input, h, c });
    return { probabilities: found.speech_probs.data, state: { h: found.hn, c: found.cn } };
  };
}

/** Open a bundle: its card says what its graph takes and gives. */
async function openModel(name, card, bytes) {
  if (card.format !== 1) {
    throw new AudioError(`${name}: expected a bundle of format 1, found ${card.format}.`);
  }
  const found = crypto.subtle && hex(await crypto.subtle.digest("SHA-256", bytes));
  if (found && found !== card.files.onnx.sha256) {
    throw new AudioError(`${name}: damaged or changed since it was exported. Reload the page.`);
  }
  const opened = await session(bytes);
  const hear = async (samples) => {
    const waveform = new ort.Tensor("float32", samples, [samples.length]);
    const { probabilities, attention } = await opened.run({ waveform });
    return { probabilities: probabilities.data, attention: attention?.data ?? null };
  };
  await hear(new Float32Array(card.sample_rate_hz).fill(0.01)); // the first call takes longest
  const { classes, sample_rate_hz, window_s, threshold, audio } = card;
  models.set(name, {
    ...{ name, classes, sample_rate_hz, hear, threshold: threshold ?? 0 },
    ...{ longest_s: window_s, trim_db: audio?.trim_db ?? null },
  });
}

/** Let messages in, and give up what nobody waits for any longer. */
const breathe = (mine) =>
  new Promise((resolve, reject) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      if (mine === job) resolve();
      else reject(new AudioError("stopped"));
    };
    port2.postMessage(null);
  });

const tasks = {
  async start({ wasm, detector, base }) {
    Object.assign(ort.env.wasm, { wasmBinary: wasm, wasmPaths: base, numThreads: 1 });
    listen = await openDetector(detector);
  },

  async open({ name, card, bytes }) {
    await openModel(name, card, bytes);
  },

  async give({ channels, rate, truncated, coded }) {
    let mono = toMono(channels);
    if (!mono.every(Number.isFinite)) {
      throw new AudioError(
        "the file holds NaN or infinite samples. Export it again as 16-bit PCM or FLAC.",
      );
    }
    if (CODED.includes(coded)) { // nothing lies above, so the filter may be steep
      mono = resample(mono, rate, coded, 0.97);
      rate = coded;
    }
    given = { mono, rate, truncated };
  },

  async answer({ model: name }, id) {
    job = id;
    const began = performance.now();
    const model = models.get(name);
    const { mono, rate, truncated } = given;
    const progress = async (share) => {
      postMessage({ id, progress: share });
      await breathe(id);
    };
    const notes = { truncated, progress };
    const { answer, heard } = await predict(model, listen, mono, rate, notes);
    const took_ms = performance.now() - began;
    const picture = {
      ...spectrogram(heard, model.sample_rate_hz),
      envelope: envelope(mono, COLUMNS),
    };
    return { answer, picture, took_ms };
  },

  async stop() {
    job = 0;
  },

  /** Hear blocks from the audio thread until it says that there are no more. */
  async live({ model, port, rate }, id) {
    const kept = new Float32Array(KEPT_S * rate).fill(0); // taken now, so that memory does not grow
    let [total, waiting, busy] = [0, [], false];
    const live = new Live(models.get(model), listen, rate);
    return new Promise((resolve, reject) => {
      const end = () => {
        const n = Math.min(total, kept.length);
        const mono = new Float32Array(n);
        for (let i = 0; i < n; i++) mono[i] = kept[(total - n + i) % kept.length];
        port.close();
        given = { mono, rate, truncated: false };
        resolve({ wav: asWav(mono, rate), total_s: total / rate });
      };
      port.onmessage = async ({ data }) => {
        if (data === null) {
          end();
          return;
        }
        for (const value of data) kept[total++ % kept.length] = value;
        waiting.push(data);
        if (busy) return; // one at a time; what came meanwhile is heard together
        busy = true;
        try {
          while (waiting.length) {
            const block = join(waiting);
            waiting = [];
            const began = performance.now();
            const tick = await live.tick(block);
            postMessage({ id, progress: { ...tick, latency_s: (performance.now() - began) / 1e3 } });
          }
        } catch (error) {
          reject(error);
        }
        busy = false;
      };
    });
  },
};

function join(blocks) {
  const found = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    found.set(block, at);
    at += block.length;
  }
  return found;
}

onmessage = async ({ data: { id, task, ...values } }) => {
  try {
    postMessage({ id, result: await tasks[task](values, id) });
  } catch (error) {
    const expected = error instanceof AudioError;
    postMessage({ id, error: error.message, expected });
  }
};
