import { beforeEach, describe, expect, test } from "vitest";
import type { FarmEvent } from "./events";
import { EventStream, retryDelay, type Source } from "./stream";
import { settled, TestClock } from "../testing/clock";

/** Stands in for the browser's EventSource. */
class ScriptedSource implements Source {
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  closed = false;
  readonly topics: readonly string[];
  readonly #listeners = new Map<string, (event: MessageEvent<string>) => void>();

  constructor(topics: readonly string[]) {
    this.topics = topics;
  }

  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void {
    this.#listeners.set(type, listener);
  }

  close(): void {
    this.closed = true;
  }

  opens(): void {
    this.onopen?.(new Event("open"));
  }

  breaks(): void {
    this.onerror?.(new Event("error"));
  }

  says(type: string, data: unknown): void {
    this.#listeners.get(type)?.(new MessageEvent(type, { data: JSON.stringify(data) }));
  }
}

/** Counts what a subscriber is told. */
class Reader {
  syncs = 0;
  readonly events: FarmEvent[] = [];
  readonly topics: readonly string[];

  constructor(...topics: string[]) {
    this.topics = topics;
  }

  onSync(): void {
    this.syncs++;
  }

  onEvent(event: FarmEvent): void {
    this.events.push(event);
  }
}

let clock: TestClock;
let sources: ScriptedSource[];
let stream: EventStream;

beforeEach(() => {
  clock = new TestClock();
  sources = [];
  stream = new EventStream({
    open(topics) {
      const source = new ScriptedSource(topics);
      sources.push(source);
      return source;
    },
    clock,
    random: () => 1,
  });
});

function latest(): ScriptedSource {
  const source = sources.at(-1);
  if (source === undefined) throw new Error("No source was opened.");
  return source;
}

async function subscribed(...readers: Reader[]): Promise<void> {
  for (const reader of readers) stream.subscribe(reader);
  await settled();
}

test("all subscribers share one source for the union of their topics", async () => {
  await subscribed(new Reader("jobs", "job:1"), new Reader("status", "jobs"));
  expect(sources).toHaveLength(1);
  expect(latest().topics).toEqual(["job:1", "jobs", "status"]);
});

test("state is read when the source opens, not before", async () => {
  const reader = new Reader("jobs");
  await subscribed(reader);
  expect(reader.syncs).toBe(0);
  expect(stream.connection).toEqual({ state: "connecting" });
  latest().opens();
  expect(reader.syncs).toBe(1);
  expect(stream.connection).toEqual({ state: "live" });
});

test("an event reaches everybody, and one that cannot be read makes everybody read anew", async () => {
  const [a, b] = [new Reader("status"), new Reader("jobs")];
  await subscribed(a, b);
  latest().opens();
  latest().says("status", { status: "idle" });
  expect(a.events).toEqual([{ kind: "status", status: "idle" }]);
  expect(b.events).toEqual(a.events);
  latest().says("job", { nonsense: true });
  expect([a.syncs, b.syncs]).toEqual([2, 2]);
});

test("resync makes everybody read anew", async () => {
  const reader = new Reader("jobs");
  await subscribed(reader);
  latest().opens();
  latest().says("resync", {});
  expect(reader.syncs).toBe(2);
});

