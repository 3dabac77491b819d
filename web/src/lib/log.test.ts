import { describe, expect, test } from "vitest";
import { appendLog, LOG_KEPT, LOG_START, openLog, readLogEnd } from "./log";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A log as the manager keeps it, read at most `most` bytes at a time. */
function stored(text: string, most: number) {
  const content = bytes(text);
  return {
    readSize: async () => content.length,
    read: async (from: number) => content.slice(from, from + most),
  };
}

test.each([4, 5, 6, 7, 1000])("text comes out whole when it is read %d bytes at a time", async (most) => {
  const text = "pid=1 > naïve 日本語 🐎 done\n";
  const { readSize, read } = stored(text, most);
  const log = await readLogEnd(undefined, readSize, read);
  expect(log).toEqual({ text, offset: bytes(text).length, cut: false });
});

test("a character in two parts is shown when its end has come", () => {
  const horse = bytes("🐎");
  const half = appendLog(openLog(0), horse.slice(0, 2));
  expect(half).toEqual({ text: "", offset: 0, cut: false });
  expect(appendLog(half, horse).text).toBe("🐎");
});

test("bytes that are no text do not stop the log", () => {
  const log = appendLog(openLog(0), new Uint8Array([0x80, 0x80, 0x80, 0x80, 0x61]));
  expect(log.offset).toBe(5);
  expect(log.text.endsWith("a")).toBe(true);
});

test("nothing new gives the same object", () => {
  const log = appendLog(openLog(0), bytes("a\n"));
  expect(appendLog(log, new Uint8Array())).toBe(log);
});

describe("a long log", () => {
  const line = `${"x".repeat(99)}\n`;

  test("begins near its end, at the start of a line", async () => {
    const text = line.repeat(5000);
    const { readSize, read } = stored(text, 1 << 20);
    const log = await readLogEnd(undefined, readSize, read);
    expect(log.cut).toBe(true);
    expect(log.text.startsWith("x")).toBe(true);
    expect(log.text.length % line.length).toBe(0);
    expect(log.text.length).toBeGreaterThan(LOG_START - line.length);
  });

  test("keeps a bounded part, in whole lines", () => {
    let log = openLog(0);
    for (let i = 0; i < 60; i++) log = appendLog(log, bytes(line.repeat(100)));
    expect(log.text.length).toBeLessThanOrEqual(LOG_KEPT);
    expect(log.text.length % line.length).toBe(0);
    expect(log.cut).toBe(true);
    expect(log.offset).toBe(60 * 100 * line.length);
  });
});

test("a log is read on from where it was", async () => {
  const first = await readLogEnd(undefined, stored("one\n", 100).readSize, stored("one\n", 100).read);
  const starts: number[] = [];
  const { read } = stored("one\ntwo\n", 100);
  const second = await readLogEnd(
    first,
    () => Promise.reject(new Error("the size is known")),
    (from) => {
      starts.push(from);
      return read(from);
    },
  );
  expect(second.text).toBe("one\ntwo\n");
  expect(starts).toEqual([4, 8]);
});
