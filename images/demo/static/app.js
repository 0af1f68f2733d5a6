/** Wires the page: actions into the state, the state onto the page, requests in between. */
import { Api, ApiError } from "./api.js";
import { buildParams, defaultParams, estimateTokens, limitsFrom, requestBody, showBudget } from "./params.js";
import { Popover } from "./popover.js";
import { canRegenerate, currentText, initialState, reduce, shown, siblings } from "./state.js";
import { SAMPLES, STRINGS, explain } from "./strings.js";
import { Aligner, joinText, labelText } from "./tokens.js";
import { Backdrop, errorDetails, h, outcomeWords, showFailure, showFigures, showLegend } from "./view.js";

const MODELS_AGAIN_MS = 3000;
const RETRY_DEFAULT_S = 3;
const MOST_RETRIES = 40;

const root = new URL(".", document.baseURI);
const api = new Api(root);
const $ = (id) => document.getElementById(id);

let state = { ...initialState(), params: defaultParams() };
let painted = null;
let running = null;
let retry = null;
let key = "";
let keyVerdict = "unchecked";
let modelsTimer = 0;
let lastPointer = "mouse";
/** While text comes in: whether the reader is at its end, and has not scrolled up. */
let followsEnd = true;

const backdrop = new Backdrop($("backdrop"));
const popover = new Popover($("popover"), backdrop, branch);
const showParams = buildParams($("params"), (name, value) => dispatch({ type: "param", name, value }));

function dispatch(action) {
  state = reduce(state, action);
  paint();
}

// --- painting -------------------------------------------------------------------------------

function paint() {
  const before = painted;
  painted = state;
  const segments = shown(state);
  const isNew = (pick) => !before || pick(before) !== pick(state);

  if (isNew(shown) || isNew((s) => s.colour) || isNew((s) => s.run)) paintText(before, segments);
  if (isNew((s) => s.models) || isNew((s) => s.model) || isNew((s) => s.config)) paintModels();
  if (isNew((s) => s.params) || isNew((s) => s.limits)) showParams(state.params, state.limits);
  if (isNew((s) => s.failure)) paintFailure();
  if (isNew((s) => s.config)) paintConfig();
  paintControls(segments);
}

function paintText(before, segments) {
  const isLive = Boolean(state.run);
  const paper = $("paper");
  const text = $("text");
  paper.classList.toggle("live", isLive);
  paper.setAttribute("aria-busy", String(isLive));
  if (text.readOnly !== isLive) text.readOnly = isLive;
  if (before && shown(before) !== segments && popover.isOpen && !isLive) popover.close();
  backdrop.show(segments, state.colour);
  if (!isLive || !before.run || before.colour !== state.colour) showLegend($("legend"), state.colour, segments);
  // While text comes in, the layer behind shows it alone: setting a textarea's text each frame is slow.
  if (!isLive) {
    const value = joinText(segments);
    if (text.value !== value) {
      text.value = value;
      text.setSelectionRange(value.length, value.length);
    }
  }
  // Beyond the end is the end; asking where that is would lay out the text once more.
  if (isLive && followsEnd) paper.scrollTop = 1e7;
}

function paintModels() {
  const { phase, list } = state.models;
  const picker = $("model");
  const ids = list.map(({ id }) => id);
  const placeholder = {
    loading: STRINGS.modelsLoading, empty: STRINGS.modelsNone, failed: keyIsNeeded() ? STRINGS.modelWaiting : STRINGS.modelOffline,
  }[phase];
  const options = ids.length ? ids.map((id) => h("option", { value: id }, id)) : [h("option", { value: "" }, placeholder)];
  picker.replaceChildren(...options);
  picker.value = state.model;
  picker.disabled = !ids.length;
  $("model-note").textContent = phase === "empty" ? STRINGS.modelsEmpty : "";
  $("server").textContent = STRINGS.server(state.config.version, phase === "ready" ? list.length : 0);
  paintKey();
}

