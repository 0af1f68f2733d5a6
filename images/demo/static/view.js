/** How the state looks: the coloured text behind the editor, and the parts around it. */
import { SCALES, level, sequenceFigures } from "./tokens.js";
import { STRINGS, explain, format } from "./strings.js";

/** An element: `h("p", {class: "note"}, "text", child)`. Text is never parsed as markup. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * The text as spans, one a segment, exactly beneath the textarea's own letters. Spans lie in blocks
 * that end at a new line, so that a long text that is being streamed lays out block by block.
 */
export class Backdrop {
  static #BLOCK_LENGTH = 256;
  #root;
  #segments = [];
  #spans = [];
  #colour = "off";

  constructor(root) {
    this.#root = root;
  }

  /** Shows segments. Those that it shows already, by identity, keep their elements. */
  show(segments, colour) {
    if (colour !== this.#colour) {
      this.#colour = colour;
      this.#spans.forEach((span, i) => paint(span, this.#segments[i], colour));
    }
    const old = this.#segments;
    const shared = Math.min(old.length, segments.length);
    let before = 0;
    while (before < shared && old[before] === segments[before]) before++;
    if (before === old.length) {
      for (let i = before; i < segments.length; i++) this.#append(segments[i]);
    } else {
      this.#replace(before, segments);
    }
    this.#segments = segments;
  }

  #append(segment) {
    const last = this.#root.lastElementChild;
    const isFull = last && last.childElementCount >= Backdrop.#BLOCK_LENGTH && last.textContent.endsWith("\n");
    const block = !last || isFull ? this.#root.appendChild(h("div", { class: "block" })) : last;
    const span = this.#span(segment);
    block.append(span);
    this.#spans.push(span);
  }

  #replace(before, segments) {
    const old = this.#segments;
    let after = 0;
    const most = Math.min(old.length, segments.length) - before;
    while (after < most && old[old.length - 1 - after] === segments[segments.length - 1 - after]) after++;
    const added = segments.slice(before, segments.length - after).map((segment) => this.#span(segment));
    const removed = this.#spans.splice(before, old.length - after - before, ...added);
    if (removed.length) removed[0].before(...added);
    else if (before > 0) this.#spans[before - 1].after(...added);
    else this.#spans[added.length].before(...added);
    for (const span of removed) {
      const block = span.parentElement;
      span.remove();
      if (!block.childElementCount) block.remove();
    }
  }

  #span(segment) {
    const span = h("span");
    span.textContent = segment.text;
    paint(span, segment, this.#colour);
    return span;
  }

  /** @returns {number} the index of the segment under a point of the window, -1 where there is none */
  indexAt(x, y) {
    const element = document.elementsFromPoint(x, y).find((e) => e.tagName === "SPAN" && this.#root.contains(e));
    return element ? this.#spans.indexOf(element) : -1;
  }

  /** @returns {number} the index of the segment that holds a position in the text, -1 after the end */
  indexOfPosition(position) {
    let end = 0;
    return this.#segments.findIndex((segment) => (end += segment.text.length) > position);
  }

  segment(index) {
    return this.#segments[index];
  }

  /** Marks one segment as looked at; none for -1. @returns {DOMRect|null} where its first line is */
  mark(index) {
    this.#root.querySelector(".looked-at")?.classList.remove("looked-at");
    const span = this.#spans[index];
    span?.classList.add("looked-at");
    return span?.getClientRects()[0] ?? null;
  }
}

function paint(span, segment, colour) {
  const value = level(segment, colour);
  const names = [`by-${segment.origin}`];
  if (segment.tokens) names.push("token");
  if (value !== null) names.push("scaled", `level-${value}`);
  span.className = names.join(" ");
}

export function showLegend(container, colour, segments) {
  const swatch = (name, text) => h("span", { class: "key" }, h("span", { class: `swatch ${name}`, "aria-hidden": "true" }, "ab"), text);
  const scale = SCALES[colour];
  if (!scale) {
    const { human, model } = STRINGS.legendAuthor;
    container.replaceChildren(swatch("by-human", human), swatch("by-model", model));
    return;
  }
  const words = STRINGS.legendBound[colour](scale.bounds.map(scale.format));
  const swatches = words.map((text, i) => swatch(`scaled level-${i}`, text));
  const isKnown = segments.some((segment) => segment.tokens);
  container.replaceChildren(...swatches, ...(isKnown ? [] : [h("span", { class: "note" }, STRINGS.legendUnknown)]));
}

