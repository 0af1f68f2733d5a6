/**
 * The page's state and every change to it, without a DOM.
 *
 * Texts form a tree: each node is a whole text, {id, parent, children, visited, kind, segments,
 * outcome}. A "generation" continues its parent's text, an "edit" is what the writer made of it, a
 * "score" is the same text with its probabilities. Nothing is ever overwritten, so going back loses
 * nothing. `draft` is the text on the page while it differs from the current node's.
 */
import { editSegments, joinText } from "./tokens.js";

const ROOT = "0";

export function initialState() {
  return {
    nodes: { [ROOT]: node(ROOT, null, "edit", []) },
    current: ROOT,
    draft: null,
    models: { phase: "loading", list: [], error: null },
    model: "",
    params: {},
    colour: "off",
    /**
     * null, or {nodes, origin, returnTo, kind, phase: "waiting"|"streaming", startedAt, firstAt,
     * tokens, requestId}; times in milliseconds
     */
    run: null,
    /** null, or {error, at}: what the failure box shows */
    failure: null,
    config: {},
    limits: {},
    /** How many nodes were taken back out of the tree; ids are never used twice. */
    dropped: 0,
  };
}

function node(id, parent, kind, segments) {
  return { id, parent, children: [], visited: null, kind, segments, outcome: null };
}

/** The segments that the page shows. */
export function shown(state) {
  return state.draft ?? state.nodes[state.current].segments;
}

export function currentText(state) {
  return joinText(shown(state));
}

/** @returns {{index: number, count: number}} the current version among its siblings, from 0 */
export function siblings(state) {
  const { parent } = state.nodes[state.current];
  const all = parent === null ? [ROOT] : state.nodes[parent].children;
  return { index: all.indexOf(state.current), count: all.length };
}

/** @returns {number|null} tokens of the chosen model's context, where the server says it */
export function contextLength({ models, model }) {
  return models.list.find(({ id }) => id === model)?.max_model_len ?? null;
}

/** Whether "regenerate" has a generation to repeat. */
export function canRegenerate(state) {
  return !state.run && !state.draft && state.nodes[state.current].kind === "generation";
}

/** @returns {object} the state after an action; the state itself where the action does not apply */
export function reduce(state, action) {
  return (HANDLERS[action.type] ?? unknownAction)(state, action);
}

function unknownAction(_state, action) {
  throw new Error(`no such action: ${action.type}`);
}

