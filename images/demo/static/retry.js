/** Sends a request again after a while, with a countdown that the writer sees and can cut short. */

const DEFAULT_S = 3;
const MOST = 40;

export class Retry {
  #send;
  #onTick;
  #attempts = 0;
  #waiting = null;

  /**
   * @param {(attempt: object) => void} send sends an attempt again
   * @param {(seconds: number) => void} onTick called each second that is left to wait
   */
  constructor(send, onTick) {
    this.#send = send;
    this.#onTick = onTick;
  }

  /** Seconds that are left; null when nothing is to be sent again. */
  get seconds() {
    return this.#waiting?.seconds ?? null;
  }

  /** Begins to wait, unless it was tried often enough. @returns {boolean} whether it waits */
  schedule(attempt, afterS) {
    if (++this.#attempts > MOST) return false;
    const seconds = Math.max(1, Math.ceil(afterS ?? DEFAULT_S));
    this.#waiting = { seconds, attempt, timer: setInterval(() => this.#tick(), 1000) };
    return true;
  }

  #tick() {
    this.#waiting.seconds -= 1;
    if (this.#waiting.seconds > 0) this.#onTick(this.#waiting.seconds);
    else this.runNow();
  }

  /** Sends what waits. @returns {boolean} whether there was something */
  runNow() {
    if (!this.#waiting) return false;
    const { attempt } = this.#waiting;
    this.cancel();
    this.#send(attempt);
    return true;
  }

  cancel() {
    clearInterval(this.#waiting?.timer);
    this.#waiting = null;
  }

  /** A request got through, or the writer wants another: attempts are counted anew. */
  forget() {
    this.#attempts = 0;
  }
}
