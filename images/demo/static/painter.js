/** Brings the state onto the page, part by part, and only what changed. */
import { canRegenerate, contextLength, shown, siblings } from "./state.js";
import { STRINGS } from "./strings.js";
import { estimateTokens, showBudget } from "./params.js";
import { joinText } from "./tokens.js";
import { h, outcomeWords, showFailure, showFigures, showLegend } from "./view.js";

export class Painter {
  /** While text comes in: whether the reader is at its end, and has not scrolled up. */
  followsEnd = true;
  #$;
  #parts;
  #painted = null;

  /**
   * @param {(id: string) => HTMLElement} $ finds the page's elements
   * @param {object} parts {root, key, retry, backdrop, popover, versions, showParams, onFailureAction}
   */
  constructor($, parts) {
    this.#$ = $;
    this.#parts = parts;
    const paper = $("paper");
    const leaveEnd = () => (this.followsEnd = false);
    for (const type of ["wheel", "touchmove", "keydown"]) paper.addEventListener(type, leaveEnd, { passive: true });
    paper.addEventListener("scroll", () => {
      if (!this.followsEnd) this.followsEnd = paper.scrollHeight - paper.scrollTop - paper.clientHeight < 40;
    });
  }

  paint(state) {
    const before = this.#painted;
    this.#painted = state;
    const segments = shown(state);
    const { versions } = this.#parts;
    const isNew = (pick) => !before || pick(before) !== pick(state);

    if (isNew(shown) || isNew((s) => s.colour) || isNew((s) => s.run)) this.#text(before, state, segments);
    if (isNew((s) => s.models) || isNew((s) => s.model) || isNew((s) => s.config)) this.#models(state);
    if (isNew((s) => s.params) || isNew((s) => s.limits)) this.#parts.showParams(state.params, state.limits);
    if (isNew((s) => s.failure)) this.failure(state);
    if (isNew((s) => s.config)) this.#config(state.config);
    versions.show(state);
    this.#controls(state, segments);
  }

  #text(before, state, segments) {
    const { backdrop, popover } = this.#parts;
    const isLive = Boolean(state.run);
    const paper = this.#$("paper");
    const text = this.#$("text");
    paper.classList.toggle("live", isLive);
    paper.setAttribute("aria-busy", String(isLive));
    if (text.readOnly !== isLive) text.readOnly = isLive;
    if (before && shown(before) !== segments && popover.isOpen && !isLive) popover.close();
    backdrop.show(segments, state.colour);
    if (!isLive || !before.run || before.colour !== state.colour) showLegend(this.#$("legend"), state.colour, segments);
    // While text comes in, the layer behind shows it alone: setting a textarea's text each frame is slow.
    if (!isLive) {
      const value = joinText(segments);
      if (text.value !== value) {
        text.value = value;
        text.setSelectionRange(value.length, value.length);
      }
    }
    // Beyond the end is the end; asking where that is would lay out the text once more.
    if (isLive && this.followsEnd) paper.scrollTop = 1e7;
  }

  #models({ models: { phase, list, error }, model, config }) {
    const picker = this.#$("model");
    const ids = list.map(({ id }) => id);
    const placeholder = {
      loading: STRINGS.modelsLoading,
      empty: STRINGS.modelsNone,
      failed: error?.status === 401 ? STRINGS.modelWaiting : STRINGS.modelOffline,
    }[phase];
    const options = ids.length ? ids.map((id) => h("option", { value: id }, id)) : [h("option", { value: "" }, placeholder)];
    picker.replaceChildren(...options);
    picker.value = model;
    picker.disabled = !ids.length;
    this.#$("model-note").textContent = phase === "empty" ? STRINGS.modelsEmpty : "";
    this.#$("server").textContent = STRINGS.server(config.version, phase === "ready" ? list.length : 0);
    this.#parts.key.paint();
  }

  #config({ title, keyHint, keyInjected, links = [] }) {
    const { root, key } = this.#parts;
    if (title) {
      document.title = title;
      this.#$("title").textContent = title;
    }
    key.hint(keyHint ?? STRINGS.keyHint);
    if (keyInjected) this.#$("key-panel").replaceChildren(h("p", { class: "note" }, STRINGS.keyInjected));
    // Other schemes, such as javascript:, are no links.
    const safe = links.filter(({ url }) => ["http:", "https:"].includes(new URL(url, root).protocol));
    this.#$("links").replaceChildren(...safe.flatMap(({ label, url }) => [h("a", { href: url, rel: "noreferrer" }, label), " "]));
  }

  failure({ failure }) {
    const { retry, onFailureAction } = this.#parts;
    showFailure(this.#$("failure"), failure, { retryInS: retry.seconds, onAction: onFailureAction });
  }

  countdown(seconds) {
    this.#$("failure").querySelector(".countdown").textContent = STRINGS.failure.retryIn(seconds);
  }

  #controls(state, segments) {
    const $ = this.#$;
    const { run } = state;
    const node = state.nodes[state.current];
    const isFinished = !state.draft && node.kind === "generation" && node.outcome?.finishReason === "length";
    $("generate").textContent = isFinished ? STRINGS.continue : STRINGS.generate;
    $("generate").disabled = !state.model;
    swap($("generate"), $("stop"), Boolean(run));
    $("regenerate").disabled = !canRegenerate(state);
    $("score").disabled = Boolean(run) || !segments.length || !state.model;
    $("clear").disabled = Boolean(run) || !segments.length;
    $("share").disabled = Boolean(run) || !segments.length;
    $("empty").hidden = segments.length > 0 || Boolean(run);
    $("undo").disabled = Boolean(run) || (node.parent === null && !state.draft);
    $("redo").disabled = Boolean(run) || Boolean(state.draft) || node.visited === null;
    const { index, count } = siblings(state);
    $("sibling-count").textContent = STRINGS.version(index, count);
    $("previous").disabled = index <= 0 || run?.kind === "score";
    $("next").disabled = index >= count - 1 || run?.kind === "score";

    $("outcome").textContent = run ? runWords(run) : state.draft ? "" : outcomeWords(node);
    showFigures($("figures"), { run, node: state.draft ? { outcome: null } : node, segments, now: performance.now() });
    const wanted = state.params.max_tokens ?? 16;
    showBudget($("budget-bar"), $("budget-note"), { used: estimateTokens(segments), wanted, context: contextLength(state) });
  }
}

function runWords(run) {
  if (run.kind === "score") return STRINGS.scoring;
  return run.phase === "waiting" ? STRINGS.waiting : STRINGS.generating;
}

/** Shows one of two buttons; the focus goes with it, or the keyboard would lose its place. */
function swap(first, second, showSecond) {
  const focused = document.activeElement;
  first.hidden = showSecond;
  second.hidden = !showSecond;
  const [shownOne, hiddenOne] = showSecond ? [second, first] : [first, second];
  if (focused === hiddenOne) shownOne.focus();
}
