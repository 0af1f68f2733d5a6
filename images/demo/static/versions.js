/** The versions that a prompt was continued in, side by side, each to be picked. */
import { shown } from "./state.js";
import { STRINGS } from "./strings.js";
import { joinText } from "./tokens.js";
import { h } from "./view.js";

/** The latest. Older ones are reached by ‹ and › alone, or the page would be all versions. */
const SHOWN_AT_MOST = 24;
/** Characters of each; who wants to read on picks it. */
const LENGTH = 600;

export class Versions {
  #section;
  #list;
  #onPick;
  /** What each card shows, by the node's id. */
  #cards = new Map();

  /** @param {(id: string) => void} onPick called with the version that is to be the text */
  constructor(section, onPick) {
    this.#section = section;
    this.#list = section.querySelector("ol");
    this.#onPick = onPick;
  }

  show(state) {
    const { current, nodes, draft, run } = state;
    const { parent, kind } = nodes[current];
    const isOne = parent === null || draft || kind !== "generation";
    const ids = isOne ? [] : nodes[parent].children.filter((id) => nodes[id].kind === "generation");
    this.#section.hidden = ids.length < 2;
    if (ids.length < 2) return;
    const listed = ids.slice(-SHOWN_AT_MOST);
    const skipped = nodes[parent].segments.length;
    const mine = shown(state).slice(skipped);
    for (const id of [...this.#cards.keys()].filter((known) => !listed.includes(known))) this.#drop(id);
    for (const id of listed) {
      const card = this.#cards.get(id) ?? this.#add(id, ids.indexOf(id));
      const isCurrent = id === current;
      card.button.setAttribute("aria-pressed", String(isCurrent));
      // While text comes in, where versions part is looked for in vain: it is shown in the end.
      const compared = run || isCurrent ? null : mine;
      if (card.segments === nodes[id].segments && card.compared === compared) continue;
      Object.assign(card, { segments: nodes[id].segments, compared });
      card.text.replaceChildren(...parted(nodes[id].segments.slice(skipped), compared));
    }
  }

  #add(id, index) {
    const text = h("span", { class: "version-text", dir: "auto" });
    const button = h("button", { type: "button", class: "version" }, h("strong", {}, STRINGS.versionName(index)), text);
    button.addEventListener("click", () => this.#onPick(id));
    const item = h("li", {}, button);
    this.#list.append(item);
    const card = { item, button, text, segments: null, compared: null };
    this.#cards.set(id, card);
    return card;
  }

  #drop(id) {
    this.#cards.get(id).item.remove();
    this.#cards.delete(id);
  }
}

/** The text of a version, with the first word marked that is not as in the other; null marks none. */
function parted(segments, other) {
  const first = other ? segments.findIndex((segment, i) => segment.text !== other[i]?.text) : -1;
  const cut = (text) => (text.length > LENGTH ? `${text.slice(0, LENGTH).replace(/[\ud800-\udbff]$/, "")}…` : text);
  if (first < 0) return [cut(joinText(segments))];
  // A space alone is hard to see.
  const visible = segments.findIndex((segment, i) => i >= first && segment.text.trim());
  const end = visible < 0 ? segments.length : visible + 1;
  const mark = h("mark", {}, joinText(segments.slice(first, end)));
  return [cut(joinText(segments.slice(0, first))), mark, cut(joinText(segments.slice(end)))];
}
