import { describe, expect, test } from "vitest";
import type { JobStatus, TaskStatus } from "../api";
import {
  isJobStatus,
  JOB_STATUS,
  type JobAction,
  jobActions,
  TASK_STATUS,
  TASK_STATUS_ORDER,
  type TaskAction,
  taskActions,
} from "./status";

describe("what may be asked of a job, by status", () => {
  const expected: Record<JobStatus, JobAction[]> = {
    "active": ["pause", "cancel"],
    "queued": ["pause", "cancel", "delete"],
    "completed": ["requeue", "delete"],
    "failed": ["requeue", "cancel", "delete"],
    "paused": ["requeue", "cancel", "delete"],
    "canceled": ["pause", "requeue", "delete"],
    "pause-requested": ["cancel"],
    "cancel-requested": [],
    "requeueing": [],
    "under-construction": [],
  };
  test.each(Object.keys(JOB_STATUS) as JobStatus[])("%s", (status) => {
    expect(jobActions({ status })).toEqual(expected[status]);
  });
  test("nothing, once it is being deleted", () => {
    expect(jobActions({ status: "completed", delete_requested_at: "2026-03-01T12:00:00Z" })).toEqual([]);
  });
});

describe("what may be asked of a task, by status", () => {
  const expected: Record<TaskStatus, TaskAction[]> = {
    "active": ["cancel"],
    "queued": ["cancel"],
    "soft-failed": ["cancel"],
    "canceled": ["requeue"],
    "completed": ["requeue"],
    "failed": ["requeue"],
    "paused": [],
  };
  test.each(Object.keys(TASK_STATUS) as TaskStatus[])("%s", (status) => {
    expect(taskActions(status)).toEqual(expected[status]);
  });
});

test("every task status has its place in the order", () => {
  expect([...TASK_STATUS_ORDER].sort()).toEqual(Object.keys(TASK_STATUS).sort());
});

test("members that every object has are no statuses", () => {
  expect(isJobStatus("toString")).toBe(false);
  expect(isJobStatus("active")).toBe(true);
});
