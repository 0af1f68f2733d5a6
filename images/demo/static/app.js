/** Wires the page: actions into the state, the state onto the page, requests in between. */
import { Api } from "./api.js";
import { Key } from "./key.js";
import { readLink, writeLink } from "./link.js";
import { store, stored } from "./memory.js";
import { Painter } from "./painter.js";
import { buildParams, defaultParams, limitsFrom, requestBody } from "./params.js";
import { Popover } from "./popover.js";
import { Requests } from "./requests.js";
import { Retry } from "./retry.js";
import { listenToKeys } from "./shortcuts.js";
import { canRegenerate, contextLength, currentText, initialState, reduce } from "./state.js";
import { SAMPLES, STRINGS, explain } from "./strings.js";
import { joinText, labelText } from "./tokens.js";
import { Versions } from "./versions.js";
import { Backdrop, errorDetails, h, outcomeWords } from "./view.js";

const MODELS_AGAIN_MS = 3000;
/** Where the tab keeps its text. */
const TEXT = "openaisle.text";

const root = new URL(".", document.baseURI);
const $ = (id) => document.getElementById(id);
const on = (id, type, listener) => $(id).addEventListener(type, listener);

let state = { ...initialState(), params: defaultParams() };
/** The server's own description of a request's parameters. */
let schema = {};
let modelsTimer = 0;
/** The model of the link that was opened. */
let linkedModel = "";
/** The request that failed, where sending it again makes sense; null otherwise. */
let failed = null;

const api = new Api(root);
const requests = new Requests(api, dispatch);
const backdrop = new Backdrop($("backdrop"));
const popover = new Popover($("popover"), backdrop, branch);
const key = new Key($, () => {
  dispatch({ type: "models/loading" });
  loadModels();
});
const retry = new Retry(restart, (seconds) => painter.countdown(seconds));
const showParams = buildParams($("params"), (name, value) => dispatch({ type: "param", name, value }));
const versions = new Versions($("versions"), (id) => dispatch({ type: "picked", id }));
const painter = new Painter($, { root, key, retry, backdrop, popover, versions, showParams, onFailureAction });

function dispatch(action) {
  state = reduce(state, action);
  painter.paint(state);
}

function announce(text) {
  $("announce").textContent = text;
}

// --- models ---------------------------------------------------------------------------------

async function loadModels() {
  clearTimeout(modelsTimer);
  const asked = key.value;
  try {
    const list = await api.models(asked);
    if (asked !== key.value) return;
    key.judge();
    dispatch({ type: "models/loaded", list, preferred: linkedModel || stored(localStorage, "openaisle.model") });
    setLimits();
    // A model that is still loading does not know its context yet.
    const isComplete = list.length && list.every((model) => model.max_model_len !== null);
    if (!isComplete) modelsTimer = setTimeout(loadModels, MODELS_AGAIN_MS);
    if (state.failure && [401, 503].includes(state.failure.error.status)) dispatch({ type: "dismissed" });
  } catch (error) {
    if (asked !== key.value) return;
    key.judge(error);
    dispatch({ type: "models/failed", error });
    if (error.status === 401) return;
    dispatch({ type: "failed", error, at: performance.now() });
    if (explain(error).action === "retry") modelsTimer = setTimeout(loadModels, (error.retryAfterS ?? 3) * 1000);
  }
}

function setLimits() {
  dispatch({ type: "limited", limits: limitsFrom(schema, contextLength(state)) });
}

// --- requests -------------------------------------------------------------------------------

function generate({ again = false } = {}) {
  if (state.run || !state.model) return;
  const prompt = again ? joinText(state.nodes[state.nodes[state.current].parent].segments) : currentText(state);
  start({ kind: "generation", again, body: requestBody(state.model, prompt, state.params) });
}

function regenerate() {
  if (canRegenerate(state)) generate({ again: true });
}

function score() {
  if (state.run || !state.model || !currentText(state)) return;
  const logprobs = state.params.logprobs ?? 5;
  const body = { model: state.model, prompt: currentText(state), max_tokens: 0, echo: true, logprobs };
  start({ kind: "score", again: false, body });
}

