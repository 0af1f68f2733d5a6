/**
 * A text with its model and parameters as a link to this page, and back. All of it stands behind the
 * #, which no browser sends to a server. A key is never in it, and opening it asks no model.
 */
import { PARAMS, defaultParams } from "./params.js";

/** Characters of a link that chats, mails and address bars carry. */
const LONGEST = 8192;
const LONGEST_TEXT = 200_000;

/** @returns {Promise<string|null>} null where the text is too long for a link */
export async function writeLink(root, { model, text, params }) {
  const defaults = defaultParams();
  const changed = Object.fromEntries(Object.entries(params).filter(([name, value]) => value !== defaults[name]));
  if (text.length > LONGEST_TEXT) return null;
  const packed = await through(new CompressionStream("deflate-raw"), JSON.stringify({ model, text, params: changed }));
  if (packed.length > LONGEST) return null;
  const link = new URL(`#v=1&d=${toBase64Url(packed)}`, root).href;
  return link.length <= LONGEST ? link : null;
}

/** @returns {Promise<object|null>} {model, text, params}; null where the address is no such link */
export async function readLink(hash) {
  const fields = new URLSearchParams(hash.slice(1));
  if (fields.get("v") !== "1" || hash.length > LONGEST) return null;
  try {
    const bytes = await through(new DecompressionStream("deflate-raw"), fromBase64Url(fields.get("d") ?? ""));
    const { model, text, params } = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof text !== "string" || text.length > LONGEST_TEXT) return null;
    return { model: typeof model === "string" ? model : "", text, params: usable(params ?? {}) };
  } catch {
    return null; // Cut on its way, or written by hand.
  }
}

/** All parameters: the link's where they can be, else the page's own. */
function usable(given) {
  const params = defaultParams();
  for (const { name, kind, api, min, max } of PARAMS) {
    const value = given[name];
    const isNothing = value === null && api === null;
    const isList = kind === "list" && Array.isArray(value) && value.every((item) => typeof item === "string" && item);
    const isNumber = kind !== "list" && Number.isFinite(value) && value >= min && value <= max;
    if (isNothing || isList || isNumber) params[name] = kind === "integer" && isNumber ? Math.round(value) : value;
  }
  return params;
}

async function through(stream, content) {
  return new Uint8Array(await new Response(new Blob([content]).stream().pipeThrough(stream)).arrayBuffer());
}

function toBase64Url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}
