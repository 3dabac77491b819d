import { describe, expect, test } from "vitest";
import { formatAgo, formatDuration, formatSize, percent, plural } from "./format";

describe("formatDuration", () => {
  test.each([
    [-3, "0s"],
    [59.9, "59s"],
    [60, "1m 00s"],
    [185, "3m 05s"],
    [3599, "59m 59s"],
    [3600, "1h 00m"],
    [86_399, "23h 59m"],
    [97_200, "1d 03h"],
  ])("%d seconds", (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe("formatAgo", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  test.each([
    [-60, "just now"],
    [4.9, "just now"],
    [5, "5s ago"],
    [60, "1m ago"],
    [3599, "59m ago"],
    [7200, "2h ago"],
    [90_000, "1d ago"],
  ])("%d seconds ago", (seconds, text) => expect(formatAgo(now - seconds * 1000, now)).toBe(text));
});

describe("formatSize", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "0.977 KiB"],
    [1024, "1.00 KiB"],
    [1023 * 1024, "0.999 MiB"],
    [5_368_709_120, "5.00 GiB"],
  ])("%d bytes", (bytes, text) => expect(formatSize(bytes)).toBe(text));

  test("never needs an exponent below the largest unit", () => {
    for (let bytes = 1; bytes < 2 ** 53; bytes = bytes * 1.7 + 1) {
      expect(formatSize(Math.floor(bytes))).toMatch(/^[\d.]{1,5} ([KMGTP]i)?B$/);
    }
  });
});

describe("percent", () => {
  test("is 100 only when nothing is left", () => expect(percent(99_999, 100_000)).toBe(99));
  test("is 0 for a job without steps", () => expect(percent(0, 0)).toBe(0));
  test("stays in bounds when more steps were done than were planned", () => expect(percent(12, 10)).toBe(100));
});

test("plural", () => {
  expect(plural(1, "task")).toBe("1 task");
  expect(plural(0, "task")).toBe("0 tasks");
});