function paintKey() {
  const notes = { unchecked: "", accepted: STRINGS.keyAccepted, missing: STRINGS.keyMissing, refused: STRINGS.keyRefused };
  $("key-note").textContent = notes[keyVerdict];
  $("key-note").dataset.verdict = keyVerdict;
  $("key").setAttribute("aria-invalid", String(keyVerdict === "refused"));
  $("key-forget").hidden = !key;
  $("key-hint").hidden = keyVerdict === "accepted";
}

function keyIsNeeded() {
  return state.models.error?.status === 401;
}

function paintConfig() {
  const { title, keyHint, keyInjected, links = [] } = state.config;
  if (title) {
    document.title = title;
    $("title").textContent = title;
  }
  $("key-hint").textContent = keyHint ?? STRINGS.keyHint;
  if (keyInjected) $("key-panel").replaceChildren(h("p", { class: "note" }, STRINGS.keyInjected));
  // Other schemes, such as javascript:, are no links.
  const safe = links.filter(({ url }) => ["http:", "https:"].includes(new URL(url, root).protocol));
  $("links").replaceChildren(...safe.flatMap(({ label, url }) => [h("a", { href: url, rel: "noreferrer" }, label), " "]));
}

function paintFailure() {
  const retryInS = retry ? retry.seconds : null;
  showFailure($("failure"), state.failure, { retryInS, onAction: onFailureAction });
}

function paintControls(segments) {
  const { run } = state;
  const node = state.nodes[state.current];
  const isFinished = !state.draft && node.kind === "generation" && node.outcome?.finishReason === "length";
  const hasFocus = document.activeElement;
  $("generate").textContent = isFinished ? STRINGS.continue : STRINGS.generate;
  $("generate").disabled = !state.model;
  swap($("generate"), $("stop"), Boolean(run), hasFocus);
  $("regenerate").disabled = !canRegenerate(state);
  $("score").disabled = Boolean(run) || !segments.length || !state.model;
  $("clear").disabled = Boolean(run) || !segments.length;
  $("empty").hidden = segments.length > 0 || Boolean(run);
  $("undo").disabled = Boolean(run) || (node.parent === null && !state.draft);
  $("redo").disabled = Boolean(run) || Boolean(state.draft) || node.visited === null;
  const { index, count } = siblings(state);
  $("sibling-count").textContent = STRINGS.version(index, count);
  $("previous").disabled = index <= 0 || run?.kind === "score";
  $("next").disabled = index >= count - 1 || run?.kind === "score";

  $("outcome").textContent = run ? runWords(run) : state.draft ? "" : outcomeWords(node);
  showFigures($("figures"), { run, node: state.draft ? { outcome: null } : node, segments, now: performance.now() });
  const context = contextLength();
  const wanted = state.params.max_tokens ?? 16;
  showBudget($("budget-bar"), $("budget-note"), { used: estimateTokens(segments), wanted, context });
}

function runWords(run) {
  if (run.kind === "score") return STRINGS.scoring;
  return run.phase === "waiting" ? STRINGS.waiting : STRINGS.generating;
}

/** Shows one of two buttons; the focus goes with it, or the keyboard would lose its place. */
function swap(first, second, showSecond, focused) {
  first.hidden = showSecond;
  second.hidden = !showSecond;
  const [shownOne, hiddenOne] = showSecond ? [second, first] : [first, second];
  if (focused === hiddenOne) shownOne.focus();
}

function announce(text) {
  $("announce").textContent = text;
}

// --- models and the key ---------------------------------------------------------------------

async function loadModels() {
  clearTimeout(modelsTimer);
  const asked = key;
  try {
    const list = await api.models(key);
    if (asked !== key) return;
    keyVerdict = key ? "accepted" : "unchecked";
    dispatch({ type: "models/loaded", list, preferred: stored(localStorage, "openaisle.model") });
    setLimits();
    // A model that is still loading does not know its context yet.
    const isComplete = list.length && list.every((model) => model.max_model_len !== null);
    if (!isComplete) modelsTimer = setTimeout(loadModels, MODELS_AGAIN_MS);
    if (state.failure && [401, 503].includes(state.failure.error.status)) dispatch({ type: "dismissed" });
  } catch (error) {
    if (asked !== key) return;
    const isKey = error.status === 401;
    keyVerdict = isKey ? (key ? "refused" : "missing") : "unchecked";
    dispatch({ type: "models/failed", error });
    if (isKey) return;
    dispatch({ type: "failed", error, at: performance.now() });
    if (explain(error).action === "retry") modelsTimer = setTimeout(loadModels, (error.retryAfterS ?? 3) * 1000);
  }
}