describe("changing subscriptions", () => {
  test("one more subscriber of known topics costs no new source and is told to read", async () => {
    const [first, second] = [new Reader("jobs"), new Reader("jobs")];
    await subscribed(first);
    latest().opens();
    await subscribed(second);
    expect(sources).toHaveLength(1);
    expect([first.syncs, second.syncs]).toEqual([1, 1]);
  });

  test("leaving one page for another makes one new source and closes the old one", async () => {
    const leave = stream.subscribe(new Reader("jobs"));
    await settled();
    const old = latest();
    old.opens();
    leave();
    const next = new Reader("workers");
    await subscribed(next);
    expect(old.closed).toBe(true);
    expect(sources).toHaveLength(2);
    expect(latest().topics).toEqual(["workers"]);
    latest().opens();
    expect(next.syncs).toBe(1);
    expect(stream.connection.state).toBe("live");
  });

  test("the last subscriber takes the source along", async () => {
    const leave = stream.subscribe(new Reader("jobs"));
    await settled();
    leave();
    await settled();
    expect(latest().closed).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

describe("a manager that goes away", () => {
  test("is tried again until it answers, and then everything is read anew", async () => {
    const reader = new Reader("jobs");
    await subscribed(reader);
    latest().opens();
    const away = clock.now();
    latest().breaks();
    expect(stream.connection).toEqual({ state: "away", since: away, retryAt: away + 500 });
    expect(reader.syncs).toBe(2);
    clock.advance(499);
    expect(sources).toHaveLength(1);
    clock.advance(1);
    expect(sources).toHaveLength(2);
    latest().breaks();
    expect(stream.connection).toEqual({ state: "away", since: away, retryAt: away + 500 + 1000 });
    clock.advance(1000);
    latest().opens();
    expect(stream.connection).toEqual({ state: "live" });
    expect(reader.syncs).toBe(4);
  });

  test("is away since no moment, when it never answered", async () => {
    await subscribed(new Reader("jobs"));
    latest().breaks();
    expect(stream.connection).toEqual({ state: "away", since: undefined, retryAt: clock.now() + 500 });
  });

  test("the wait starts small again after a success", async () => {
    await subscribed(new Reader("jobs"));
    for (let i = 0; i < 6; i++) {
      latest().breaks();
      clock.advance(10_000);
    }
    latest().opens();
    latest().breaks();
    expect(stream.connection).toMatchObject({ state: "away", retryAt: clock.now() + 500 });
  });

  test("one failure is one wait, although the source reports it twice", async () => {
    await subscribed(new Reader("jobs"));
    const source = latest();
    source.breaks();
    source.breaks();
    expect(clock.pending).toBe(1);
  });

  test("retryNow does not wait, and leaves no second try behind", async () => {
    await subscribed(new Reader("jobs"));
    latest().breaks();
    stream.retryNow();
    expect(sources).toHaveLength(2);
    clock.advance(60_000);
    expect(sources).toHaveLength(2);
  });

  test("retryNow leaves a live source alone", async () => {
    await subscribed(new Reader("jobs"));
    latest().opens();
    stream.retryNow();
    expect(sources).toHaveLength(1);
  });
});

describe("a page that nobody sees", () => {
  test("holds no source, and reads anew when it is seen again", async () => {
    const reader = new Reader("jobs");
    await subscribed(reader);
    latest().opens();
    stream.setVisible(false);
    await settled();
    expect(latest().closed).toBe(true);
    stream.setVisible(true);
    await settled();
    expect(sources).toHaveLength(2);
    latest().opens();
    expect(reader.syncs).toBe(2);
  });

  test("does not try again either", async () => {
    await subscribed(new Reader("jobs"));
    latest().breaks();
    stream.setVisible(false);
    await settled();
    stream.retryNow();
    clock.advance(60_000);
    expect(sources).toHaveLength(1);
  });
});

test("watchers hear every change until they leave", async () => {
  const seen: string[] = [];
  const leave = stream.watch(() => seen.push(stream.connection.state));
  await subscribed(new Reader("jobs"));
  latest().opens();
  latest().breaks();
  leave();
  clock.advance(500);
  latest().opens();
  expect(seen).toEqual(["live", "away"]);
});

test("retryDelay grows, stays bounded and is never less than half", () => {
  for (let attempt = 0; attempt < 40; attempt++) {
    const most = retryDelay(attempt, 1);
    expect(most).toBeLessThanOrEqual(10_000);
    expect(retryDelay(attempt, 0)).toBe(most / 2);
    expect(retryDelay(attempt + 1, 1)).toBeGreaterThanOrEqual(most);
  }
});
