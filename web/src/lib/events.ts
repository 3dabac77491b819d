// The events of `GET /api/v3/events`, checked once at the edge, so that what follows can trust the contract's types.

import type { FarmStatus, JobEvent, LastRendered, TaskEvent, WorkerEvent } from "../api";
import { isFarmStatus, isJobStatus, isTaskStatus, isWorkerStatus } from "./status";

export type FarmEvent =
  | { kind: "job"; job: JobEvent }
  | { kind: "task"; task: TaskEvent }
  | { kind: "worker"; worker: WorkerEvent }
  | { kind: "status"; status: FarmStatus }
  | { kind: "last-rendered"; jobId: string; image: LastRendered }
  | { kind: "tasklog"; taskId: string };

type Members = Record<string, unknown>;

const DECODERS: Readonly<Record<FarmEvent["kind"], (data: Members) => FarmEvent | undefined>> = {
  "job": (data) => (isJobEvent(data) ? { kind: "job", job: data } : undefined),
  "task": (data) => (isTaskEvent(data) ? { kind: "task", task: data } : undefined),
  "worker": (data) => (isWorkerEvent(data) ? { kind: "worker", worker: data } : undefined),
  "status": ({ status }) => (isFarmStatus(status) ? { kind: "status", status } : undefined),
  "last-rendered": decodeLastRendered,
  "tasklog": ({ task_id: taskId }) => (typeof taskId === "string" ? { kind: "tasklog", taskId } : undefined),
};

/** Values of the `event:` field that the page listens for, besides `resync`. */
export const EVENT_KINDS = Object.keys(DECODERS) as FarmEvent["kind"][];

/** The event that `data` is, or undefined when it is not an event of that kind as we know it. */
export function decodeEvent(kind: FarmEvent["kind"], data: string): FarmEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return undefined;
  }
  return isMembers(value) ? DECODERS[kind](value) : undefined;
}

// The guards look at what the page relies on: identity, status, and the types of what it draws.

function isJobEvent(data: Members): data is Members & JobEvent {
  return (
    haveType(data, "string", ["id", "name", "updated"]) &&
    haveType(data, "number", ["priority", "steps_completed", "steps_total"]) &&
    isJobStatus(data["status"])
  );
}

function isTaskEvent(data: Members): data is Members & TaskEvent {
  const { worker } = data;
  return (
    haveType(data, "string", ["id", "job_id", "updated"]) &&
    haveType(data, "number", ["steps_completed", "steps_total"]) &&
    isTaskStatus(data["status"]) &&
    (worker === undefined || (isMembers(worker) && haveType(worker, "string", ["uuid", "name"])))
  );
}

function isWorkerEvent(data: Members): data is Members & WorkerEvent {
  const change = data["status_change"];
  return (
    haveType(data, "string", ["id", "name", "version"]) &&
    isWorkerStatus(data["status"]) &&
    (change === undefined || (isMembers(change) && isWorkerStatus(change["status"])))
  );
}

function decodeLastRendered({ job_id: jobId, thumbnail }: Members): FarmEvent | undefined {
  if (typeof jobId !== "string" || !isMembers(thumbnail)) return undefined;
  const { base, suffixes } = thumbnail;
  if (typeof base !== "string" || !isStrings(suffixes)) return undefined;
  return { kind: "last-rendered", jobId, image: { base, suffixes } };
}

function haveType(data: Members, type: "string" | "number", names: readonly string[]): boolean {
  return names.every((name) => typeof data[name] === type);
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
