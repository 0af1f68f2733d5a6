/** Every text that the page's code shows, in one table, and how it writes numbers. */

const LANGUAGE = "en";
const whole = new Intl.NumberFormat(LANGUAGE);
const upTo1 = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const upTo2 = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat(LANGUAGE, { style: "percent", maximumSignificantDigits: 3 });

export const format = {
  whole: (n) => whole.format(n),
  rate: (n) => upTo1.format(n),
  logprob: (n) => n.toFixed(3).replace("-", "−"),
  real: (n) => upTo2.format(n),
  percent: (n) => percent.format(n),
  seconds: (s) => (s < 1 ? `${Math.round(s * 1000)} ms` : `${upTo1.format(s)} s`),
};

const counted = (tokens) => `${whole.format(tokens)} ${tokens === 1 ? "token" : "tokens"}`;

export const SAMPLES = [
  { name: "Continue a story", text: "Once upon a time there was a little girl who lived near the sea. One morning she" },
  {
    name: "Answer by example",
    text: "Q: What is the capital of France?\nA: Paris\n\nQ: What is the capital of Italy?\nA: Rome\n\nQ: What is the capital of Spain?\nA:",
  },
  { name: "Complete code", text: 'def mean(numbers):\n    """Return the arithmetic mean of a list of numbers."""\n' },
];

export const STRINGS = {
  generate: "Generate",
  continue: "Continue",
  reveal: "Show",
  hide: "Hide",
  copy: "Copy",
  copied: "Copied",
  linkInAddress: "The link is in the address bar",
  linkTooLong: "Too long for a link",
  copyFailed: "Your browser does not allow copying here. Select the text instead.",
  version: (index, count) => `${index + 1}/${count}`,

  modelsLoading: "Loading the list of models…",
  modelsEmpty: "No model is ready yet. Looking again every few seconds.",
  modelsNone: "No models",
  modelWaiting: "Waiting for a key",
  modelOffline: "Not reachable",

  keyAccepted: "Key accepted.",
  keyMissing: "Enter a key to begin.",
  keyRefused: "This key was not accepted.",
  keyInjected: "This installation adds its own key to your requests, so you need none.",
  keyHint:
    "“./hack/run” and “helm install” print where to find the key. In doubt ask whoever runs this installation.",

  waiting: "Waiting for the first token…",
  scoring: "Scoring…",
  generating: "Generating…",
  announceStart: "Generating.",
  announceEnd: (tokens, words) => `Finished after ${counted(tokens)}. ${words}`,
  announceStopped: (tokens) => `Stopped after ${counted(tokens)}. The text is kept.`,

  endings: {
    stop: "The model ended here: it chose to, or came to a stop sequence.",
    length: "Stopped at max_tokens. The text may go on.",
    content_filter: "Ended by the server's content filter.",
    stopped: "Stopped by you. What came is kept.",
    failed: "Broken off. What came is kept.",
    score: "Scored: every token has its probability.",
    unknown: "Ended.",
  },

  figures: {
    tokens: "tokens",
    token: "token",
    rate: "tokens a second",
    first: "to the first token",
    mean: "mean logprob",
    perplexity: "perplexity",
    request: "request",
  },

  legendAuthor: { human: "yours", model: "the model's" },
  legendUnknown: "Generate or score a text to see its probabilities.",
  legendBound: {
    probability: (bounds) => [`≥ ${bounds[0]}`, ...bounds.slice(1).map((bound) => `≥ ${bound}`), "less"],
    rank: () => ["1st", "2nd", "3rd", "4th–5th", "later"],
    surprise: (bounds) => [...bounds.map((bound) => `≤ ${bound}`), "more"],
  },

  popover: {
    probability: "Probability",
    logprob: "Logprob",
    rank: "Rank",
    later: (rank) => `${rank} or later`,
    covered: "Covered",
    other: "all others",
    first: "The first token of a text has no probability: nothing comes before it.",
    none: "No alternatives came with this token. Set logprobs to 1 or more.",
    pick: (label) => `Go on with ${label} instead`,
    close: "Close",
    heading: "Alternatives",
  },

  budget: (used, wanted, context) =>
    `about ${whole.format(used)} in the text + ${whole.format(wanted)} to come, of ${whole.format(context)} tokens`,
  budgetUnknown: (used, wanted) => `about ${whole.format(used)} in the text + ${whole.format(wanted)} to come`,
  budgetOver: "More than the model can take: shorten the text or lower max_tokens.",

  paramDefault: "default",
  paramReset: (name) => `Reset ${name}`,
  stopAdd: "Add",
  stopPlaceholder: "\\n for a new line",
  stopRemove: (text) => `Remove stop sequence ${text}`,
  random: "random",

  failure: {
    who: { you: "You can fix this.", admin: "Whoever runs this installation can fix this.", wait: "This usually passes." },
    request: "Request",
    details: "Copy details",
    dismiss: "Dismiss",
    retry: "Try again",
    retryIn: (seconds) => `Trying again in ${seconds} s`,
    cut: "Cut the beginning of the text",
  },

  versionName: (index) => `Version ${whole.format(index + 1)}`,

  help: [
    ["Ctrl + Enter", "Generate (⌘ + Enter on a Mac)"],
    ["Esc", "Stop; close what is open"],
    ["Alt + ← / →", "One step back or forward"],
    ["Alt + ↑ / ↓", "Previous or next version"],
    ["Alt + Enter", "Alternatives for the token at the cursor"],
    ["Alt + 1 … 9", "Go on with that alternative"],
    ["Ctrl + Z / Y", "Undo and redo typing, in the text"],
    ["g", "Generate", "single"],
    ["r", "Regenerate", "single"],
    ["t", "Go to the text", "single"],
    ["?", "This list", "single"],
  ],

  server: (version, count) => {
    const models = count === 0 ? "" : count === 1 ? "1 model served" : `${whole.format(count)} models served`;
    return [version ? `OpenAISLE ${version}` : "", models].filter(Boolean).join(" · ");
  },
};

