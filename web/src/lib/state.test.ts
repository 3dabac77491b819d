import { describe, expect, test } from "vitest";
import type { Job, JobEvent, TaskEvent, TaskSummary, WorkerSummary } from "../api";
import type { FarmEvent } from "./events";
import {
  applyToJob,
  applyToJobs,
  applyToTasks,
  applyToWorkers,
  collectJobs,
  countTasks,
  countWorkers,
  elapsedSeconds,
  imageAddress,
  selectWorkers,
} from "./state";

const START = "2026-03-01T12:00:00Z";
const LATER = "2026-03-01T12:01:30Z";

function job(id: string, extra: Partial<Job> = {}): Job {
  return {
    id,
    name: `job ${id}`,
    type: "echo-sleep-test",
    priority: 50,
    submitter_platform: "",
    created: START,
    updated: START,
    status: "queued",
    activity: "",
    steps_completed: 0,
    steps_total: 4,
    ...extra,
  };
}

function jobEvent(id: string, extra: Partial<JobEvent> = {}): FarmEvent {
  const event: JobEvent = {
    id,
    name: `job ${id}`,
    status: "active",
    priority: 50,
    updated: LATER,
    steps_completed: 2,
    steps_total: 4,
    refresh_tasks: false,
    type: "echo-sleep-test",
    ...extra,
  };
  return { kind: "job", job: event };
}

function task(id: string): TaskSummary {
  return {
    id,
    index_in_job: 1,
    name: id,
    status: "queued",
    priority: 50,
    task_type: "misc",
    updated: START,
    steps_completed: 0,
    steps_total: 1,
  };
}

function taskEvent(id: string, jobId: string, extra: Partial<TaskEvent> = {}): FarmEvent {
  const event: TaskEvent = {
    id,
    job_id: jobId,
    name: id,
    activity: "",
    status: "completed",
    updated: LATER,
    steps_completed: 1,
    steps_total: 1,
    ...extra,
  };
  return { kind: "task", task: event };
}

function worker(id: string, extra: Partial<WorkerSummary> = {}): WorkerSummary {
  return { id, name: id, status: "awake", version: "1", can_restart: false, ...extra };
}

const UNCONCERNED: FarmEvent = { kind: "status", status: "idle" };

/** Runs a function that may ask for another read, and tells whether it did. */
function watched<T>(run: (reread: () => void) => T): { value: T; reread: boolean } {
  let reread = false;
  const value = run(() => {
    reread = true;
  });
  return { value, reread };
}

describe("the list of jobs", () => {
  const list = { jobs: [job("b"), job("a")], more: false };

  test("takes over what an event says and keeps the rest", () => {
    const { value, reread } = watched((ask) => applyToJobs(list, jobEvent("a"), ask));
    expect(value.jobs.map((each) => each.id)).toEqual(["b", "a"]);
    expect(value.jobs[1]).toEqual(job("a", { status: "active", updated: LATER, steps_completed: 2 }));
    expect(reread).toBe(false);
  });

  test("takes over the counts of tasks, where an event has them", () => {
    const { value } = watched((ask) => applyToJobs(list, jobEvent("a", { task_counts: { queued: 3 } }), ask));
    expect(value.jobs[1]?.task_counts).toEqual({ queued: 3 });
    expect(watched((ask) => applyToJobs(value, jobEvent("a"), ask)).value.jobs[1]?.task_counts).toEqual({ queued: 3 });
  });

  test("is read anew for a job it does not know", () => {
    const { value, reread } = watched((ask) => applyToJobs(list, jobEvent("c"), ask));
    expect(value).toBe(list);
    expect(reread).toBe(true);
  });

  test("loses a deleted job, and does not look for one it never had", () => {
    const gone = watched((ask) => applyToJobs(list, jobEvent("b", { was_deleted: true }), ask));
    expect(gone.value.jobs).toEqual([job("a")]);
    const never = watched((ask) => applyToJobs(list, jobEvent("c", { was_deleted: true }), ask));
    expect(never).toEqual({ value: list, reread: false });
  });

  test("is the same object after an event of no concern", () => {
    expect(applyToJobs(list, UNCONCERNED, () => undefined)).toBe(list);
  });

  test("an event applied twice does what it does once", () => {
    const once = applyToJobs(list, jobEvent("a"), () => undefined);
    expect(applyToJobs(once, jobEvent("a"), () => undefined)).toEqual(once);
  });
});

describe("collectJobs", () => {
  const all = Array.from({ length: 2500 }, (_, i) => job(String(i)));
  const read = async (limit: number, before: string | undefined) => {
    expect(limit).toBeLessThanOrEqual(1000);
    const start = before === undefined ? 0 : Number(before) + 1;
    return all.slice(start, start + limit);
  };

  test("goes on until it has what is wanted", async () => {
    const { jobs, more } = await collectJobs(2100, read);
    expect(jobs).toEqual(all.slice(0, 2100));
    expect(more).toBe(true);
  });

  test("ends with the oldest job", async () => {
    const { jobs, more } = await collectJobs(4000, read);
    expect(jobs).toEqual(all);
    expect(more).toBe(false);
  });
});