function contextLength() {
  return state.models.list.find(({ id }) => id === state.model)?.max_model_len ?? null;
}

let schema = {};
function setLimits() {
  dispatch({ type: "limited", limits: limitsFrom(schema, contextLength()) });
}

function setKey(value) {
  const next = value.trim();
  if (next === key) return;
  key = next;
  keepKey();
  keyVerdict = "unchecked";
  dispatch({ type: "models/loading" });
  loadModels();
}

/** In this tab's own storage if the writer wants so; never in storage that outlives the tab. */
function keepKey() {
  const isKept = $("key-keep").checked && key !== "";
  try {
    if (isKept) sessionStorage.setItem("openaisle.key", key);
    else sessionStorage.removeItem("openaisle.key");
  } catch {
    $("key-keep").checked = false;
  }
}

function forgetKey() {
  $("key").value = "";
  $("key-keep").checked = false;
  setKey("");
  keepKey();
  $("key").focus();
}

function stored(storage, name) {
  try {
    return storage.getItem(name);
  } catch {
    return null;
  }
}

function store(storage, name, value) {
  try {
    storage.setItem(name, value);
  } catch {
    // Storage is blocked or full: the choice lasts as long as the page.
  }
}

// --- requests -------------------------------------------------------------------------------

function generate({ again = false } = {}) {
  if (state.run || !state.model) return;
  const prompt = again ? joinText(state.nodes[state.nodes[state.current].parent].segments) : currentText(state);
  const body = requestBody(state.model, prompt, state.params);
  start({ kind: "generation", count: state.params.n ?? 1, again, body });
}

function score() {
  if (state.run || !state.model || !currentText(state)) return;
  const logprobs = state.params.logprobs ?? 5;
  const body = { model: state.model, prompt: currentText(state), max_tokens: 0, echo: true, logprobs };
  start({ kind: "score", count: 1, again: false, body });
}

async function start({ kind, count, again, body }) {
  cancelRetry();
  popover.close();
  const controller = new AbortController();
  running = { controller };
  dispatch({ type: "run/started", kind, count, again, at: performance.now() });
  if (state.colour === "off" && kind === "score") dispatch({ type: "coloured", colour: ($("colour").value = "probability") });
  announce(kind === "score" ? STRINGS.scoring : STRINGS.announceStart);
  followsEnd = true;
  let ending;
  try {
    const request = kind === "score" ? receiveScore : receiveStream;
    ending = { ending: "done", ...(await request(body, controller.signal)) };
  } catch (error) {
    if (!(error instanceof ApiError) && !controller.signal.aborted) throw error;
    ending = controller.signal.aborted ? { ending: "stopped" } : { ending: "failed", error };
  } finally {
    flushPieces();
    running = null;
  }
  const attempt = { kind, again, body, text: joinText(state.nodes[state.run.origin].segments) };
  dispatch({ type: "run/ended", at: performance.now(), ...ending });
  finish(ending, attempt);
}

function finish({ ending, error }, attempt) {
  const node = state.nodes[state.current];
  if (ending === "done") announce(STRINGS.announceEnd(node.outcome.tokens, outcomeWords(node)));
  if (ending === "stopped") announce(STRINGS.announceStopped(node.outcome?.tokens ?? 0));
  if (ending === "done") attempts = 0;
  // After a broken stream the text goes on from where it is; anything else is asked as it was.
  failed = ["http", "network"].includes(error?.kind) ? attempt : null;
  if (!error) return;
  if (error.status === 401) {
    keyVerdict = key ? "refused" : "missing";
    paintKey();
    $("key").focus();
  }
  // Nothing came yet, so sending it again is safe and asks nothing of the writer.
  if ([429, 503].includes(error.status) && error.code !== "insufficient_quota") scheduleRetry(error, attempt);
}

