// The statuses of jobs, tasks, workers and the farm: how each is written, which colour it has, and what may be asked
// in it. The tables are total over the contract's enumerations, so a status that is added there stops the build.

import type { FarmStatus, JobStatus, TaskStatus, WorkerStatus } from "../api";

/** Colour family of a status; every tone always comes with its label in words. */
export type Tone = "busy" | "good" | "bad" | "held" | "waiting" | "quiet";

export interface StatusLook {
  label: string;
  tone: Tone;
}

export const JOB_STATUS: Readonly<Record<JobStatus, StatusLook>> = {
  "active": { label: "Active", tone: "busy" },
  "queued": { label: "Queued", tone: "waiting" },
  "completed": { label: "Completed", tone: "good" },
  "failed": { label: "Failed", tone: "bad" },
  "paused": { label: "Paused", tone: "held" },
  "pause-requested": { label: "Pausing", tone: "held" },
  "canceled": { label: "Canceled", tone: "quiet" },
  "cancel-requested": { label: "Canceling", tone: "quiet" },
  "requeueing": { label: "Requeueing", tone: "waiting" },
  "under-construction": { label: "Being built", tone: "waiting" },
};

export const TASK_STATUS: Readonly<Record<TaskStatus, StatusLook>> = {
  "active": { label: "Active", tone: "busy" },
  "queued": { label: "Queued", tone: "waiting" },
  "completed": { label: "Completed", tone: "good" },
  "failed": { label: "Failed", tone: "bad" },
  "soft-failed": { label: "Failed, will retry", tone: "bad" },
  "paused": { label: "Paused", tone: "held" },
  "canceled": { label: "Canceled", tone: "quiet" },
};

/** The order in which a job's tasks are counted and drawn: what is done, what runs, what is wrong, what is left. */
export const TASK_STATUS_ORDER: readonly TaskStatus[] = [
  "completed",
  "active",
  "failed",
  "soft-failed",
  "paused",
  "canceled",
  "queued",
];

export const WORKER_STATUS: Readonly<Record<WorkerStatus, StatusLook>> = {
  "awake": { label: "Awake", tone: "good" },
  "starting": { label: "Starting", tone: "waiting" },
  "testing": { label: "Testing", tone: "waiting" },
  "asleep": { label: "Asleep", tone: "held" },
  "error": { label: "Error", tone: "bad" },
  "offline": { label: "Offline", tone: "quiet" },
  "restart": { label: "Restarting", tone: "waiting" },
};

export const FARM_STATUS: Readonly<Record<FarmStatus, StatusLook>> = {
  "active": { label: "Rendering", tone: "busy" },
  "idle": { label: "Idle", tone: "good" },
  "waiting": { label: "Waiting for workers", tone: "waiting" },
  "asleep": { label: "Asleep", tone: "held" },
  "inoperative": { label: "No workers", tone: "bad" },
  "starting": { label: "Starting", tone: "waiting" },
  "unknown": { label: "Unknown", tone: "quiet" },
};

function guard<S extends string>(table: Readonly<Record<S, unknown>>): (value: unknown) => value is S {
  return (value): value is S => typeof value === "string" && Object.hasOwn(table, value);
}

export const isJobStatus = guard(JOB_STATUS);
export const isTaskStatus = guard(TASK_STATUS);
export const isWorkerStatus = guard(WORKER_STATUS);
export const isFarmStatus = guard(FARM_STATUS);

/** Something a person may ask of a job. */
export type JobAction = "pause" | "requeue" | "cancel" | "delete";

// The manager takes any request in any state; these gates keep the page from offering what makes no sense.
const JOB_GATES: Readonly<Record<JobAction, readonly JobStatus[]>> = {
  pause: ["active", "canceled", "queued"],
  requeue: ["canceled", "completed", "failed", "paused"],
  cancel: ["active", "failed", "paused", "pause-requested", "queued"],
  delete: ["canceled", "completed", "failed", "paused", "queued"],
};

const JOB_ACTIONS: readonly JobAction[] = ["pause", "requeue", "cancel", "delete"];

/** What may be asked of a job, in the order of the buttons. Nothing, once its deletion has been asked for. */
export function jobActions(job: { status: JobStatus; delete_requested_at?: string }): JobAction[] {
  if (job.delete_requested_at !== undefined) return [];
  return JOB_ACTIONS.filter((action) => JOB_GATES[action].includes(job.status));
}

/** Something a person may ask of one task. */
export type TaskAction = "requeue" | "cancel";

const TASK_GATES: Readonly<Record<TaskAction, readonly TaskStatus[]>> = {
  requeue: ["canceled", "completed", "failed"],
  cancel: ["active", "queued", "soft-failed"],
};

const TASK_ACTIONS: readonly TaskAction[] = ["requeue", "cancel"];

/** What may be asked of a task, in the order of the buttons. */
export function taskActions(status: TaskStatus): TaskAction[] {
  return TASK_ACTIONS.filter((action) => TASK_GATES[action].includes(status));
}

const ENDED: readonly JobStatus[] = ["canceled", "completed", "failed"];

/** Whether nothing more happens to a job unless somebody asks. */
export function hasEnded(status: JobStatus): boolean {
  return ENDED.includes(status);
}
