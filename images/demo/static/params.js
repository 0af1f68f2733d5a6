/** The parameters of a request: what they mean, their form, and the request's body. */
import { STRINGS } from "./strings.js";
import { visible } from "./tokens.js";
import { h } from "./view.js";

/**
 * `api` is the API's default, `page` this page's where it differs. Limits are the API's; the
 * server's own document and the model's context replace them when they are known.
 */
export const PARAMS = [
  { name: "max_tokens", kind: "integer", api: 16, page: 64, min: 0, max: 2048, step: 1,
    help: "How many tokens to write at most.", why: "A token is about four letters of English. The model may end sooner." },
  { name: "temperature", kind: "number", api: 1, min: 0, max: 2, step: 0.05,
    help: "0 always takes the likeliest token; higher is more varied.", why: "Logits are divided by it before a token is drawn. Small models read best around 0.7." },
  { name: "top_p", kind: "number", api: 1, min: 0, max: 1, step: 0.01,
    help: "Draw only from the likeliest tokens that make up this much.", why: "0.9 leaves out the unlikely tail, which is where most nonsense comes from." },
  { name: "n", kind: "integer", api: 1, min: 1, max: 8, step: 1,
    help: "Versions to write at once. They are shown side by side.", why: "All share one reading of the text, so more versions cost little." },
  { name: "stop", kind: "list", api: null,
    help: "Texts that end the answer. They are not shown.", why: "A new line ends an answer of one line; “Q:” ends one in a list of questions." },
  { name: "seed", kind: "seed", api: null, min: 0, max: Number.MAX_SAFE_INTEGER, step: 1,
    help: "With a number, the same request gives the same text.", why: "Leave it empty for new versions each time." },
  { name: "frequency_penalty", kind: "number", api: 0, min: -2, max: 2, step: 0.1,
    help: "Above 0, a token is less likely each time it has been used.", why: "It helps against loops, which small models fall into at low temperature." },
  { name: "presence_penalty", kind: "number", api: 0, min: -2, max: 2, step: 0.1,
    help: "Above 0, tokens that were used once are less likely.", why: "It moves the text on to new words, however often the old ones came." },
  { name: "logprobs", kind: "integer", api: null, page: 5, min: 0, max: 5, step: 1, nullable: true,
    help: "Likeliest tokens to ask for with each token.", why: "Colours and alternatives need them. Untick to leave them out." },
];

export function pageDefault(param) {
  return param.page === undefined ? param.api : param.page;
}

export function defaultParams() {
  return Object.fromEntries(PARAMS.map((param) => [param.name, pageDefault(param)]));
}

/** Limits from the OpenAPI document's schema and the model's context. A page's own bound on n stays. */
export function limitsFrom(schema, contextLength) {
  const limits = {};
  for (const { name, min, max } of PARAMS) {
    const property = schema.properties?.[name];
    if (!property) continue;
    limits[name] = { min: property.minimum ?? min, max: name === "n" ? max : (property.maximum ?? max) };
  }
  if (contextLength) limits.max_tokens = { min: 0, max: contextLength };
  return limits;
}

/** The parameters that differ from the API's defaults, as they go into a request. */
export function changedParams(params) {
  const changed = {};
  for (const { name, kind, api } of PARAMS) {
    const value = params[name];
    const isDefault = value === api || value === null || (kind === "list" && !value.length);
    if (!isDefault) changed[name] = value;
  }
  return changed;
}

/** The body of a request, without `stream`. */
export function requestBody(model, prompt, params) {
  return { model, prompt, ...changedParams(params) };
}

/** Builds the form once; `update(params, limits)` shows values; `onChange(name, value)` tells changes. */
export function buildParams(container, onChange) {
  const updates = PARAMS.map((param) => {
    const build = param.kind === "list" ? buildList : buildNumber;
    const { field, update } = build(param, onChange);
    container.append(field);
    return (params, limits) => update(params[param.name], limits[param.name] ?? param);
  });
  return (params, limits) => updates.forEach((update) => update(params, limits));
}

function frame(param, onChange, { value = null, controls = [] }) {
  const id = `param-${param.name}`;
  const mark = h("span", { class: "mark-default" }, STRINGS.paramDefault);
  const reset = h("button", { type: "button", class: "quiet small", "aria-label": STRINGS.paramReset(param.name) }, "↺");
  reset.addEventListener("click", () => onChange(param.name, pageDefault(param)));
  const field = h(
    "div",
    { class: "param" },
    h("div", { class: "param-head" }, h("label", { for: id }, h("code", {}, param.name)), mark, reset, ...(value ? [value] : [])),
    ...controls,
    h("details", {}, h("summary", { id: `${id}-help` }, param.help), h("p", {}, param.why)),
  );
  const show = (isDefault) => {
    mark.hidden = !isDefault;
    reset.hidden = isDefault;
  };
  return { field, show };
}

