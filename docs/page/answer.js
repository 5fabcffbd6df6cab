// One pass over a recording gives everything: the rules of src/ser/inference (speech.py, windows.py,
// model.py, live.py), so that page and package answer alike. What hears and what listens for speech
// is handed in; the tests hold both against Python.

import { MIN_DURATION_S, levels, resample, trimmed, warningsAbout } from "./sound.js";

const VAD_RATE_HZ = 16000;
const CHUNK = 512; // samples that one probability is about
const CONTEXT = 64; // samples of the chunk before that the detector takes along
export const FRAME = CONTEXT + CHUNK;
const AT_ONCE = 256; // chunks, about eight seconds
const BEGINS = 0.5;
const ENDS = 0.35;
const SHORTEST_SPEECH_S = 0.25;
const SHORTEST_PAUSE_S = 0.3;
const MARGIN_S = 0.1;
const AROUND_S = 0.3; // the same on a timeline

const WINDOW_S = 3;
export const HOP_S = 0.5;
const SHORT_S = 0.5;
const SLACK_S = 0.1; // a recording of this much more is still heard as one
const LEAD_S = 1.25; // what comes before the speech is left out where it lasts longer
const MIXED_BELOW = 0.6; // share of the speech that the answer about all of it is true of
const QUIET_AFTER_S = 1; // live, without speech for so long, nothing is answered

const WARNINGS = {
  silent: () => "silent: there is nothing to hear in this recording",
  quiet: ({ loudest }) =>
    `very quiet: its loudest moment reaches ${(100 * loudest).toFixed(1)} % of what can be ` +
    "recorded, and the answer may be wrong; record closer to the microphone",
  clipped: ({ clipped }) =>
    `clipped: ${(100 * clipped).toFixed(1)} % of the recording is overdriven; turn the level down`,
  truncated: ({ duration }) =>
    `cut short: the file ends after ${duration.toFixed(1)} s, before its header says; copy it ` +
    "again from its source",
  short: ({ duration }) => `very short: there is little to go by in ${duration.toFixed(2)} s`,
  "no speech": () => "no speech found in it: nothing is answered",
  mixed: ({ label, share }) =>
    `mixed: ${label} is true of ${(100 * share).toFixed(0)} % of the speech only; see the timeline`,
};

/** Something a user can put right; its message is shown as it is. */
export class AudioError extends Error {}

// Speech --------------------------------------------------------------------------------------------

/** Tell how probable speech is, every 32 ms. */
async function speechProbability(listen, samples, rate) {
  const mono = resample(samples, rate, VAD_RATE_HZ);
  const n = Math.ceil(mono.length / CHUNK);
  const frames = new Float32Array(n * FRAME); // each chunk after the end of the last
  for (let frame = 0; frame < n; frame++) {
    const begin = frame * CHUNK - CONTEXT;
    for (let i = Math.max(0, -begin); i < FRAME && begin + i < mono.length; i++) {
      frames[frame * FRAME + i] = Math.max(-1, Math.min(1, mono[begin + i]));
    }
  }
  const found = [];
  let state = null;
  for (let first = 0; first < n; first += AT_ONCE) {
    const [begin, end] = [first, first + AT_ONCE].map((frame) => frame * FRAME);
    const answer = await listen(frames.subarray(begin, end), state);
    state = answer.state;
    found.push(...answer.probabilities);
  }
  return found;
}

/** Tell whether anybody speaks. */
async function hasSpeech(listen, samples, rate) {
  const found = await speechProbability(listen, samples, rate);
  return found.some((probability) => probability >= BEGINS);
}

/** Find where somebody speaks: pairs of seconds, none of which overlaps the next. */
async function findSpeech(listen, samples, rate, margin = MARGIN_S) {
  const step = CHUNK / VAD_RATE_HZ;
  const duration = samples.length / rate;
  const found = [];
  let speaking = false;
  const probabilities = await speechProbability(listen, samples, rate);
  for (const [number, probability] of probabilities.entries()) {
    speaking = probability >= (speaking ? ENDS : BEGINS);
    if (!speaking) continue;
    const [start, end] = [number * step, (number + 1) * step];
    const last = found.at(-1);
    if (last && start - last[1] < SHORTEST_PAUSE_S) last[1] = end;
    else found.push([start, end]);
  }
  const kept = found.filter(([start, end]) => end - start >= SHORTEST_SPEECH_S);
  return kept.map(([start, end], i) => [
    Math.max(i ? (kept[i - 1][1] + start) / 2 : 0, start - margin),
    Math.min(i + 1 < kept.length ? (end + kept[i + 1][0]) / 2 : duration, end + margin),
  ]);
}

// Windows -------------------------------------------------------------------------------------------

