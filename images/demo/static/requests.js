/** One request at a time, from its start to its end; what comes in between goes into the state. */
import { ApiError } from "./api.js";
import { Aligner } from "./tokens.js";

export class Requests {
  #api;
  #dispatch;
  #controller = null;
  /** What came since the last frame: segments by choice, and how many tokens. */
  #pieces = new Map();
  #tokens = 0;
  #frame = 0;

  constructor(api, dispatch) {
    this.#api = api;
    this.#dispatch = dispatch;
  }

  /**
   * Sends a request and reads its answer.
   *
   * @param {"generation"|"score"} kind a streamed answer, or one that comes whole
   * @returns {Promise<object>} {ending: "done", reasons, usage}, {ending: "stopped"} or {ending: "failed", error}
   */
  async run(kind, body, key) {
    const { signal } = (this.#controller = new AbortController());
    try {
      const answer = kind === "score" ? await this.#score(body, key, signal) : await this.#stream(body, key, signal);
      return { ending: "done", ...answer };
    } catch (error) {
      if (signal.aborted) return { ending: "stopped" };
      if (!(error instanceof ApiError)) throw error;
      return { ending: "failed", error };
    } finally {
      this.#flush();
      this.#controller = null;
    }
  }

  stop() {
    this.#controller?.abort();
  }

  async #stream(body, key, signal) {
    const request = { ...body, stream: true, stream_options: { include_usage: true } };
    const aligners = new Map();
    const reasons = [];
    let usage = null;
    for await (const { requestId, chunk } of this.#api.stream(request, key, signal)) {
      if (!chunk) {
        this.#dispatch({ type: "run/accepted", requestId });
        continue;
      }
      usage = chunk.usage ?? usage;
      for (const { index, text = "", logprobs = null, finish_reason: reason = null } of chunk.choices ?? []) {
        if (!aligners.has(index)) aligners.set(index, new Aligner("model", body.logprobs ?? 0));
        const tokens = logprobs ? (logprobs.tokens?.length ?? 0) : text ? 1 : 0;
        this.#collect(index, aligners.get(index).push(text, logprobs), tokens);
        if (reason) reasons[index] = reason;
      }
    }
    for (const [index, aligner] of aligners) this.#collect(index, aligner.flush(), 0);
    return { reasons, usage };
  }

  async #score(body, key, signal) {
    const { answer, requestId } = await this.#api.complete(body, key, signal);
    this.#dispatch({ type: "run/accepted", requestId });
    const { text, logprobs, finish_reason: reason } = answer.choices[0];
    const aligner = new Aligner("human", body.logprobs);
    this.#collect(0, [...aligner.push(text, logprobs), ...aligner.flush()], 0);
    return { reasons: [reason], usage: answer.usage ?? null };
  }

  /** Gathers what comes within a frame: the page is painted once a frame, however fast tokens come. */
  #collect(index, segments, tokens) {
    this.#tokens += tokens;
    this.#pieces.set(index, [...(this.#pieces.get(index) ?? []), ...segments]);
    const flush = () => this.#flush();
    this.#frame ||= document.hidden ? setTimeout(flush, 100) : requestAnimationFrame(flush);
  }

  #flush() {
    this.#frame = 0;
    if (!this.#pieces.size) return;
    const action = { type: "run/streamed", pieces: this.#pieces, tokens: this.#tokens, at: performance.now() };
    this.#pieces = new Map();
    this.#tokens = 0;
    this.#dispatch(action);
  }
}
