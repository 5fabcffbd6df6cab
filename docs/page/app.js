// The page: what can be asked, and what is shown of the answer.

import { AudioError, HOP_S, asCsv, asJson, headline } from "./answer.js";
import { drawLines, drawSpectrogram, drawTimeline } from "./draw.js";
import { KEPT_S, Microphone, decode } from "./recording.js";

const $ = (id) => document.getElementById(id);
const here = (name) => new URL(name, import.meta.url).href;
const REMEMBERED_S = 30; // of what is drawn while somebody speaks
const SHOWN_PARTS = 3; // notes about the recording that are read out

// The worker ----------------------------------------------------------------------------------------

// Started from a blob, so that it is bound by this page's Content-Security-Policy.
const worker = new Worker(
  URL.createObjectURL(
    new Blob([`import ${JSON.stringify(here("worker.js"))};`], { type: "text/javascript" }),
  ),
  { type: "module" },
);
const waiting = new Map();
let lastId = 0;

worker.onmessage = ({ data: { id, progress, result, error, expected } }) => {
  const asked = waiting.get(id);
  if (progress !== undefined) {
    asked?.progress?.(progress);
    return;
  }
  waiting.delete(id);
  if (error === undefined) asked?.resolve(result);
  else asked?.reject(expected ? new AudioError(error) : new Error(error));
};
worker.onerror = (event) => {
  event.preventDefault?.();
  for (const { reject } of waiting.values()) reject(new Error(event.message || "it did not start"));
  waiting.clear();
};

function ask(task, values = {}, { transfer = [], progress } = {}) {
  return new Promise((resolve, reject) => {
    const id = ++lastId;
    waiting.set(id, { resolve, reject, progress });
    worker.postMessage({ id, task, ...values }, transfer);
  });
}

// Loading -------------------------------------------------------------------------------------------

/** Let the service worker take over first: what passes through it is kept for offline use. */
async function keepForOffline() {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register(here("sw.js"));
    if (navigator.serviceWorker.controller) return;
    await Promise.race([
      new Promise((resolve) => (navigator.serviceWorker.oncontrollerchange = resolve)),
      new Promise((resolve) => setTimeout(resolve, 4000)),
    ]);
  } catch {
    // the page answers without it, only not offline
  }
}