async function receiveStream(body, signal) {
  const request = { ...body, stream: true, stream_options: { include_usage: true } };
  const aligners = new Map();
  const reasons = [];
  let usage = null;
  for await (const { requestId, chunk } of api.stream(request, key, signal)) {
    if (!chunk) {
      dispatch({ type: "run/accepted", requestId });
      continue;
    }
    usage = chunk.usage ?? usage;
    for (const { index, text = "", logprobs = null, finish_reason: reason = null } of chunk.choices ?? []) {
      if (!aligners.has(index)) aligners.set(index, new Aligner("model", body.logprobs ?? 0));
      collect(index, aligners.get(index).push(text, logprobs), logprobs ? (logprobs.tokens?.length ?? 0) : text ? 1 : 0);
      if (reason) reasons[index] = reason;
    }
  }
  for (const [index, aligner] of aligners) collect(index, aligner.flush(), 0);
  return { reasons, usage };
}

async function receiveScore(body, signal) {
  const { answer, requestId } = await api.complete(body, key, signal);
  dispatch({ type: "run/accepted", requestId });
  const { text, logprobs, finish_reason: reason } = answer.choices[0];
  const aligner = new Aligner("human", body.logprobs);
  collect(0, [...aligner.push(text, logprobs), ...aligner.flush()], 0);
  return { reasons: [reason], usage: answer.usage ?? null };
}

let pieces = new Map();
let pieceTokens = 0;
let frame = 0;

/** Gathers what comes within a frame: the page is painted once a frame, however fast tokens come. */
function collect(index, segments, tokens) {
  pieceTokens += tokens;
  pieces.set(index, [...(pieces.get(index) ?? []), ...segments]);
  frame ||= document.hidden ? setTimeout(flushPieces, 100) : requestAnimationFrame(flushPieces);
}

function flushPieces() {
  frame = 0;
  if (!pieces.size || !state.run) return;
  const action = { type: "run/streamed", pieces, tokens: pieceTokens, at: performance.now() };
  pieces = new Map();
  pieceTokens = 0;
  dispatch(action);
}

function stop() {
  running?.controller.abort();
  cancelRetry();
}

// --- failures -------------------------------------------------------------------------------

let attempts = 0;
let failed = null;

function scheduleRetry(error, attempt) {
  if (++attempts > MOST_RETRIES) return;
  retry = { seconds: Math.max(1, Math.ceil(error.retryAfterS ?? RETRY_DEFAULT_S)), attempt, timer: setInterval(tick, 1000) };
  paintFailure();
  function tick() {
    retry.seconds -= 1;
    const countdown = $("failure").querySelector(".countdown");
    if (retry.seconds > 0) countdown.textContent = STRINGS.failure.retryIn(retry.seconds);
    else runRetry();
  }
}

function runRetry() {
  const { attempt } = retry;
  cancelRetry();
  restart(attempt);
}

function restart(attempt) {
  // The writer has moved on: this request is no longer what is wanted.
  if (state.run || (!attempt.again && attempt.text !== currentText(state))) return;
  start({ ...attempt, count: attempt.body.n ?? 1 });
}

function cancelRetry() {
  if (retry) clearInterval(retry.timer);
  retry = null;
}

function onFailureAction(action) {
  const { error } = state.failure;
  if (action === "details") return copyText(errorDetails(error, state.model), $("failure").querySelector("[data-action=details]"));
  if (action === "cut") cutText(error);
  if (action === "retry" && retry) return runRetry();
  cancelRetry();
  dispatch({ type: "dismissed" });
  if (action === "retry" && !state.models.list.length) return loadModels();
  if (action === "retry") return failed ? restart(failed) : generate();
  return $("text").focus();
}