describe("one job", () => {
  const state = { job: job("a"), deleted: false };

  test("follows its own events and reads what they leave out", () => {
    const { value, reread } = watched((ask) => applyToJob(state, jobEvent("a"), ask));
    expect(value.job.status).toBe("active");
    expect(reread).toBe(true);
  });

  test("reads its counts anew after a change of a task of its own only", () => {
    expect(watched((ask) => applyToJob(state, taskEvent("t", "a"), ask))).toEqual({ value: state, reread: true });
    expect(watched((ask) => applyToJob(state, taskEvent("t", "b"), ask))).toEqual({ value: state, reread: false });
  });

  test("knows when it was deleted", () => {
    const { value } = watched((ask) => applyToJob(state, jobEvent("a", { was_deleted: true }), ask));
    expect(value.deleted).toBe(true);
  });

  test("is not concerned by other jobs", () => {
    expect(watched((ask) => applyToJob(state, jobEvent("b"), ask))).toEqual({ value: state, reread: false });
  });
});

describe("the tasks of a job", () => {
  const tasks = [task("t1"), task("t2")];

  test("take over what an event says", () => {
    const { value, reread } = watched((ask) => applyToTasks("a", tasks, taskEvent("t2", "a"), ask));
    expect(value[0]).toBe(tasks[0]);
    expect(value[1]).toEqual({ ...task("t2"), status: "completed", steps_completed: 1, updated: LATER });
    expect(reread).toBe(false);
  });

  test("are read anew when a task has another worker", () => {
    expect(watched((ask) => applyToTasks("a", tasks, taskEvent("t1", "a", { worker: { uuid: "w1", name: "node" } }), ask)).reread).toBe(
      true,
    );
  });

  test("are read anew when many changed at once, of this job only", () => {
    const many = { refresh_tasks: true };
    expect(watched((ask) => applyToTasks("a", tasks, jobEvent("a", many), ask))).toEqual({ value: tasks, reread: true });
    expect(watched((ask) => applyToTasks("a", tasks, jobEvent("b", many), ask)).reread).toBe(false);
  });

  test("are not concerned by tasks of other pages", () => {
    expect(applyToTasks("a", tasks, taskEvent("t9", "a"), () => undefined)).toBe(tasks);
  });
});

describe("workers", () => {
  const event = (summary: WorkerSummary, wasDeleted = false): FarmEvent => ({
    kind: "worker",
    worker: { ...summary, updated: LATER, ...(wasDeleted ? { deleted_at: LATER } : {}) },
  });

  test("are added, changed and removed", () => {
    const one = applyToWorkers([], event(worker("w1", { last_seen: START })));
    expect(one).toEqual([worker("w1", { last_seen: START })]);
    const changed = applyToWorkers(one, event(worker("w1", { status: "asleep" })));
    expect(changed).toEqual([worker("w1", { status: "asleep", last_seen: START })]);
    expect(applyToWorkers(changed, event(worker("w1"), true))).toEqual([]);
    expect(applyToWorkers(changed, event(worker("w2"), true))).toBe(changed);
  });

  test("lose a pending change when it is done", () => {
    const before = [worker("w1", { status_change: { status: "asleep", is_lazy: true } })];
    expect(applyToWorkers(before, event(worker("w1", { status: "asleep" })))).toEqual([
      worker("w1", { status: "asleep" }),
    ]);
  });

  test("are sorted by name with numbers in order, and filtered in any case", () => {
    const workers = [worker("Node-10"), worker("node-9"), worker("mac-1")];
    expect(selectWorkers(workers, " NODE ").map((each) => each.name)).toEqual(["node-9", "Node-10"]);
    expect(selectWorkers(workers, "")).toHaveLength(3);
  });

  test("are counted by status", () => {
    expect(countWorkers([worker("a"), worker("b", { status: "error" }), worker("c")])).toEqual([
      ["awake", 2],
      ["error", 1],
    ]);
  });
});

test("tasks are counted in drawing order; a manager that does not count gives nothing", () => {
  expect(countTasks({ task_counts: { queued: 3, completed: 2, failed: 0 } })).toEqual([
    ["completed", 2],
    ["queued", 3],
  ]);
  expect(countTasks({})).toEqual([]);
});

test("elapsed time stops with the job", () => {
  const now = Date.parse(START) + 600_000;
  expect(elapsedSeconds(job("a", { status: "active", updated: LATER }), now)).toBe(600);
  expect(elapsedSeconds(job("a", { status: "completed", updated: LATER }), now)).toBe(90);
  expect(elapsedSeconds(job("a"), Date.parse(START) - 5000)).toBe(0);
});

describe("imageAddress", () => {
  const image = { base: "/job-files/x", suffixes: ["last-rendered.jpg", "last-rendered-small.jpg"] };

  test("takes the size that is asked for, and another address for each edition", () => {
    expect(imageAddress(image, "small", 1)).toBe("/job-files/x/last-rendered-small.jpg?edition=1");
    expect(imageAddress(image, "full", 2)).toBe("/job-files/x/last-rendered.jpg?edition=2");
  });

  test("takes the only size there is", () => {
    expect(imageAddress({ ...image, suffixes: ["a.jpg"] }, "small", 1)).toBe("/job-files/x/a.jpg?edition=1");
    expect(imageAddress({ ...image, suffixes: [] }, "small", 1)).toBeUndefined();
  });

  test.each(["http://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "job-files"])(
    "never leads to another origin: %s",
    (base) => expect(imageAddress({ ...image, base }, "full", 1)).toBeUndefined(),
  );
});