const HANDLERS = {
  configured: (state, { config }) => ({ ...state, config }),
  limited: (state, { limits }) => ({ ...state, limits }),
  coloured: (state, { colour }) => ({ ...state, colour }),
  param: (state, { name, value }) => ({ ...state, params: { ...state.params, [name]: value } }),
  params: (state, { params }) => ({ ...state, params }),
  model: (state, { model }) => ({ ...state, model }),
  failed: (state, { error, at }) => ({ ...state, failure: { error, at } }),
  dismissed: (state) => (state.failure ? { ...state, failure: null } : state),

  "models/loading": (state) => ({ ...state, models: { ...state.models, phase: "loading", error: null } }),
  "models/failed": (state, { error }) => ({ ...state, models: { ...state.models, phase: "failed", error } }),
  "models/loaded": (state, { list, preferred }) => {
    const ids = list.map(({ id }) => id);
    const model = [state.model, preferred].find((id) => ids.includes(id)) ?? ids[0] ?? "";
    return { ...state, model, models: { phase: list.length ? "ready" : "empty", list, error: null } };
  },

  edited(state, { text }) {
    if (state.run) return state;
    const draft = editSegments(shown(state), text);
    return { ...state, draft: draft === state.nodes[state.current].segments ? null : draft };
  },

  /** A new text; the old one stays in the tree. */
  cleared(state, { text = "" }) {
    if (state.run) return state;
    const kept = keepDraft(state);
    const segments = text ? [{ text, origin: "human", tokens: null }] : [];
    return addNode({ ...kept, failure: null }, ROOT, "edit", segments);
  },

  /** The text up to a token, with another token in its place: a sibling of where the token came in. */
  branched(state, { index, segment }) {
    if (state.run) return state;
    const segments = shown(state);
    const home = homeOf(state, segments[index]);
    const kept = keepDraft(state);
    return addNode(kept, home ?? kept.current, "edit", [...segments.slice(0, index), segment]);
  },

  /** `again`: beside the current generation; else after the text that is shown. */
  "run/started"(state, { kind, count, at, again = false }) {
    let next = keepDraft({ ...state, failure: null });
    const origin = again ? next.nodes[next.current].parent : next.current;
    const returnTo = next.current;
    const ids = [];
    for (let i = 0; i < count; i++) {
      next = addNode(next, origin, kind, kind === "score" ? [] : next.nodes[origin].segments);
      ids.push(next.current);
    }
    const run = {
      nodes: ids, origin, returnTo, kind, phase: "waiting", startedAt: at, firstAt: null, tokens: 0, requestId: null,
    };
    return visit({ ...next, run }, ids[0]);
  },

  "run/accepted": (state, { requestId }) => ({ ...state, run: { ...state.run, requestId } }),

  /** `pieces`: for each choice that said something its segments, by the choice's index. */
  "run/streamed"(state, { pieces, tokens, at }) {
    const nodes = { ...state.nodes };
    for (const [index, segments] of pieces) {
      const id = state.run.nodes[index];
      if (id) nodes[id] = { ...nodes[id], segments: [...nodes[id].segments, ...segments] };
    }
    const { run } = state;
    const firstAt = run.firstAt ?? at;
    return { ...state, nodes, run: { ...run, phase: "streaming", firstAt, tokens: run.tokens + tokens } };
  },

  /** `reasons`: finish_reason by index; `ending`: "done", "stopped" or "failed". */
  "run/ended"(state, { ending, reasons = [], usage = null, error = null, at }) {
    const { run } = state;
    const nodes = { ...state.nodes };
    run.nodes.forEach((id, index) => {
      const outcome = {
        ending,
        finishReason: reasons[index] ?? null,
        usage,
        requestId: run.requestId,
        tokens: usage?.completion_tokens ?? run.tokens,
        firstS: run.firstAt === null ? null : (run.firstAt - run.startedAt) / 1000,
        streamS: run.firstAt === null ? null : (at - run.firstAt) / 1000,
      };
      nodes[id] = { ...nodes[id], outcome };
    });
    const next = { ...state, nodes, run: null, failure: error ? { error, at } : null };
    const before = run.kind === "score" ? 0 : nodes[run.origin].segments.length;
    const brought = run.nodes.some((id) => nodes[id].segments.length > before);
    // A run that brought nothing leaves no version behind, unless the model itself chose to say nothing.
    return brought || ending === "done" ? next : dropRun(next, run);
  },

  undone(state) {
    const { parent } = state.nodes[state.current];
    if (state.run) return state;
    if (state.draft) {
      const origin = state.current;
      return visit(keepDraft(state), origin);
    }
    return parent === null ? state : visit(state, parent);
  },

  redone(state) {
    const { visited } = state.nodes[state.current];
    return state.run || state.draft || visited === null ? state : visit(state, visited);
  },

  /** `step`: +1 or -1 among the versions. */
  turned(state, { step }) {
    const { parent } = state.nodes[state.current];
    if (state.run?.kind === "score" || parent === null) return state;
    const all = state.nodes[parent].children;
    const kept = state.run ? state : keepDraft(state);
    const index = all.indexOf(state.current) + step;
    return index < 0 || index >= all.length ? state : visit(kept, all[index]);
  },

  picked: (state, { id }) => (state.run?.kind === "score" ? state : visit(state.run ? state : keepDraft(state), id)),
};

/** Makes the draft a node of its own, so that it can be come back to. */
function keepDraft(state) {
  if (!state.draft) return state;
  const { current, draft } = state;
  const isUntouchedRoot = current === ROOT && !state.nodes[ROOT].children.length && !state.nodes[ROOT].segments.length;
  if (isUntouchedRoot && !draft.length) return { ...state, draft: null };
  return addNode({ ...state, draft: null }, current, "edit", draft);
}

function addNode(state, parent, kind, segments) {
  const id = String(Object.keys(state.nodes).length + state.dropped);
  const above = state.nodes[parent];
  const nodes = {
    ...state.nodes,
    [id]: node(id, parent, kind, segments),
    [parent]: { ...above, children: [...above.children, id], visited: id },
  };
  return { ...state, nodes, current: id, draft: null };
}

function visit(state, id) {
  const { parent } = state.nodes[id];
  const nodes = parent === null ? state.nodes : { ...state.nodes, [parent]: { ...state.nodes[parent], visited: id } };
  return { ...state, nodes, current: id };
}

function dropRun(state, run) {
  const nodes = { ...state.nodes };
  for (const id of run.nodes) delete nodes[id];
  const above = nodes[run.origin];
  const children = above.children.filter((id) => !run.nodes.includes(id));
  nodes[run.origin] = { ...above, children, visited: children.at(-1) ?? null };
  const current = run.nodes.includes(state.current) ? run.returnTo : state.current;
  return { ...state, nodes, current, dropped: state.dropped + run.nodes.length };
}

/** The node above the one in which a segment first appeared; null where only the draft has it. */
function homeOf(state, segment) {
  let home = null;
  for (let id = state.current; id !== null; id = state.nodes[id].parent) {
    if (!state.nodes[id].segments.includes(segment)) break;
    home = state.nodes[id].parent ?? id;
  }
  return home;
}
