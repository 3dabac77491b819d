import { describe, expect, test } from "vitest";
import { decodeEvent, EVENT_KINDS } from "./events";

const JOB = {
  id: "j1",
  name: "shot",
  updated: "2026-03-01T12:00:00Z",
  status: "active",
  type: "echo-sleep-test",
  priority: 50,
  refresh_tasks: true,
  steps_completed: 1,
  steps_total: 4,
};

const TASK = {
  id: "t1",
  job_id: "j1",
  name: "echo",
  updated: "2026-03-01T12:00:00Z",
  status: "soft-failed",
  activity: "",
  steps_completed: 0,
  steps_total: 1,
  worker: { uuid: "w1", name: "node-1" },
};

const WORKER = {
  id: "w1",
  name: "node-1",
  updated: "2026-03-01T12:00:00Z",
  status: "awake",
  version: "1",
  can_restart: false,
  status_change: { status: "asleep", is_lazy: true },
};

test("a job, a task, a worker come out as they were sent", () => {
  expect(decodeEvent("job", JSON.stringify(JOB))).toEqual({ kind: "job", job: JOB });
  expect(decodeEvent("task", JSON.stringify(TASK))).toEqual({ kind: "task", task: TASK });
  expect(decodeEvent("worker", JSON.stringify(WORKER))).toEqual({ kind: "worker", worker: WORKER });
});

test.each(["id", "status", "updated", "steps_total"])("a job or a task without %s is refused", (name) => {
  expect(decodeEvent("job", JSON.stringify({ ...JOB, [name]: undefined }))).toBeUndefined();
  expect(decodeEvent("task", JSON.stringify({ ...TASK, [name]: undefined }))).toBeUndefined();
});

test("a worker that is to go to a state we do not know is refused", () => {
  const change = { status: "on holiday", is_lazy: false };
  expect(decodeEvent("worker", JSON.stringify({ ...WORKER, status_change: change }))).toBeUndefined();
});

test("an image, a farm status, a log", () => {
  const image = { base: "/job-files/x", suffixes: ["last-rendered.jpg"] };
  expect(decodeEvent("last-rendered", JSON.stringify({ job_id: "j1", thumbnail: image }))).toEqual({
    kind: "last-rendered",
    jobId: "j1",
    image,
  });
  expect(decodeEvent("status", `{"status":"idle"}`)).toEqual({ kind: "status", status: "idle" });
  expect(decodeEvent("tasklog", `{"task_id":"t1","log":"x"}`)).toEqual({ kind: "tasklog", taskId: "t1" });
});

describe("what is not an event of its kind is refused", () => {
  const broken = ["", "{", "null", "[]", "7", `"job"`, "{}", JSON.stringify({ ...JOB, status: "sleeping" })];
  for (const kind of EVENT_KINDS) {
    test.each(broken)(`${kind}: %s`, (data) => expect(decodeEvent(kind, data)).toBeUndefined());
  }
});
