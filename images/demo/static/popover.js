/** The one box that shows a token's probability and its alternatives, wherever the token is. */
import { figures, labelText, visible } from "./tokens.js";
import { STRINGS, format } from "./strings.js";
import { h } from "./view.js";

const OPEN_AFTER_MS = 150;
const CLOSE_AFTER_MS = 300;

export class Popover {
  #box;
  #backdrop;
  #onPick;
  #index = -1;
  #timer = 0;
  /** Opened by the keyboard or a tap: it stays until it is closed, whatever the pointer does. */
  #isPinned = false;
  #picks = [];

  /**
   * @param {HTMLElement} box
   * @param {import("./view.js").Backdrop} backdrop
   * @param {(index: number, alternative: {label: string, logprob: number}) => void} onPick
   */
  constructor(box, backdrop, onPick) {
    this.#box = box;
    this.#backdrop = backdrop;
    this.#onPick = onPick;
    box.addEventListener("pointerenter", () => clearTimeout(this.#timer));
    box.addEventListener("pointerleave", () => this.#isPinned || this.#later(CLOSE_AFTER_MS, () => this.close()));
  }

  get isOpen() {
    return !this.#box.hidden;
  }

  /** The pointer is over a segment, or over none (-1). */
  hover(index) {
    if (this.#isPinned) return;
    if (index === this.#index && this.isOpen) {
      clearTimeout(this.#timer);
      return;
    }
    const hasTokens = index >= 0 && this.#backdrop.segment(index)?.tokens;
    if (hasTokens) this.#later(OPEN_AFTER_MS, () => this.#show(index));
    else this.#later(CLOSE_AFTER_MS, () => this.close());
  }

  /** Opens for a segment until it is closed. @returns {boolean} whether there was something to show */
  open(index) {
    clearTimeout(this.#timer);
    if (!this.#backdrop.segment(index)?.tokens) return false;
    this.#show(index);
    this.#isPinned = true;
    return true;
  }

  focus() {
    (this.#box.querySelector("button.pick") ?? this.#box.querySelector("button")).focus();
  }

  close() {
    clearTimeout(this.#timer);
    this.#box.hidden = true;
    this.#box.replaceChildren();
    this.#backdrop.mark(-1);
    this.#index = -1;
    this.#isPinned = false;
    this.#picks = [];
  }

  /** @returns {boolean} whether there was an alternative of that number, from 1 */
  pick(number) {
    const chosen = this.#picks[number - 1];
    if (!this.isOpen || !chosen) return false;
    const index = this.#index;
    this.close();
    this.#onPick(index, chosen);
    return true;
  }

  #later(ms, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, ms);
  }

  #show(index) {
    this.#index = index;
    const { tokens } = this.#backdrop.segment(index);
    this.#picks = [];
    const close = h("button", { type: "button", class: "quiet small close", "aria-label": STRINGS.popover.close }, "×");
    close.addEventListener("click", () => this.close());
    // The mark before the first word shares its segment, and has nothing to say.
    const telling = tokens.filter((token, i) => token.logprob !== null || i === tokens.length - 1);
    this.#box.replaceChildren(close, ...telling.flatMap((token) => this.#describe(token)));
    this.#box.hidden = false;
    this.#place(this.#backdrop.mark(index));
  }

  #describe(token) {
    const words = STRINGS.popover;
    const heading = h("p", { class: "token-name" }, h("code", {}, visible(token.label)));
    if (token.logprob === null) return [heading, h("p", { class: "note" }, words.first)];
    const { probability, rank, rankIsExact, covered } = figures(token);
    const rows = [
      [words.probability, format.percent(probability)],
      [words.logprob, format.logprob(token.logprob)],
      [words.rank, rankIsExact ? String(rank) : words.later(Math.max(rank, token.asked + 1))],
      [words.covered, format.percent(covered)],
    ];
    const facts = h("dl", { class: "facts" }, ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    if (!token.top.length) return [heading, facts, h("p", { class: "note" }, words.none)];
    const list = h("ol", { class: "alternatives", "aria-label": words.heading });
    for (const [label, logprob] of token.top) list.append(this.#alternative(token, label, logprob));
    const rest = Math.max(0, 1 - covered);
    list.append(h("li", { class: "rest" }, h("span", { class: "label" }, words.other), bar(rest), h("span", { class: "share" }, format.percent(rest))));
    return [heading, facts, list];
  }

  #alternative(token, label, logprob) {
    const isChosen = label === token.label;
    const share = Math.exp(logprob);
    const content = [h("code", { class: "label" }, visible(label)), bar(share), h("span", { class: "share" }, format.percent(share))];
    const item = h("li", isChosen ? { class: "chosen", "aria-current": "true" } : {});
    // A part of a character has no text of its own to go on from.
    if (isChosen || labelText(token.label) === null || labelText(label) === null) {
      item.append(...content);
      return item;
    }
    const number = this.#picks.push({ label, logprob, top: token.top, asked: token.asked });
    const button = h("button", { type: "button", class: "pick", "aria-label": `${STRINGS.popover.pick(visible(label))}, ${format.percent(share)}` });
    button.append(h("kbd", { "aria-hidden": "true" }, String(number)), ...content);
    button.addEventListener("click", () => this.pick(number));
    item.append(button);
    return item;
  }

  #place(anchor) {
    if (!anchor) return;
    const { width, height } = this.#box.getBoundingClientRect();
    const gap = 6;
    const left = Math.max(8, Math.min(anchor.left, innerWidth - width - 8));
    const below = anchor.bottom + gap;
    const top = below + height < innerHeight || anchor.top < height ? below : anchor.top - gap - height;
    this.#box.style.left = `${left + scrollX}px`;
    this.#box.style.top = `${top + scrollY}px`;
  }
}

function bar(share) {
  const fill = h("span");
  fill.style.width = `${Math.round(share * 100)}%`;
  return h("span", { class: "share-bar", "aria-hidden": "true" }, fill);
}