function buildNumber(param, onChange) {
  const isSeed = param.kind === "seed";
  const attributes = { min: param.min, max: param.max, step: param.kind === "number" ? "any" : 1 };
  const number = h("input", { type: "number", id: `param-${param.name}`, "aria-describedby": `param-${param.name}-help`, ...attributes });
  if (isSeed) number.placeholder = STRINGS.random;
  const slider = h("input", { type: "range", "aria-label": param.name, ...attributes, step: param.step });
  const tick = h("input", { type: "checkbox", "aria-label": `Send ${param.name}` });
  let bounds = param;

  const change = (text) => {
    if (text.trim() === "") return onChange(param.name, isSeed ? null : pageDefault(param));
    const value = param.kind === "number" ? Number(text) : Math.round(Number(text));
    if (Number.isFinite(value)) onChange(param.name, Math.min(bounds.max, Math.max(bounds.min, value)));
  };
  number.addEventListener("change", () => change(number.value));
  slider.addEventListener("input", () => change(slider.value));
  tick.addEventListener("change", () => onChange(param.name, tick.checked ? pageDefault(param) : null));

  const row = h("div", { class: "param-row" }, ...(param.nullable ? [tick] : []), slider);
  const { field, show } = frame(param, onChange, { value: number, controls: isSeed ? [] : [row] });
  const update = (value, limits) => {
    bounds = limits;
    for (const input of [number, slider]) Object.assign(input, { min: limits.min, max: limits.max });
    if (document.activeElement !== number || number.value === "") number.value = value ?? "";
    slider.value = value ?? pageDefault(param) ?? limits.min;
    if (param.nullable) {
      tick.checked = value !== null;
      number.disabled = slider.disabled = value === null;
    }
    show(value === pageDefault(param));
  };
  number.addEventListener("blur", () => {
    if (number.value !== "" && Number(number.value) > bounds.max) number.value = bounds.max;
  });
  return { field, update };
}

function buildList(param, onChange) {
  let list = [];
  const chips = h("ul", { class: "chips" });
  const input = h("input", {
    type: "text", id: `param-${param.name}`, placeholder: STRINGS.stopPlaceholder, autocomplete: "off", spellcheck: "false",
    "aria-describedby": `param-${param.name}-help`,
  });
  const add = h("button", { type: "button" }, STRINGS.stopAdd);
  const commit = () => {
    const text = unescape(input.value);
    input.value = "";
    if (text && !list.includes(text)) onChange(param.name, [...list, text]);
  };
  add.addEventListener("click", commit);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    commit();
  });
  const { field, show } = frame(param, onChange, { controls: [chips, h("div", { class: "param-row" }, input, add)] });
  const update = (value) => {
    list = value ?? [];
    chips.hidden = !list.length;
    chips.replaceChildren(
      ...list.map((text) => {
        const remove = h("button", { type: "button", "aria-label": STRINGS.stopRemove(visible(text)) }, "×");
        remove.addEventListener("click", () => {
          onChange(param.name, list.length > 1 ? list.filter((other) => other !== text) : null);
          input.focus();
        });
        return h("li", {}, h("code", {}, visible(text)), remove);
      }),
    );
    show(!list.length);
  };
  return { field, update };
}

/** Text with \n, \t and \\ as a writer of code would mean them. */
function unescape(text) {
  return text.replace(/\\([nt\\])/g, (_, letter) => ({ n: "\n", t: "\t", "\\": "\\" })[letter]);
}

/** Tokens in a text: exact where the API named them, else by the usual four letters each. */
export function estimateTokens(segments) {
  let tokens = 0;
  for (const segment of segments) tokens += segment.tokens?.length ?? segment.text.length / 4;
  return Math.ceil(tokens);
}

export function showBudget(bar, note, { used, wanted, context }) {
  const whole = context || used + wanted || 1;
  bar.hidden = !context;
  const [usedPart, wantedPart] = bar.children;
  usedPart.style.width = `${Math.min(100, (used / whole) * 100)}%`;
  wantedPart.style.width = `${Math.min(100 - Math.min(100, (used / whole) * 100), (wanted / whole) * 100)}%`;
  const isOver = Boolean(context) && used + wanted > context;
  bar.classList.toggle("over", isOver);
  bar.setAttribute("aria-valuemax", whole);
  bar.setAttribute("aria-valuenow", Math.min(whole, used + wanted));
  const text = context ? STRINGS.budget(used, wanted, context) : STRINGS.budgetUnknown(used, wanted);
  bar.setAttribute("aria-valuetext", text);
  note.textContent = isOver ? `${text}. ${STRINGS.budgetOver}` : text;
}

