import type { Clock } from "./clock";

/** Hands on the latest of the values it is given, at once when it was quiet, and else once per `gap` milliseconds. */
export class Throttle<T> {
  readonly #gap: number;
  readonly #clock: Clock;
  readonly #out: (value: T) => void;
  #last = Number.NEGATIVE_INFINITY;
  #waiting: { value: T; cancel: () => void } | undefined;

  constructor(gap: number, clock: Clock, out: (value: T) => void) {
    this.#gap = gap;
    this.#clock = clock;
    this.#out = out;
  }

  put(value: T): void {
    if (this.#waiting !== undefined) {
      this.#waiting.value = value;
      return;
    }
    const wait = this.#last + this.#gap - this.#clock.now();
    if (wait <= 0) this.#hand(value);
    else this.#waiting = { value, cancel: this.#clock.after(wait, () => this.#flush()) };
  }

  /** Drops what waits. */
  close(): void {
    this.#waiting?.cancel();
    this.#waiting = undefined;
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.#hand(waiting.value);
  }

  #hand(value: T): void {
    this.#last = this.#clock.now();
    this.#out(value);
  }
}