/** How a finished run ended, in a sentence. */
export function outcomeWords(node) {
  const { outcome, kind } = node;
  if (!outcome) return "";
  if (outcome.ending === "done" && kind === "score") return STRINGS.endings.score;
  const reason = outcome.ending === "done" ? outcome.finishReason : outcome.ending;
  return STRINGS.endings[reason] ?? STRINGS.endings.unknown;
}

/** The figures of a run or of what a run left: tokens, speed, waiting, probability, request id. */
export function showFigures(list, { run, node, segments, now }) {
  const outcome = run ? liveOutcome(run, now) : node.outcome;
  const rows = [];
  if (outcome && node.kind !== "score") {
    rows.push([outcome.tokens === 1 ? "token" : "tokens", format.whole(outcome.tokens)]);
    // The first token's time is the prompt's; the rest come at the speed of writing.
    if (outcome.tokens > 1 && outcome.streamS > 0) rows.push(["rate", format.rate((outcome.tokens - 1) / outcome.streamS)]);
    if (outcome.firstS !== null) rows.push(["first", format.seconds(outcome.firstS)]);
  }
  const sequence = run ? null : sequenceFigures(segments);
  if (sequence) {
    rows.push(["mean", format.logprob(sequence.mean)], ["perplexity", format.real(sequence.perplexity)]);
  }
  const elements = rows.map(([name, value]) => h("div", {}, h("dt", {}, STRINGS.figures[name]), h("dd", {}, value)));
  if (!run && outcome?.requestId) {
    const copy = h("button", { type: "button", class: "quiet small", "data-copy": outcome.requestId }, STRINGS.copy);
    copy.setAttribute("aria-label", `${STRINGS.copy} ${STRINGS.figures.request}`);
    const id = h("code", { class: "id" }, outcome.requestId);
    elements.push(h("div", { class: "request" }, h("dt", {}, STRINGS.figures.request), h("dd", {}, id, copy)));
  }
  list.replaceChildren(...elements);
}

function liveOutcome(run, now) {
  const { tokens, firstAt, startedAt } = run;
  if (firstAt === null) return null;
  return { tokens, firstS: (firstAt - startedAt) / 1000, streamS: (now - firstAt) / 1000 };
}

/**
 * Fills the failure box: what happened, what to do, who can, the server's own words and request id.
 *
 * @param {{retryInS: number|null, onAction: (action: string) => void}} options seconds until the
 *   request is sent again by itself, null when it is not
 */
export function showFailure(box, failure, { retryInS, onAction }) {
  box.hidden = !failure;
  if (!failure) return box.replaceChildren();
  const { error } = failure;
  const { title, advice, who, action } = explain(error);
  const words = STRINGS.failure;
  const button = (name, text, style = "") => {
    const element = h("button", { type: "button", class: style, "data-action": name }, text);
    element.addEventListener("click", () => onAction(name));
    return element;
  };
  const buttons = [];
  if (action === "retry") buttons.push(button("retry", words.retry));
  if (action === "cut") buttons.push(button("cut", words.cut));
  buttons.push(button("details", words.details, "quiet"), button("dismiss", words.dismiss, "quiet"));
  const details = h("p", { class: "server-words" }, error.message);
  const facts = [error.status, error.code].filter(Boolean).join(" · ");
  const request = error.requestId ? `${words.request} ${error.requestId}` : "";
  return box.replaceChildren(
    h("p", { class: "failure-title" }, title),
    h("p", {}, `${advice} ${words.who[who]}`),
    ...(error.message ? [details] : []),
    h("p", { class: "note facts" }, [facts, request].filter(Boolean).join(" · ")),
    // The countdown ticks outside the alert's own text, or a screen reader would hear every second.
    h("p", { class: "note countdown", "aria-hidden": "true" }, retryInS === null ? "" : words.retryIn(retryInS)),
    h("div", { class: "buttons" }, ...buttons),
  );
}

/** An error as plain text, to pass on. Holds no key and no prompt. */
export function errorDetails(error, model) {
  const { kind, status, code, param, requestId, message } = error;
  const lines = Object.entries({ kind, status, code, param, model, "x-request-id": requestId, message });
  return lines.filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`).join("\n");
}

