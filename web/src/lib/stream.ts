// One connection for all events that the page wants. Browsers allow six connections to one origin over HTTP/1.1, all
// tabs together, so each tab holds exactly one stream, and none while nobody sees the tab.

import type { Clock } from "./clock";
import { decodeEvent, EVENT_KINDS, type FarmEvent } from "./events";

/** The part of the browser's EventSource that the stream uses. */
export interface Source {
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface Subscriber {
  topics: readonly string[];
  /** State may have changed unseen: read it anew. Events from this call on are complete. */
  onSync(): void;
  onEvent(event: FarmEvent): void;
}

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  /** No answer since `since`, or never yet; the next try is at `retryAt`. Milliseconds since the epoch. */
  | { state: "away"; since: number | undefined; retryAt: number };

export interface StreamParts {
  /** Opens a stream of events about these topics, which are sorted. */
  open(topics: readonly string[]): Source;
  clock: Clock;
  /** From 0 up to 1, spreads the tries of many browsers after a manager came back. */
  random(): number;
}

const FIRST_RETRY = 500;
const LAST_RETRY = 10_000;

/** Milliseconds to wait before try number `attempt`, from 0: doubling, bounded, and at least half of it random. */
export function retryDelay(attempt: number, random: number): number {
  return Math.min(LAST_RETRY, FIRST_RETRY * 2 ** attempt) * (0.5 + random / 2);
}

/**
 * Keeps one stream open for the union of its subscribers' topics, and opens it again for ever when it breaks.
 * Each opening, each `resync` and each failed try calls `onSync`: what was missed is read anew, and a farm whose
 * stream cannot pass some proxy is still shown, read anew at each try.
 */
export class EventStream {
  readonly #parts: StreamParts;
  readonly #subscribers = new Set<Subscriber>();
  readonly #watchers = new Set<() => void>();
  #unsynced = new Set<Subscriber>();
  #connection: Connection = { state: "connecting" };
  #source: Source | undefined;
  #topics: readonly string[] = [];
  #open = false;
  #visible = true;
  #failures = 0;
  #cancelRetry: (() => void) | undefined;
  #reconciling = false;

  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** Calls `run` at every change of `connection`, until the returned function is called. */
  watch(run: () => void): () => void {
    this.#watchers.add(run);
    return () => this.#watchers.delete(run);
  }

  /** Adds a subscriber, until the returned function is called. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    this.#unsynced.add(subscriber);
    this.#reconcileSoon();
    return () => {
      this.#subscribers.delete(subscriber);
      this.#unsynced.delete(subscriber);
      this.#reconcileSoon();
    };
  }

  /** Tells whether anybody sees the page. An unseen page holds no connection. */
  setVisible(visible: boolean): void {
    if (visible === this.#visible) return;
    this.#visible = visible;
    this.#failures = 0;
    this.#reconcileSoon();
  }

  /** Tries at once instead of when the wait is over. */
  retryNow(): void {
    if (this.#cancelRetry !== undefined) this.#connect();
  }

  // Moving from one page to another ends some subscriptions and begins others; waiting for the end of the current
  // step makes that one new connection at most.
  #reconcileSoon(): void {
    if (this.#reconciling) return;
    this.#reconciling = true;
    queueMicrotask(() => {
      this.#reconciling = false;
      this.#reconcile();
    });
  }

  #reconcile(): void {
    const topics = [...new Set([...this.#subscribers].flatMap((subscriber) => subscriber.topics))].sort();
    if (!this.#visible || topics.length === 0) {
      this.#topics = [];
      this.#disconnect();
      return;
    }
    const same = topics.length === this.#topics.length && topics.every((topic, i) => topic === this.#topics[i]);
    if (!same) {
      this.#topics = topics;
      this.#connect();
    } else if (this.#open) {
      this.#sync(this.#unsynced);
    }
  }

  #connect(): void {
    this.#disconnect();
    const source = this.#parts.open(this.#topics);
    this.#source = source;
    source.onopen = () => {
      this.#open = true;
      this.#failures = 0;
      this.#move({ state: "live" });
      this.#sync(this.#subscribers);
    };
    source.onerror = () => this.#fail();
    source.addEventListener("resync", () => this.#sync(this.#subscribers));
    for (const kind of EVENT_KINDS) {
      source.addEventListener(kind, (message) => this.#deliver(decodeEvent(kind, message.data)));
    }
  }

  #disconnect(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#open = false;
    if (this.#source === undefined) return;
    this.#source.onopen = null;
    this.#source.onerror = null;
    this.#source.close();
    this.#source = undefined;
  }

  // The browser's own reconnecting gives up for good on a wrong status, such as a proxy's 502 while the manager
  // restarts, so every failure closes the source and the waiting is done here.
  #fail(): void {
    this.#disconnect();
    const { clock, random } = this.#parts;
    const delay = retryDelay(this.#failures++, random());
    const since = this.#awaySince();
    this.#cancelRetry = clock.after(delay, () => this.#connect());
    this.#move({ state: "away", since, retryAt: clock.now() + delay });
    this.#sync(this.#subscribers);
  }

  #awaySince(): number | undefined {
    switch (this.#connection.state) {
      case "connecting":
        return undefined;
      case "live":
        return this.#parts.clock.now();
      case "away":
        return this.#connection.since;
    }
  }

  #deliver(event: FarmEvent | undefined): void {
    // An event that cannot be read still says that something changed.
    if (event === undefined) this.#sync(this.#subscribers);
    else for (const subscriber of [...this.#subscribers]) subscriber.onEvent(event);
  }

  #sync(subscribers: ReadonlySet<Subscriber>): void {
    const due = [...subscribers];
    this.#unsynced = new Set();
    for (const subscriber of due) subscriber.onSync();
  }

  #move(connection: Connection): void {
    this.#connection = connection;
    for (const run of [...this.#watchers]) run();
  }
}
