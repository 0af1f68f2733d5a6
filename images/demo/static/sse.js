/**
 * Server-sent events from bytes as they arrive, however they are cut: a line or a UTF-8 character
 * that is not complete yet waits for the next piece.
 */
export class SseReader {
  #decoder = new TextDecoder();
  #line = "";
  #data = [];
  #sawCarriageReturn = false;

  /**
   * @param {Uint8Array} bytes
   * @returns {string[]} the data of each event that became complete
   */
  push(bytes) {
    const events = [];
    let text = this.#decoder.decode(bytes, { stream: true });
    if (this.#sawCarriageReturn && text.startsWith("\n")) text = text.slice(1);
    if (text) this.#sawCarriageReturn = text.endsWith("\r");
    const lines = (this.#line + text).split(/\r\n|\n|\r/);
    this.#line = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return events;
  }
}