async function start({ kind, again, body }) {
  retry.cancel();
  popover.close();
  dispatch({ type: "run/started", kind, count: body.n ?? 1, again, at: performance.now() });
  if (state.colour === "off" && kind === "score") dispatch({ type: "coloured", colour: ($("colour").value = "probability") });
  announce(kind === "score" ? STRINGS.scoring : STRINGS.announceStart);
  painter.followsEnd = true;
  const outcome = await requests.run(kind, body, key.value);
  const attempt = { kind, again, body, text: joinText(state.nodes[state.run.origin].segments) };
  dispatch({ type: "run/ended", at: performance.now(), ...outcome });
  finish(outcome, attempt);
}

function finish({ ending, error }, attempt) {
  const node = state.nodes[state.current];
  if (ending === "done") {
    announce(STRINGS.announceEnd(node.outcome.tokens, outcomeWords(node)));
    retry.forget();
  }
  if (ending === "stopped") announce(STRINGS.announceStopped(node.outcome?.tokens ?? 0));
  // After a broken stream the text goes on from where it is; anything else is asked as it was.
  failed = ["http", "network"].includes(error?.kind) ? attempt : null;
  if (error?.status === 401) {
    key.judge(error);
    key.focus();
  }
  // Nothing came yet, so sending it again is safe and asks nothing of the writer.
  const isPassing = [429, 503].includes(error?.status) && error.code !== "insufficient_quota";
  if (isPassing && retry.schedule(attempt, error.retryAfterS)) painter.failure(state);
}

function restart(attempt) {
  // The writer has moved on: this request is no longer what is wanted.
  if (state.run || (!attempt.again && attempt.text !== currentText(state))) return;
  start(attempt);
}

/** @returns {boolean} whether anything was there to be stopped */
function stop() {
  const isBusy = Boolean(state.run) || retry.seconds !== null;
  requests.stop();
  retry.cancel();
  return isBusy;
}

function onFailureAction(action) {
  const { error } = state.failure;
  if (action === "details") return copyText(errorDetails(error, state.model), $("failure").querySelector("[data-action=details]"));
  if (action === "cut") cutText(error);
  if (action === "retry" && retry.runNow()) return undefined;
  retry.cancel();
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

/** Puts the link into the address bar too: where a page may not write to the clipboard, it is copied from there. */
async function share() {
  const link = await writeLink(root, { model: state.model, text: currentText(state), params: state.params });
  if (!link) return flash($("share"), STRINGS.linkTooLong);
  history.replaceState(null, "", link);
  return copyText(link, $("share"), STRINGS.linkInAddress);
}

/** Shows the text of a link; the one that was there stays in the tree. */
function openLink({ model, text, params }) {
  if (state.run) return;
  dispatch({ type: "cleared", text });
  dispatch({ type: "params", params });
  linkedModel = model;
  if (state.models.list.some(({ id }) => id === model)) dispatch({ type: "model", model });
  setLimits();
}

/** @param {string} [refused] what the button says for a while where the clipboard is closed to the page */
async function copyText(text, button, refused = STRINGS.copyFailed) {
  let isCopied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    isCopied = false;
  }
  flash(button, isCopied ? STRINGS.copied : refused);
}

