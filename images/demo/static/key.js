/** The API key: in memory, and in this tab's own storage if the writer wants so; never anywhere that outlives the tab. */
import { store, stored } from "./memory.js";
import { STRINGS } from "./strings.js";

const NAME = "openaisle.key";

export class Key {
  /** "unchecked", "accepted", "missing" or "refused": what the server said of it */
  verdict = "unchecked";
  value = stored(sessionStorage, NAME) ?? "";
  #parts;

  /**
   * @param {(id: string) => HTMLElement} $ finds the page's elements
   * @param {() => void} onChange called when there is another key
   */
  constructor($, onChange) {
    const [field, keep, forget, reveal, note, hint] = ["key", "key-keep", "key-forget", "reveal", "key-note", "key-hint"].map($);
    this.#parts = { field, keep, forget, reveal, note, hint };
    field.value = this.value;
    keep.checked = this.value !== "";
    const change = () => this.#set(field.value.trim(), onChange);
    field.addEventListener("change", change);
    field.addEventListener("keydown", (event) => event.key === "Enter" && change());
    keep.addEventListener("change", () => this.#keep());
    forget.addEventListener("click", () => {
      field.value = "";
      keep.checked = false;
      change();
      field.focus();
    });
    reveal.addEventListener("click", () => this.#reveal());
  }

  focus() {
    this.#parts.field.focus();
  }

  #set(value, onChange) {
    if (value === this.value) return;
    this.value = value;
    this.verdict = "unchecked";
    this.#keep();
    onChange();
  }

  #keep() {
    const { keep } = this.#parts;
    const isWanted = keep.checked && this.value !== "";
    const isKept = store(sessionStorage, NAME, isWanted ? this.value : null);
    if (!isKept) keep.checked = false;
  }

  #reveal() {
    const { field, reveal } = this.#parts;
    const isShown = field.type === "text";
    field.type = isShown ? "password" : "text";
    reveal.textContent = isShown ? STRINGS.reveal : STRINGS.hide;
    reveal.setAttribute("aria-pressed", String(!isShown));
  }

  /** Shows where a key comes from. */
  hint(text) {
    this.#parts.hint.textContent = text;
  }

  /** Notes what an answer says of the key: accepted when there was no error. */
  judge(error = null) {
    if (error?.status === 401) this.verdict = this.value ? "refused" : "missing";
    else this.verdict = this.value && !error ? "accepted" : "unchecked";
    this.paint();
  }

  paint() {
    const { field, forget, note, hint } = this.#parts;
    const notes = { unchecked: "", accepted: STRINGS.keyAccepted, missing: STRINGS.keyMissing, refused: STRINGS.keyRefused };
    note.textContent = notes[this.verdict];
    note.dataset.verdict = this.verdict;
    field.setAttribute("aria-invalid", String(this.verdict === "refused"));
    forget.hidden = !this.value;
    hint.hidden = this.verdict === "accepted";
  }
}