const indexOfMost = (values) => values.indexOf(Math.max(...values));
const rounded = (value, digits) => Number(value.toFixed(digits));
const roundHalfToEven = (value) => {
  const whole = Math.round(value);
  return Math.abs(value % 1) === 0.5 && whole % 2 ? whole - 1 : whole;
};

export function named(classes, values) {
  return Object.fromEntries(classes.map((name, i) => [name, values[i]]));
}

/** Answer for stretches of speech; windows overlap and are averaged, neighbours are joined. */
async function segmentsOf(model, samples, rate, stretches, progress) {
  const { classes } = model;
  const found = [];
  const total = stretches.reduce((sum, [start, end]) => sum + end - start, 0);
  let done = 0;
  for (const [start, end] of stretches) {
    const nCells = Math.max(1, roundHalfToEven((end - start) / HOP_S));
    const edge = (i) => start + ((end - start) * i) / nCells;
    const window = Math.min(WINDOW_S, model.longest_s);
    const perWindow = Math.max(1, Math.min(nCells, roundHalfToEven(window / HOP_S)));
    const totals = Array.from({ length: nCells }, () => new Array(classes.length).fill(0));
    const counts = new Array(nCells).fill(0);
    for (let first = 0; first + perWindow <= nCells; first++) {
      const begin = Math.trunc(edge(first) * rate);
      const stop = Math.trunc(edge(first + perWindow) * rate);
      const { probabilities } = await model.hear(samples.subarray(begin, stop));
      for (let cell = first; cell < first + perWindow; cell++) {
        counts[cell] += 1;
        probabilities.forEach((value, i) => (totals[cell][i] += value));
      }
      await progress((done + edge(first) - start) / total);
    }
    done += end - start;
    const cells = totals.map((values, cell) => values.map((value) => value / counts[cell]));
    found.push(...joined(classes, edge, cells));
  }
  return found;
}

function joined(classes, edge, cells) {
  const found = [];
  for (let first = 0, after; first < cells.length; first = after) {
    const label = indexOfMost(cells[first]);
    after = first + 1;
    while (after < cells.length && indexOfMost(cells[after]) === label) after += 1;
    const rows = cells.slice(first, after);
    const mean = classes.map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
    found.push({
      start_s: rounded(edge(first), 3),
      end_s: rounded(edge(after), 3),
      label: classes[label],
      probabilities: named(classes, mean),
    });
  }
  return found;
}

const lasts = (segment) => segment.end_s - segment.start_s;
const sumOf = (values) => values.reduce((sum, value) => sum + value, 0);

function meanOf(segments, classes) {
  const total = sumOf(segments.map(lasts));
  const share = (name) => sumOf(segments.map((s) => lasts(s) * s.probabilities[name])) / total;
  return named(classes, classes.map(share));
}

export function mostProbable(probabilities) {
  const names = Object.keys(probabilities);
  return names.length ? names[indexOfMost(Object.values(probabilities))] : "";
}

// A recording ---------------------------------------------------------------------------------------

/**
 * Answer about one recording: everything from one pass, so that no two parts disagree.
 *
 * `model` has `name`, `classes`, `sample_rate_hz`, `longest_s`, `threshold`, `trim_db` and `hear`,
 * which takes samples at that rate; `listen` is the detector of speech. What the model heard is given
 * beside the answer.
 */
export async function predict(model, listen, mono, rate, { truncated, progress }) {
  const duration = mono.length / rate;
  if (duration < MIN_DURATION_S) {
    throw new AudioError(
      `the recording is ${duration.toFixed(3)} s long; at least ${MIN_DURATION_S} s are needed to ` +
      "hear an emotion.",
    );
  }
  const level = levels(mono);
  const notes = warningsAbout(level);
  if (truncated) notes.push("truncated");
  if (duration < SHORT_S) notes.push("short");
  const silent = notes.includes("silent");
  const inWindows = duration > model.longest_s + SLACK_S;
  const hertz = model.sample_rate_hz;
  const heard = resample(mono, rate, hertz);
  const listened = hertz === VAD_RATE_HZ ? heard : resample(mono, rate, VAD_RATE_HZ);
  let segments = [];
  let attention = null;
  if (inWindows) {
    const stretches = silent ? [] : await findSpeech(listen, listened, VAD_RATE_HZ, AROUND_S);
    segments = await segmentsOf(model, heard, hertz, stretches, progress);
  } else if (!silent) {
    const stretches = await findSpeech(listen, listened, VAD_RATE_HZ);
    if (stretches.length || (await hasSpeech(listen, listened, VAD_RATE_HZ))) {
      const begin = stretches.length && stretches[0][0] > LEAD_S ? stretches[0][0] : 0;
      const at = (seconds) => Math.round(seconds * hertz);
      const spoken = heard.slice(at(begin));
      const found = await model.hear(spoken);
      const probabilities = named(model.classes, [...found.probabilities]);
      segments = [
        { start_s: 0, end_s: duration, label: mostProbable(probabilities), probabilities },
      ];
      attention = found.attention && placed(model, spoken, begin, found.attention);
    }
  }
  const probabilities = segments.length ? meanOf(segments, model.classes) : {};
  const label = mostProbable(probabilities);
  const ofLabel = sumOf(segments.filter((s) => s.label === label).map(lasts));
  const ofAll = sumOf(segments.map(lasts));
  const mixed = ofLabel < MIXED_BELOW * ofAll;
  if (!segments.length && !silent) notes.push("no speech");
  if (mixed) notes.push("mixed");
  const facts = { ...level, duration, label, share: ofLabel / (ofAll || 1) };
  const answer = {
    label,
    probabilities,
    duration_s: duration,
    segments,
    warnings: notes.map((name) => WARNINGS[name](facts)),
    uncertain: (probabilities[label] ?? 0) < model.threshold,
    no_speech: !segments.length,
    mixed,
    model: model.name,
    in_windows: inWindows,
    attention,
  };
  return { answer, heard };
}