/** Drops as much of the beginning as the server's numbers say, and a little more. */
function cutText(error) {
  const text = currentText(state);
  const numbers = /(\d+) tokens.*requested (\d+) tokens \((\d+) in/.exec(error.message)?.slice(1).map(Number);
  const [context, asked, inPrompt] = numbers ?? [3, 4, 4];
  const share = Math.min(0.9, ((asked - context) / Math.max(1, inPrompt)) * 1.05 + 0.01);
  dispatch({ type: "edited", text: text.slice(Math.ceil(text.length * share)) });
}

// --- actions of the writer ------------------------------------------------------------------

function branch(index, { label, logprob, top, asked }) {
  const text = labelText(label);
  const segment = { text, origin: "model", tokens: [{ label, logprob, top, asked }] };
  dispatch({ type: "branched", index, segment });
  generate();
}

async function copyText(text, button) {
  let isCopied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    isCopied = false;
  }
  const words = button.textContent;
  button.textContent = isCopied ? STRINGS.copied : words;
  announce(isCopied ? STRINGS.copied : STRINGS.copyFailed);
  setTimeout(() => (button.textContent = words), 1500);
  return isCopied;
}

/** Opens the request as code. The module is fetched now: the page is there sooner without it. */
async function openCode() {
  const { SNIPPETS } = await import("./snippets.js");
  const picker = $("code-kind");
  if (!picker.options.length) {
    picker.replaceChildren(...Object.entries(SNIPPETS).map(([id, { name }]) => h("option", { value: id }, name)));
  }
  const show = () => {
    const base = new URL("v1", root).href;
    const body = requestBody(state.model || "MODEL", currentText(state), state.params);
    $("code-text").textContent = SNIPPETS[picker.value].write({ base, body });
  };
  show();
  picker.onchange = show;
  $("code").showModal();
}

function caretIndex() {
  const position = $("text").selectionStart;
  const index = backdrop.indexOfPosition(position);
  return index < 0 ? backdrop.indexOfPosition(position - 1) : index;
}

function openAtCaret() {
  return popover.open(caretIndex());
}

function onKey(event) {
  const isCommand = event.ctrlKey || event.metaKey;
  const inDialog = document.querySelector("dialog[open]");
  if (isCommand && event.key === "Enter" && !inDialog) return handled(event, () => generate());
  if (event.key === "Escape" && !inDialog) {
    if (popover.isOpen) return handled(event, closePopover);
    if (state.run || retry) return handled(event, stop);
    return undefined;
  }
  if (inDialog) return undefined;
  if (event.altKey && !isCommand) return onAltKey(event);
  const isTyping = event.target.closest?.("input, textarea, select");
  if (isTyping || isCommand || !$("single-keys").checked) return undefined;
  const single = { g: () => generate(), r: regenerate, t: () => $("text").focus(), "?": () => $("help").showModal() }[event.key];
  return single && handled(event, single);
}

function onAltKey(event) {
  const action = {
    ArrowLeft: () => dispatch({ type: "undone" }),
    ArrowRight: () => dispatch({ type: "redone" }),
    ArrowUp: () => dispatch({ type: "turned", step: -1 }),
    ArrowDown: () => dispatch({ type: "turned", step: 1 }),
    Enter: () => openAtCaret() && popover.focus(),
  }[event.key];
  if (action) return handled(event, action);
  const digit = /^Digit([1-9])$/.exec(event.code);
  return digit && handled(event, () => (popover.isOpen || openAtCaret()) && popover.pick(Number(digit[1])));
}

function handled(event, action) {
  event.preventDefault();
  return action();
}

function regenerate() {
  if (canRegenerate(state)) generate({ again: true });
}

function closePopover() {
  const hadFocus = $("popover").contains(document.activeElement);
  popover.close();
  if (hadFocus) $("text").focus();
}

// --- listeners ------------------------------------------------------------------------------

