import { describe, expect, test } from "vitest";
import { formatRoute, parseRoute, type Route } from "./route";

const JOB = "2f6ad3a5-9c4e-4d9f-8f4e-0b1c2d3e4f50";
const TASK = "00000000-0000-4000-8000-000000000001";

function parse(address: string): Route {
  const url = new URL(address, "http://farm.example");
  return parseRoute(url.pathname, url.search);
}

describe("a route survives its address", () => {
  const routes: Exclude<Route, { page: "lost" }>[] = [
    { page: "jobs" },
    { page: "workers" },
    { page: "downloads" },
    { page: "workers", worker: TASK },
    { page: "job", id: JOB, view: "tasks", after: 0 },
    { page: "job", id: JOB, view: "tasks", after: 9900, task: TASK },
    { page: "job", id: JOB, view: "outputs", after: 0, task: TASK },
  ];
  test.each(routes)("%o", (route) => expect(parse(formatRoute(route))).toEqual(route));
});

test("the bare address shows the jobs", () => {
  expect(parse("/app/")).toEqual({ page: "jobs" });
  expect(parse("/app")).toEqual({ page: "jobs" });
});

test.each(["/", "/elsewhere", "/app/teams", "/app/jobs/7", `/app/jobs/${JOB}/more`, "/app/workers/7", "/app/downloads/7"])(
  "%s is lost",
  (address) => expect(parse(address)).toEqual({ page: "lost" }),
);

test.each(["-5", "abc", "1e400", "0.5", ""])("after=%s counts as the first page", (after) => {
  expect(parse(`/app/jobs/${JOB}?after=${after}`)).toEqual({ page: "job", id: JOB, view: "tasks", after: 0 });
});

test("a task that is no id is left out", () => {
  expect(parse(`/app/jobs/${JOB}?task=../../x`)).toEqual({ page: "job", id: JOB, view: "tasks", after: 0 });
});