/**
 * An error in words: what happened, what to do about it, and who can do it.
 *
 * @param {import("./api.js").ApiError} error
 * @returns {{title: string, advice: string, who: "you"|"admin"|"wait", action: null|"key"|"cut"|"retry"}}
 */
export function explain(error) {
  const say = (title, advice, who, action = null) => ({ title, advice, who, action });
  switch (error.kind) {
    case "network":
      return say("The server cannot be reached.", "Check your connection, then try again. The text on this page is safe.", "wait", "retry");
    case "cut":
      return say("The answer broke off.", "The connection ended before the model did. What came is kept: generate again to go on from here.", "wait", "retry");
    case "stream":
      return say("The server failed while it was writing.", "What came is kept. Generate again to go on from here.", "wait", "retry");
    case "frame":
      return say("The server sent something that is no event.", "Something on the way may change the stream. The details show what came.", "admin");
  }
  switch (error.status) {
    case 401:
      return say("The key was not accepted.", "Enter a valid key under “Key”.", "you", "key");
    case 403:
      return say("This key may not use this model.", "Choose another model, or ask for access.", "admin");
    case 404:
      return error.code === "model_not_found"
        ? say("This model is not served.", "Choose another model.", "you")
        : say("The server does not know this address.", "The page and the API may be at different addresses: check how they are proxied.", "admin");
    case 400:
      return error.code === "context_length_exceeded"
        ? say("The text is too long for this model.", contextAdvice(error.message), "you", "cut")
        : say("The request was refused.", error.param ? `Check ${error.param}.` : "Check the parameters.", "you");
    case 413:
      return say("The text is larger than the server takes.", "Shorten it.", "you", "cut");
    case 429:
      return error.code === "insufficient_quota"
        ? say("This key's quota is used up.", "Ask for more, or use another key.", "admin")
        : say("Too many requests just now.", "The request is sent again when the server allows it.", "wait", "retry");
    case 503:
      return say("The model is not ready.", "It may be loading, or starting anew. The request is sent again by itself.", "wait", "retry");
    case 504:
      return say("The model did not answer in time.", "Try again, or ask for fewer tokens.", "wait", "retry");
  }
  return error.status >= 500
    ? say("The server failed.", "Try again. If it stays, pass the details on.", "admin", "retry")
    : say("The request was refused.", "The details say what the server wrote.", "you");
}

/** OpenAI's sentence names the numbers: "... is 2048 tokens, however you requested 2100 tokens (2000 in ...". */
function contextAdvice(message) {
  const numbers = /(\d+) tokens.*requested (\d+) tokens/.exec(message);
  if (!numbers) return "Shorten the text or lower max_tokens.";
  const [context, asked] = numbers.slice(1).map(Number);
  return `It takes ${whole.format(context)} tokens, and this needs ${whole.format(asked)}: shorten the text or lower max_tokens by ${whole.format(asked - context)}.`;
}