async function download(name, progress = () => {}) {
  const answer = await fetch(here(name)).catch(() => null);
  if (!answer?.ok) throw new AudioError(`${name} cannot be loaded. Check the network and reload.`);
  const parts = [];
  let size = 0;
  const reader = answer.body.getReader();
  for (let part; !(part = await reader.read()).done; ) {
    parts.push(part.value);
    size += part.value.length;
    progress(size);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const text = (bytes) => new TextDecoder().decode(bytes);
const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

function showLoading(what, have, total) {
  $("loading").textContent = what && `Loading ${what}: ${megabytes(have)} of ${megabytes(total)} MB`;
  $("loaded").value = total ? have / total : 0;
  $("loaded").hidden = $("loading").hidden = !what;
}

const cards = new Map(); // name → bundle.json and what page.json says
let model = null; // the one that answers
let chosen = false; // whether it was chosen by hand
const opening = new Map();

function open(entry) {
  if (!opening.has(entry.name)) {
    opening.set(entry.name, (async () => {
      const card = JSON.parse(text(await download(`models/${entry.name}/bundle.json`)));
      const bytes = await download(`models/${entry.name}/model.onnx`, (have) =>
        showLoading(entry.name, have, entry.bytes));
      showLoading(`${entry.name} into memory`, entry.bytes, entry.bytes);
      await ask("open", { name: entry.name, card, bytes }, { transfer: [bytes.buffer] });
      cards.set(entry.name, { ...card, ...entry });
      showLoading("");
    })());
    opening.get(entry.name).catch(() => opening.delete(entry.name));
  }
  return opening.get(entry.name);
}

function use(name) {
  model = cards.get(name);
  $("model").value = name;
  $("model").disabled = $("model").options.length < 2;
  $("record").disabled = false;
  $("limits").textContent = limits(model);
  if (!shown && !recording) {
    showBars({});
    if ($("working").hidden) $("about").textContent = "";
  }
}

function limits({ expected }) {
  const meant =
    "The answer says how acted emotions of trained speakers would have sounded, not how anybody feels.";
  if (!expected) return `${meant} This model has no card: do not rely on it.`;
  return (
    `${meant} Of speakers it had never heard, such a model found ${expected.uar} of each emotion ` +
    `on average; guessing finds ${expected.chance}.`
  );
}

async function load() {
  await keepForOffline();
  const page = JSON.parse(text(await download("page.json")));
  $("model").replaceChildren();
  for (const { name, bytes } of page.models) {
    $("model").add(new Option(`${name} (${megabytes(bytes)} MB)`, name));
  }
  const [detector, wasm] = await Promise.all([
    download("silero_vad.onnx"),
    download("ort-wasm-simd-threaded.wasm", (have) => showLoading("the engine", have, page.engine)),
  ]);
  const binary = wasm.buffer;
  await ask("start", { wasm: binary, detector, base: here("./") }, { transfer: [binary] });
  await open(page.models[0]);
  use(page.models[0].name);
  if (queued) answer(queued);
  await showExamples();
  const best = page.models.at(-1);
  if (page.models.length > 1 && !navigator.connection?.saveData) {
    try {
      await open(best);
      if (!chosen) change(best.name);
    } catch (error) {
      showLoading("");
      say(error.message); // the other one goes on answering
    }
  }
  document.documentElement.dataset.state = "loaded";
  $("model").onchange = async ({ target }) => {
    chosen = true;
    await guarded(async () => {
      await open(page.models.find(({ name }) => name === target.value));
      change(target.value);
    });
  };
}

/** Let another model answer, and ask it about what is shown. */
function change(name) {
  use(name);
  if (shown && !recording) answer(shown.given, { silently: true });
}

async function showExamples() {
  const buttons = [...$("examples").querySelectorAll("button")];
  await Promise.all(buttons.map(async (button) => {
    const file = `${button.value}.opus`;
    const blob = new File([await download(file)], file);
    button.onclick = () => take(blob);
  }));
  $("examples").hidden = false;
}

// Asking --------------------------------------------------------------------------------------------

let shown = null; // the recording, its answer and its picture
let queued = null; // what was given before a model was there
let recording = null; // the open microphone
let asked = 0; // what comes later makes what came before void

function say(message) {
  $("status").textContent = message;
}

async function guarded(action) {
  try {
    await action();
  } catch (error) {
    const known = error instanceof AudioError;
    showProblem(known ? error.message : `something went wrong in this page (${error.message}).`);
  }
}

/** Take a file: from the picker, a drop or an example. */
function take(file) {
  return guarded(async () => {
    if (recording) await endRecording({ discard: true });
    const mine = ++asked;
    working(null);
    const decoded = await decode(file);
    if (mine !== asked) return;
    await ask("give", decoded);
    if (mine === asked) await answer({ name: file.name, blob: file });
  });
}

/** Answer about what the worker was given; where it is asked again, the answer before stays. */
function answer(given, { silently = false } = {}) {
  return guarded(async () => {
    const mine = ++asked;
    queued = model ? null : given;
    if (!silently) working(model ? 0 : null);
    if (!model) return; // `load` comes back to it
    try {
      const found = await ask("answer", { model: model.name }, {
        progress: (share) => mine === asked && !silently && working(share),
      });
      if (mine === asked) show({ given, ...found });
    } catch (error) {
      if (mine === asked) throw error;
    }
  });
}

$("file").onchange = ({ target }) => {
  if (target.files.length) take(target.files[0]);
  target.value = ""; // the same file may be picked again
};
$("stop").onclick = () => {
  ask("stop");
  asked += 1;
  queued = null;
  showProblem("stopped.");
};
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}

// Recording -----------------------------------------------------------------------------------------

$("record").onclick = () => guarded(() => (recording ? endRecording() : beginRecording()));

async function beginRecording() {
  asked += 1;
  ask("stop");
  $("record").disabled = true;
  const { port1, port2 } = new MessageChannel();
  const level = $("level").firstElementChild;
  try {
    const microphone = await Microphone.open(port1, HOP_S, (peak) => {
      const decibels = Math.max(-60, 20 * Math.log10(peak));
      level.style.width = `${100 * (1 + decibels / 60)}%`;
    });
    const ticks = [];
    const heard = ask("live", { model: model.name, port: port2, rate: microphone.rate }, {
      transfer: [port2],
      progress: (tick) => recording && showTick(ticks, tick),
    });
    recording = { microphone, heard };
  } finally {
    $("record").disabled = false;
  }
  document.documentElement.dataset.recording = "";
  $("record-label").textContent = "Stop";
  $("hint").textContent = "Listening …";
  clear("Listening …");
  $("look").hidden = $("live").hidden = false;
  $("whole").hidden = true;
  drawLines($("lines"), [], model.classes, REMEMBERED_S);
  say("Recording. It answers while you speak.");
}

async function endRecording({ discard = false } = {}) {
  const { microphone, heard } = recording;
  recording = null;
  await microphone.stop();
  delete document.documentElement.dataset.recording;
  $("level").firstElementChild.style.width = "0";
  $("record-label").textContent = "Record";
  $("hint").textContent = "A sentence or two. It answers while you speak.";
  $("live").hidden = true;
  $("look").hidden = true;
  const { wav, total_s: total } = await heard;
  if (discard) return;
  const kept = total > KEPT_S ? `, of which the last ${KEPT_S / 60} minutes were kept` : "";
  await answer({ name: "recording.wav", blob: wav, kept });
}

function showTick(ticks, tick) {
  ticks.push(tick);
  while (ticks[0].time_s < tick.time_s - REMEMBERED_S) ticks.shift();
  const { label, probabilities } = tick;
  $("headline").textContent = label
    ? headline({ label, probabilities, uncertain: probabilities[label] < model.threshold })
    : "Listening …";
  $("about").textContent = `${clock(tick.time_s)}, answered by ${model.name}`;
  showBars(probabilities);
  drawLines($("lines"), ticks, model.classes, REMEMBERED_S);
  $("lines").dataset.latency = tick.latency_s;
}

// Showing -------------------------------------------------------------------------------------------

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const clock = (seconds) =>
  seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${(seconds % 60).toFixed(0)} s`;

function clear(title) {
  shown = null;
  $("headline").textContent = title;
  $("about").textContent = "";
  $("notes").replaceChildren();
  document.querySelector(".result").classList.remove("failed");
  $("working").hidden = true;
  if (model) showBars({});
}

/** Show that an answer is on its way; how far it is, where that is known. */
function working(share) {
  if ($("working").hidden) clear(model ? "Listening to it …" : "Waiting for the model …");
  $("working").hidden = false;
  $("look").hidden = true;
  if (share === null) $("done").removeAttribute("value");
  else $("done").value = share;
}

function showProblem(message) {
  clear("No answer");
  $("look").hidden = true;
  document.querySelector(".result").classList.add("failed");
  $("about").textContent = message[0].toUpperCase() + message.slice(1);
  say(`No answer: ${message}`);
}

function showBars(probabilities) {
  const bars = $("bars");
  if (bars.childElementCount !== model.classes.length || bars.dataset.model !== model.name) {
    bars.dataset.model = model.name;
    bars.replaceChildren(...model.classes.map((name, i) => {
      const bar = document.createElement("li");
      bar.className = `class-${i % 8}`;
      bar.innerHTML = '<span class="name"></span> <span class="bar"><span></span></span> <span class="share"></span>';
      bar.firstElementChild.textContent = name;
      return bar;
    }));
  }
  const most = Math.max(...Object.values(probabilities), 0);
  model.classes.forEach((name, i) => {
    const share = probabilities[name];
    const bar = bars.children[i];
    bar.classList.toggle("most", share !== undefined && share === most);
    bar.querySelector(".bar span").style.width = percent(share ?? 0).replace(" ", "");
    bar.querySelector(".share").textContent = share === undefined ? "–" : percent(share);
  });
}

function show(found) {
  const { given, answer: said, picture, took_ms: took } = found;
  clear(headline(said));
  shown = found;
  $("about").textContent = `${given.name}${given.kept ?? ""}, ${clock(said.duration_s)}, answered by ${said.model}`;
  const notes = said.uncertain && !said.no_speech
    ? [`uncertain: below ${percent(model.threshold)} this model had better not be believed`]
    : [];
  notes.push(...said.warnings);
  $("notes").replaceChildren(...notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = note;
    return item;
  }));
  showBars(said.probabilities);
  $("look").hidden = $("whole").hidden = false;
  $("live").hidden = true;
  if (playing !== given) play(given);
  drawTimeline($("timeline"), picture.envelope, said, model.classes);
  const named = model.classes.filter((name) => said.segments.some(({ label }) => label === name));
  $("legend").replaceChildren(...named.map((name) => {
    const item = document.createElement("li");
    item.className = `class-${model.classes.indexOf(name) % 8}`;
    item.textContent = name;
    return item;
  }));
  drawSpectrogram($("spectrogram"), picture, said);
  $("caption").textContent = said.attention
    ? "The spectrogram (low voices below, high above); the white line is the model's attention: where it listened."
    : "The spectrogram: low voices below, high above.";
  $("took").textContent = `answered in ${took < 1000 ? `${took.toFixed(0)} ms` : clock(took / 1e3)}`;
  $("parts").hidden = !said.segments.length;
  $("parts").querySelector("tbody").replaceChildren(...said.segments.map((segment) => {
    const row = document.createElement("tr");
    const { label, probabilities } = segment;
    for (const cell of [clock(segment.start_s), clock(segment.end_s), label, percent(probabilities[label])]) {
      row.insertCell().textContent = cell;
    }
    return row;
  }));
  say([headline(said), ...notes.slice(0, SHOWN_PARTS)].join(". "));
}

let playing = null;
function play(given) {
  playing = given;
  const player = $("player");
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(given.blob);
}

$("player").ontimeupdate = ({ target }) => {
  const at = shown ? target.currentTime / shown.answer.duration_s : 0;
  $("timeline").querySelector(".playhead")?.setAttribute("x", `${100 * at}%`);
};
$("timeline").onclick = ({ offsetX, currentTarget }) => {
  const share = offsetX / currentTarget.clientWidth;
  if (shown) $("player").currentTime = share * shown.answer.duration_s;
};

function save(contents, type, suffix) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([contents], { type }));
  link.download = shown.given.name.replace(/\.\w+$/, "") + suffix;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
$("csv").onclick = () =>
  save(asCsv(shown.given.name, model.classes, shown.answer), "text/csv", ".csv");
$("json").onclick = () =>
  save(asJson(shown.given.name, shown.answer), "application/json", ".json");

guarded(load).finally(() => {
  if (!model) showLoading("");
});
