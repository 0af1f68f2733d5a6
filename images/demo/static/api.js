/** The HTTP side: models, completions, the server's limits. Knows nothing of the page. */
import { SseReader } from "./sse.js";

/** What went wrong, with all that the server said about it. */
export class ApiError extends Error {
  /**
   * @param {"http"|"network"|"cut"|"stream"|"frame"} kind "http": an error status; "network": no
   *   answer at all; "cut": a stream that ended without its end; "stream": an error inside a
   *   stream; "frame": an event that is no JSON
   * @param {object} details
   */
  constructor(kind, { message, status = null, code = null, param = null, requestId = null, retryAfterS = null }) {
    super(message);
    Object.assign(this, { kind, status, code, param, requestId, retryAfterS });
  }
}

export class Api {
  /** @param {URL} root where the page lies; the API is below it, whatever the path */
  constructor(root) {
    this.root = root;
    this.base = new URL("v1/", root);
  }

  /** @returns {Promise<object[]>} the models that this key may use */
  async models(key, signal) {
    const response = await this.#fetch(new URL("models", this.base), { headers: authorization(key), signal });
    return (await response.json()).data ?? [];
  }

  /**
   * What the OpenAPI document says, as far as the page cares.
   *
   * @returns {Promise<{schema: object, version: string|null}>} the schema of a completion request
   *   and the server's version; {} and null without a document
   */
  async description() {
    try {
      const response = await fetch(new URL("openapi.json", this.root));
      const { components, info } = await response.json();
      return { schema: components.schemas.CreateCompletionRequest, version: info?.version ?? null };
    } catch {
      return { schema: {}, version: null };
    }
  }

  /** @returns {Promise<object>} the page's configuration, {} without one */
  async pageConfig() {
    try {
      const response = await fetch(new URL("config.json", this.root));
      return response.ok ? await response.json() : {};
    } catch {
      return {};
    }
  }

  /** @returns {Promise<{answer: object, requestId: string|null}>} */
  async complete(body, key, signal) {
    const response = await this.#fetch(new URL("completions", this.base), post(body, key, signal));
    return { answer: await response.json(), requestId: response.headers.get("x-request-id") };
  }

  /**
   * Streams a completion: first `{requestId}`, then each chunk as `{chunk}`. Ends normally only after
   * the server's own end mark; everything else throws an ApiError. Aborting `signal` throws an AbortError.
   */
  async *stream(body, key, signal) {
    const response = await this.#fetch(new URL("completions", this.base), post(body, key, signal));
    const requestId = response.headers.get("x-request-id");
    yield { requestId };
    const reader = response.body.getReader();
    const events = new SseReader();
    try {
      for (;;) {
        const { done, value } = await reader.read().catch((error) => {
          if (signal.aborted) throw error;
          throw new ApiError("cut", { message: String(error.message ?? error), requestId });
        });
        if (done) throw new ApiError("cut", { message: "", requestId });
        for (const data of events.push(value)) {
          if (data.startsWith("[DONE]")) return;
          const chunk = parseFrame(data, requestId);
          if (chunk.error) throw streamError(chunk.error, requestId);
          yield { chunk };
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  async #fetch(url, options) {
    let response;
    try {
      response = await fetch(url, { cache: "no-store", credentials: "omit", ...options });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiError("network", { message: String(error.message ?? error) });
    }
    if (!response.ok) throw await httpError(response);
    return response;
  }
}

function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

function post(body, key, signal) {
  const headers = { ...authorization(key), "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body), signal };
}

function parseFrame(data, requestId) {
  try {
    return JSON.parse(data);
  } catch {
    throw new ApiError("frame", { message: data.slice(0, 400), requestId });
  }
}

function streamError(error, requestId) {
  const { message = "", code = null, param = null } = error;
  return new ApiError("stream", { message, code, param, requestId });
}

async function httpError(response) {
  const text = await response.text().catch(() => "");
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // A proxy on the way answered in its own words.
  }
  return new ApiError("http", {
    message: error.message ?? (text.startsWith("<") ? response.statusText : text.slice(0, 400)),
    status: response.status,
    code: error.code ?? null,
    param: error.param ?? null,
    requestId: response.headers.get("x-request-id"),
    retryAfterS: retryAfter(response.headers.get("retry-after")),
  });
}

/** Seconds from a Retry-After header, which holds seconds or a date. */
function retryAfter(value) {
  if (value === null) return null;
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}
