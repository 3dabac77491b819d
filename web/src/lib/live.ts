// A value that is read once and then kept right by events.

import type { Clock } from "./clock";
import type { FarmEvent } from "./events";

export interface Recipe<T> {
  /** Reads the whole value; `previous` is what was known before. */
  read(signal: AbortSignal, previous: T | undefined): Promise<T>;
  /**
   * The value after an event; the same object when the event does not concern it. `reread` asks for another `read`
   * where the event tells too little. Applying an event twice must give what applying it once gives.
   */
  apply?(value: T, event: FarmEvent, reread: () => void): T;
  /** Least time from the start of one read to the start of the next, in milliseconds; absent means none. */
  gap?: number;
}

export interface Reading<T> {
  /** Undefined until the first read has succeeded. */
  value: T | undefined;
  /** Why the latest read failed; undefined when it succeeded. The value before it is kept. */
  error: Error | undefined;
}

const MOST_HELD_EVENTS = 10_000;

/**
 * Holds one value. At most one read runs at a time, and one more follows when it was asked for meanwhile. Events that
 * come in during a read are applied now and once more on top of its result, so that an answer which was on its way
 * never undoes what an event said.
 */
export class LiveValue<T> {
  readonly #recipe: Recipe<T>;
  readonly #clock: Clock;
  readonly #changed: (reading: Reading<T>) => void;
  readonly #abort = new AbortController();
  #reading: Reading<T> = { value: undefined, error: undefined };
  #held: FarmEvent[] | undefined;
  #again = false;
  #lastStart = Number.NEGATIVE_INFINITY;
  #cancelWait: (() => void) | undefined;

  constructor(recipe: Recipe<T>, clock: Clock, changed: (reading: Reading<T>) => void) {
    this.#recipe = recipe;
    this.#clock = clock;
    this.#changed = changed;
  }

  /** Reads the value anew, now or as soon as the gap allows. */
  sync(): void {
    if (this.#abort.signal.aborted || this.#cancelWait !== undefined) return;
    if (this.#held !== undefined) {
      this.#again = true;
      return;
    }
    const wait = this.#lastStart + (this.#recipe.gap ?? 0) - this.#clock.now();
    if (wait <= 0) {
      void this.#read();
      return;
    }
    this.#cancelWait = this.#clock.after(wait, () => {
      this.#cancelWait = undefined;
      void this.#read();
    });
  }

  handle(event: FarmEvent): void {
    if (this.#abort.signal.aborted) return;
    if (this.#held !== undefined) this.#hold(event);
    const { value } = this.#reading;
    if (value === undefined) return;
    const next = this.#apply(value, event);
    if (next !== value) this.#publish({ ...this.#reading, value: next });
  }

  /** Ends everything that is under way. Nothing is published after this. */
  close(): void {
    this.#abort.abort();
    this.#cancelWait?.();
    this.#cancelWait = undefined;
  }

  async #read(): Promise<void> {
    this.#held = [];
    this.#lastStart = this.#clock.now();
    let next: Reading<T>;
    try {
      let value: T = await this.#recipe.read(this.#abort.signal, this.#reading.value);
      for (const event of this.#held) value = this.#apply(value, event);
      next = { value, error: undefined };
    } catch (cause) {
      next = { ...this.#reading, error: cause instanceof Error ? cause : new Error(String(cause)) };
    }
    this.#held = undefined;
    if (this.#abort.signal.aborted) return;
    this.#publish(next);
    if (this.#again) {
      this.#again = false;
      this.sync();
    }
  }

  #hold(event: FarmEvent): void {
    if (this.#held === undefined) return;
    if (this.#held.length < MOST_HELD_EVENTS) this.#held.push(event);
    else this.#again = true;
  }

  #apply(value: T, event: FarmEvent): T {
    return this.#recipe.apply?.(value, event, () => this.sync()) ?? value;
  }

  #publish(reading: Reading<T>): void {
    this.#reading = reading;
    this.#changed(reading);
  }
}
