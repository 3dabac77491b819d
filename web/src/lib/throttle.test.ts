import { beforeEach, expect, test } from "vitest";
import { TestClock } from "../testing/clock";
import { Throttle } from "./throttle";

let clock: TestClock;
let out: number[];
let throttle: Throttle<number>;

beforeEach(() => {
  clock = new TestClock();
  out = [];
  throttle = new Throttle(100, clock, (value) => out.push(value));
});

test("the first value passes at once, the latest of many after the gap", () => {
  for (let value = 1; value <= 5; value++) throttle.put(value);
  expect(out).toEqual([1]);
  clock.advance(99);
  expect(out).toEqual([1]);
  clock.advance(1);
  expect(out).toEqual([1, 5]);
  throttle.put(6);
  expect(out).toEqual([1, 5]);
  clock.advance(100);
  expect(out).toEqual([1, 5, 6]);
});

test("after a quiet time the next value passes at once again", () => {
  throttle.put(1);
  clock.advance(100);
  throttle.put(2);
  expect(out).toEqual([1, 2]);
  expect(clock.pending).toBe(0);
});

test("closing drops what waits", () => {
  throttle.put(1);
  throttle.put(2);
  throttle.close();
  clock.advance(1000);
  expect(out).toEqual([1]);
});