/** Lets a button say something else for a while. */
function flash(button, text) {
  button.dataset.words ??= button.textContent;
  button.textContent = text;
  announce(text);
  setTimeout(() => (button.textContent = button.dataset.words), Math.max(1500, 60 * text.length));
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

function keepText() {
  store(sessionStorage, TEXT, currentText(state) || null);
}

function openAtCaret() {
  const position = $("text").selectionStart;
  const index = backdrop.indexOfPosition(position);
  return popover.open(index < 0 ? backdrop.indexOfPosition(position - 1) : index);
}

const ACTIONS = {
  generate: () => generate(),
  regenerate,
  stop,
  focusText: () => $("text").focus(),
  help: () => $("help").showModal(),
  undo: () => dispatch({ type: "undone" }),
  redo: () => dispatch({ type: "redone" }),
  turn: (step) => dispatch({ type: "turned", step }),
  openAtCaret() {
    if (openAtCaret()) popover.focus();
  },
  pick(number) {
    if (popover.isOpen || openAtCaret()) popover.pick(number);
  },
  closePopover() {
    const wasOpen = popover.isOpen;
    const hadFocus = $("popover").contains(document.activeElement);
    popover.close();
    if (hadFocus) $("text").focus();
    return wasOpen;
  },
};

// --- listeners ------------------------------------------------------------------------------

function listenToText() {
  const text = $("text");
  let lastPointer = "mouse";
  text.addEventListener("input", () => {
    retry.forget();
    retry.cancel();
    dispatch({ type: "edited", text: text.value });
  });
  text.addEventListener("pointerdown", (event) => (lastPointer = event.pointerType));
  text.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && !state.run) popover.hover(backdrop.indexAt(event.clientX, event.clientY));
  });
  text.addEventListener("pointerleave", () => popover.hover(-1));
  text.addEventListener("click", (event) => {
    const isTap = lastPointer !== "mouse" && text.selectionStart === text.selectionEnd;
    if (!isTap || !popover.open(backdrop.indexAt(event.clientX, event.clientY))) popover.close();
  });
  on("popover", "focusout", (event) => event.relatedTarget && !$("popover").contains(event.relatedTarget) && popover.close());
}

function listenToButtons() {
  on("generate", "click", ACTIONS.generate);
  on("stop", "click", stop);
  on("regenerate", "click", regenerate);
  on("score", "click", score);
  on("clear", "click", () => {
    dispatch({ type: "cleared" });
    $("text").focus();
  });
  on("share", "click", share);
  on("undo", "click", ACTIONS.undo);
  on("redo", "click", ACTIONS.redo);
  on("previous", "click", () => ACTIONS.turn(-1));
  on("next", "click", () => ACTIONS.turn(1));
  on("figures", "click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copyText(button.dataset.copy, button);
  });
  on("open-code", "click", openCode);
  on("code-copy", "click", () => copyText($("code-text").textContent, $("code-copy")));
  on("open-help", "click", ACTIONS.help);
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
}

function listenToChoices() {
  on("colour", "change", (event) => dispatch({ type: "coloured", colour: event.target.value }));
  on("model", "change", (event) => {
    dispatch({ type: "model", model: event.target.value });
    store(localStorage, "openaisle.model", event.target.value);
    setLimits();
  });
  on("reset-params", "click", () => dispatch({ type: "params", params: defaultParams() }));
  on("single-keys", "change", (event) => store(localStorage, "openaisle.single-keys", event.target.checked ? "on" : "off"));
  on("theme", "change", (event) => {
    const theme = event.target.value;
    store(localStorage, "openaisle.theme", theme);
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  });
  // A reload, a crash or a look at another page takes no text along; the tab's own storage ends with the tab.
  document.addEventListener("visibilitychange", keepText);
  window.addEventListener("pagehide", keepText);
  window.addEventListener("hashchange", async () => {
    const link = await readLink(location.hash);
    if (link) openLink(link);
  });
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
}

async function begin() {
  fillStatic();
  listenToText();
  listenToButtons();
  listenToChoices();
  listenToKeys(ACTIONS, () => $("single-keys").checked);
  painter.paint(state);
  $("text").focus();
  const kept = stored(sessionStorage, TEXT);
  const isBack = ["reload", "back_forward"].includes(performance.getEntriesByType("navigation")[0]?.type);
  const link = kept && isBack ? null : await readLink(location.hash);
  if (link) openLink(link);
  else if (kept) dispatch({ type: "edited", text: kept });
  loadModels();
  const [config, description] = await Promise.all([api.pageConfig(), api.description()]);
  schema = description.schema;
  dispatch({ type: "configured", config: { ...config, version: description.version } });
  setLimits();
}

begin();
