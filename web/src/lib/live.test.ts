import { beforeEach, describe, expect, test } from "vitest";
import type { FarmEvent } from "./events";
import { LiveValue, type Reading, type Recipe } from "./live";
import { settled, TestClock } from "../testing/clock";

const log = (taskId: string): FarmEvent => ({ kind: "tasklog", taskId });

/** A value whose reads end when the test says so. Events add their task's name to it. */
class Bench {
  readonly clock = new TestClock();
  readonly published: Reading<string>[] = [];
  readonly reads: { resolve(value: string): void; reject(error: Error): void; signal: AbortSignal }[] = [];
  readonly live: LiveValue<string>;

  constructor(extra: Partial<Recipe<string>> = {}) {
    const recipe: Recipe<string> = {
      read: (signal) => new Promise((resolve, reject) => this.reads.push({ resolve, reject, signal })),
      apply: (value, event) =>
        event.kind !== "tasklog" || value.includes(event.taskId) ? value : `${value}+${event.taskId}`,
      ...extra,
    };
    this.live = new LiveValue(recipe, this.clock, (reading) => this.published.push(reading));
  }

  get shown(): string | undefined {
    return this.published.at(-1)?.value;
  }

  async answer(nth: number, value: string): Promise<void> {
    this.reads[nth]?.resolve(value);
    await settled();
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

test("a read is published", async () => {
  bench.live.sync();
  await bench.answer(0, "a");
  expect(bench.published).toEqual([{ value: "a", error: undefined }]);
});

test("an event that came during the first read is applied to its result", async () => {
  bench.live.sync();
  bench.live.handle(log("x"));
  expect(bench.published).toEqual([]);
  await bench.answer(0, "a");
  expect(bench.shown).toBe("a+x");
});

test("an answer that was on its way does not undo an event", async () => {
  bench.live.sync();
  await bench.answer(0, "a");
  bench.live.sync();
  bench.live.handle(log("x"));
  expect(bench.shown).toBe("a+x");
  await bench.answer(1, "a");
  expect(bench.shown).toBe("a+x");
});

test("an event of no concern publishes nothing", async () => {
  bench.live.sync();
  await bench.answer(0, "a");
  bench.live.handle({ kind: "status", status: "idle" });
  expect(bench.published).toHaveLength(1);
});

describe("reads", () => {
  test("never run side by side, and many wishes during one make one more", async () => {
    for (let i = 0; i < 5; i++) bench.live.sync();
    expect(bench.reads).toHaveLength(1);
    await bench.answer(0, "a");
    expect(bench.reads).toHaveLength(2);
    await bench.answer(1, "b");
    expect(bench.reads).toHaveLength(2);
    expect(bench.shown).toBe("b");
  });

  test("keep the gap", async () => {
    bench = new Bench({ gap: 1000 });
    bench.live.sync();
    await bench.answer(0, "a");
    bench.clock.advance(400);
    bench.live.sync();
    bench.live.sync();
    expect(bench.reads).toHaveLength(1);
    bench.clock.advance(600);
    expect(bench.reads).toHaveLength(2);
    await bench.answer(1, "b");
    expect(bench.clock.pending).toBe(0);
  });

  test("follow an event that tells too little", async () => {
    bench = new Bench({
      apply: (value, _event, reread) => {
        reread();
        return value;
      },
    });
    bench.live.sync();
    await bench.answer(0, "a");
    bench.live.handle(log("x"));
    expect(bench.reads).toHaveLength(2);
  });

  test("are given what was known before", async () => {
    const known: (string | undefined)[] = [];
    bench = new Bench({
      read: async (_signal, previous) => {
        known.push(previous);
        return "a";
      },
    });
    bench.live.sync();
    await settled();
    bench.live.sync();
    await settled();
    expect(known).toEqual([undefined, "a"]);
  });
});

test("a failed read keeps the value and says why; the next one clears it", async () => {
  bench.live.sync();
  await bench.answer(0, "a");
  bench.live.sync();
  bench.reads[1]?.reject(new Error("away"));
  await settled();
  expect(bench.published.at(-1)).toEqual({ value: "a", error: new Error("away") });
  bench.live.sync();
  await bench.answer(2, "b");
  expect(bench.published.at(-1)).toEqual({ value: "b", error: undefined });
});

test("an event during a read that fails is kept all the same", async () => {
  bench.live.sync();
  await bench.answer(0, "a");
  bench.live.sync();
  bench.live.handle(log("x"));
  bench.reads[1]?.reject(new Error("away"));
  await settled();
  expect(bench.shown).toBe("a+x");
});

test("after closing nothing is read or published, and what runs is aborted", async () => {
  bench = new Bench({ gap: 1000 });
  bench.live.sync();
  bench.live.close();
  expect(bench.reads[0]?.signal.aborted).toBe(true);
  await bench.answer(0, "a");
  bench.live.sync();
  bench.live.handle(log("x"));
  bench.clock.advance(5000);
  expect(bench.published).toEqual([]);
  expect(bench.reads).toHaveLength(1);
});