function listen() {
  const text = $("text");
  const on = (id, type, listener) => $(id).addEventListener(type, listener);

  text.addEventListener("input", () => {
    attempts = 0;
    cancelRetry();
    dispatch({ type: "edited", text: text.value });
  });
  text.addEventListener("pointerdown", (event) => (lastPointer = event.pointerType));
  text.addEventListener("pointermove", (event) => event.pointerType === "mouse" && !state.run && popover.hover(backdrop.indexAt(event.clientX, event.clientY)));
  text.addEventListener("pointerleave", () => popover.hover(-1));
  text.addEventListener("click", (event) => {
    const isTap = lastPointer !== "mouse" && text.selectionStart === text.selectionEnd;
    if (!isTap || !popover.open(backdrop.indexAt(event.clientX, event.clientY))) popover.close();
  });
  for (const type of ["wheel", "touchmove", "keydown"]) $("paper").addEventListener(type, () => (followsEnd = false), { passive: true });
  on("paper", "scroll", () => {
    const { scrollHeight, scrollTop, clientHeight } = $("paper");
    if (!followsEnd) followsEnd = scrollHeight - scrollTop - clientHeight < 40;
  });
  on("popover", "focusout", (event) => event.relatedTarget && !$("popover").contains(event.relatedTarget) && popover.close());

  on("generate", "click", () => generate());
  on("stop", "click", stop);
  on("regenerate", "click", regenerate);
  on("score", "click", score);
  on("clear", "click", () => {
    dispatch({ type: "cleared" });
    text.focus();
  });
  on("undo", "click", () => dispatch({ type: "undone" }));
  on("redo", "click", () => dispatch({ type: "redone" }));
  on("previous", "click", () => dispatch({ type: "turned", step: -1 }));
  on("next", "click", () => dispatch({ type: "turned", step: 1 }));
  on("colour", "change", (event) => dispatch({ type: "coloured", colour: event.target.value }));
  on("figures", "click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copyText(button.dataset.copy, button);
  });

  on("model", "change", (event) => {
    dispatch({ type: "model", model: event.target.value });
    store(localStorage, "openaisle.model", event.target.value);
    setLimits();
  });
  on("reset-params", "click", () => dispatch({ type: "params", params: defaultParams() }));

  on("key", "change", (event) => setKey(event.target.value));
  on("key", "keydown", (event) => event.key === "Enter" && setKey(event.target.value));
  on("key-keep", "change", keepKey);
  on("key-forget", "click", forgetKey);
  on("reveal", "click", () => {
    const isShown = $("key").type === "text";
    $("key").type = isShown ? "password" : "text";
    $("reveal").textContent = isShown ? STRINGS.reveal : STRINGS.hide;
    $("reveal").setAttribute("aria-pressed", String(!isShown));
  });

  on("open-code", "click", openCode);
  on("code-copy", "click", () => copyText($("code-text").textContent, $("code-copy")));
  on("open-help", "click", () => $("help").showModal());
  on("single-keys", "change", (event) => store(localStorage, "openaisle.single-keys", event.target.checked ? "on" : "off"));
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }

  on("theme", "change", (event) => {
    const theme = event.target.value;
    store(localStorage, "openaisle.theme", theme);
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("online", () => state.models.phase === "failed" && loadModels());
}

function fillStatic() {
  $("samples").replaceChildren(
    ...SAMPLES.map(({ name, text }) => {
      const button = h("button", { type: "button", class: "sample" }, h("strong", {}, name), h("span", { "aria-hidden": "true" }, text));
      button.addEventListener("click", () => {
        dispatch({ type: "edited", text });
        $("text").focus();
        $("text").setSelectionRange(text.length, text.length);
      });
      return button;
    }),
  );
  $("help-keys").tBodies[0].replaceChildren(
    ...STRINGS.help.map(([keys, text]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, keys)), h("td", {}, text))),
  );
  $("theme").value = stored(localStorage, "openaisle.theme") ?? "auto";
  $("single-keys").checked = stored(localStorage, "openaisle.single-keys") !== "off";
  key = stored(sessionStorage, "openaisle.key") ?? "";
  $("key").value = key;
  $("key-keep").checked = key !== "";
}

async function begin() {
  fillStatic();
  listen();
  paint();
  $("text").focus();
  loadModels();
  const [config, description] = await Promise.all([api.pageConfig(), api.description()]);
  schema = description.schema;
  dispatch({ type: "configured", config: { ...config, version: description.version } });
  setLimits();
}

begin();