/** Put the weights of attention where they belong: the graph trims what it is given first. */
function placed(model, spoken, begin, weights) {
  const [first, end] = trimmed(spoken, model.trim_db);
  return {
    weights: [...weights],
    start_s: begin + first / model.sample_rate_hz,
    end_s: begin + end / model.sample_rate_hz,
    step_s: model.longest_s / weights.length,
  };
}

/** The answer in words: the same as in the terminal. */
export function headline({ label, probabilities, uncertain, no_speech: silent }) {
  if (silent) return "no speech";
  const share = `${label} (${(100 * probabilities[label]).toFixed(0)} %)`;
  return (uncertain ? "uncertain, most likely " : "") + share;
}

// While somebody speaks -----------------------------------------------------------------------------

/** Answers after every block, about a window that rolls; holds no more than that window. */
export class Live {
  constructor(model, listen, rate) {
    Object.assign(this, { model, listen, rate, time_s: 0, lastSpeech_s: -Infinity });
    this.window = new Float32Array(0);
  }

  async tick(block) {
    const { model, rate } = this;
    this.time_s += block.length / rate;
    const most = Math.round(Math.min(WINDOW_S, model.longest_s) * rate);
    const kept = this.window.subarray(Math.max(0, this.window.length + block.length - most));
    const window = new Float32Array(kept.length + block.length);
    window.set(kept);
    window.set(block, kept.length);
    this.window = window;
    // the detector needs a little of what came before to find its way into a sentence
    const recent = block.length + Math.round(((8 * CHUNK) / VAD_RATE_HZ) * rate);
    const latest = window.subarray(Math.max(0, window.length - recent));
    if (await hasSpeech(this.listen, latest, rate)) this.lastSpeech_s = this.time_s;
    let probabilities = {};
    if (this.time_s - this.lastSpeech_s < QUIET_AFTER_S) {
      const heard = await model.hear(resample(window, rate, model.sample_rate_hz));
      probabilities = named(model.classes, [...heard.probabilities]);
    }
    return { time_s: this.time_s, probabilities, label: mostProbable(probabilities) };
  }
}

// Downloads -----------------------------------------------------------------------------------------

/** As `ser predict --json` writes it. */
export function asJson(file, { attention, ...answer }) {
  return JSON.stringify([{ file, ...answer }], null, 2) + "\n";
}

const cell = (value) => {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** As `ser predict --csv` writes it: the recording, and each stretch of a long one. */
export function asCsv(file, classes, answer) {
  const yesNo = (value) => (value ? "True" : "False");
  const shares = (probabilities) =>
    classes.map((name) => (name in probabilities ? rounded(probabilities[name], 4) : ""));
  const { model } = answer;
  const rows = [
    [
      ...["file", "part", "start_s", "end_s", "label"],
      ...[...classes, "uncertain", "no_speech", "model", "warnings", "error"],
    ],
    [
      ...[file, "recording", "0.0", rounded(answer.duration_s, 3), answer.label],
      ...shares(answer.probabilities),
      ...[yesNo(answer.uncertain), yesNo(answer.no_speech), model, answer.warnings.join("; "), ""],
    ],
    ...(answer.in_windows ? answer.segments : []).map((s) => [
      ...[file, "segment", s.start_s, s.end_s, s.label, ...shares(s.probabilities)],
      ...["", "", model, "", ""],
    ]),
  ];
  return rows.map((row) => row.map(cell).join(",") + "\n").join("");
}
