/**
 * From the API's tokens to pieces of text. The only place where the API's offsets, counted in code
 * points, meet JavaScript's strings, counted in UTF-16 units.
 *
 * A token here is {label, logprob, top, asked}: the token as the API names it, its log-probability
 * (null for the first token of a text), the likeliest tokens as [label, logprob] pairs, best first,
 * and how many of those were asked for. The token itself may be one more.
 *
 * A segment is {text, origin, tokens}: a piece of text, "human" or "model" as its origin, and the
 * tokens that make it up, null where none are known. Several tokens share a segment where one
 * character is split between them.
 */

/** Cuts the texts of one choice into segments. The segments' texts joined are the texts given. */
export class Aligner {
  #origin;
  #asked;
  #base = null;
  /** UTF-16 text that has come and belongs to no segment yet, and the code points before it. */
  #text = "";
  #start = 0;
  /** Tokens that wait for the text that they are a part of, with their offsets. */
  #waiting = [];

  /**
   * @param {"human"|"model"} origin
   * @param {number} asked how many of the likeliest tokens were asked for
   */
  constructor(origin, asked) {
    this.#origin = origin;
    this.#asked = asked;
  }

  /**
   * @param {string} text the next piece of the choice's text
   * @param {object|null} logprobs the piece's legacy logprobs object
   * @returns {object[]} segments that are complete
   */
  push(text, logprobs) {
    this.#text += text;
    const offsets = logprobs?.text_offset ?? [];
    if (offsets.length) this.#base ??= offsets[0];
    offsets.forEach((offset, i) => {
      this.#waiting.push({ offset: offset - this.#base, token: token(logprobs, i, this.#asked) });
    });
    return this.#waiting.length ? this.#cut() : this.flush();
  }

  /** @returns {object[]} what is left at the end of the text */
  flush() {
    return this.#text ? [this.#take(countCodePoints(this.#text), this.#waiting.length)] : [];
  }

  #cut() {
    const segments = [];
    for (;;) {
      const available = this.#start + countCodePoints(this.#text);
      // The first waiting token begins a segment; text before it is nobody's.
      const next = this.#waiting.findIndex(({ offset }) => offset > this.#start);
      const end = next < 0 ? available : this.#waiting[next].offset;
      if (end > available || end === this.#start) return segments;
      segments.push(this.#take(end - this.#start, next < 0 ? this.#waiting.length : next));
      if (next < 0) return segments;
    }
  }

  #take(width, tokenCount) {
    const cut = codePointIndex(this.#text, width);
    const text = this.#text.slice(0, cut);
    this.#text = this.#text.slice(cut);
    this.#start += width;
    const tokens = this.#waiting.splice(0, tokenCount).map(({ token }) => token);
    return { text, origin: this.#origin, tokens: tokens.length ? tokens : null };
  }
}

function token(logprobs, i, asked) {
  const top = Object.entries(logprobs.top_logprobs?.[i] ?? {}).sort((a, b) => b[1] - a[1]);
  return { label: logprobs.tokens[i], logprob: logprobs.token_logprobs?.[i] ?? null, top, asked };
}

export function countCodePoints(text) {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** @returns {number} the UTF-16 index after `count` code points */
export function codePointIndex(text, count) {
  let index = 0;
  for (const character of text) {
    if (count-- <= 0) break;
    index += character.length;
  }
  return index;
}

/** @returns {string|null} the text that a token's label stands for, null for part of a character */
export function labelText(label) {
  return label.startsWith("bytes:") || label === "</s>" ? null : label;
}

/** The scales by which text is coloured: each level is from `from` on, upwards or downwards. */
export const SCALES = {
  probability: { bounds: [0.9, 0.5, 0.2, 0.05], more: false, format: (bound) => `${Math.round(bound * 100)} %` },
  rank: { bounds: [1, 2, 3, 5], more: true, format: (bound) => String(bound) },
  surprise: { bounds: [0.5, 1.5, 3, 6], more: true, format: (bound) => `${bound} bit` },
};

/** A token's figures; `rank` is a lower bound where `rankIsExact` is false. */
export function figures(token) {
  const probability = Math.exp(token.logprob);
  const rank = 1 + token.top.filter(([, logprob]) => logprob > token.logprob).length;
  const covered = token.top.reduce((sum, [, logprob]) => sum + Math.exp(logprob), 0);
  return {
    probability,
    rank,
    rankIsExact: rank <= token.asked,
    surprise: -token.logprob / Math.LN2,
    covered: Math.min(1, covered),
  };
}

/** @returns {number|null} 0 (expected) to 4 (unexpected) on a scale; null where nothing is known */
export function level(segment, scaleName) {
  const scale = SCALES[scaleName];
  const known = (segment.tokens ?? []).filter((token) => token.logprob !== null);
  if (!scale || !known.length) return null;
  const levels = known.map((token) => {
    const value = figures(token)[scaleName];
    const index = scale.bounds.findIndex((bound) => (scale.more ? value <= bound : value >= bound));
    return index < 0 ? scale.bounds.length : index;
  });
  return Math.max(...levels);
}

/** @returns {{count: number, mean: number, perplexity: number}|null} over every token with a log-probability */
export function sequenceFigures(segments) {
  let sum = 0;
  let count = 0;
  for (const segment of segments) {
    for (const { logprob } of segment.tokens ?? []) {
      if (logprob === null) continue;
      sum += logprob;
      count++;
    }
  }
  return count ? { count, mean: sum / count, perplexity: Math.exp(-sum / count) } : null;
}

export function joinText(segments) {
  let text = "";
  for (const segment of segments) text += segment.text;
  return text;
}

/**
 * The segments after an edit: what lies wholly before and after the edited range keeps its tokens
 * (and its identity), the rest becomes the writer's own.
 */
export function editSegments(segments, text) {
  const old = joinText(segments);
  if (old === text) return segments;
  const shared = Math.min(old.length, text.length);
  let before = 0;
  while (before < shared && old[before] === text[before]) before++;
  let after = 0;
  while (after < shared - before && old[old.length - 1 - after] === text[text.length - 1 - after]) after++;

  const head = [];
  let position = 0;
  let index = 0;
  for (; index < segments.length && position + segments[index].text.length <= before; index++) {
    position += segments[index].text.length;
    head.push(segments[index]);
  }
  const tail = [];
  let tailLength = 0;
  for (let i = segments.length - 1; i >= index && tailLength + segments[i].text.length <= after; i--) {
    tailLength += segments[i].text.length;
    tail.unshift(segments[i]);
  }
  const middle = text.slice(position, text.length - tailLength);
  // Typing grows the writer's own piece instead of adding one a key.
  let own = middle;
  if (head.at(-1)?.origin === "human" && !head.at(-1).tokens) own = head.pop().text + own;
  if (tail[0]?.origin === "human" && !tail[0].tokens) own += tail.shift().text;
  return [...head, ...(own ? [{ text: own, origin: "human", tokens: null }] : []), ...tail];
}

/** Text with its blanks and controls visible. */
export function visible(text) {
  return text.replaceAll(" ", "·").replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll("\r", "␍");
}
