// What events do to what the page knows. Every function returns the same object when the event does not concern it.

import type {
  Job,
  JobEvent,
  LastRendered,
  TaskStatus,
  TaskSummary,
  WorkerEvent,
  WorkerStatus,
  WorkerSummary,
} from "../api";
import type { FarmEvent } from "./events";
import { hasEnded, TASK_STATUS_ORDER, WORKER_STATUS } from "./status";

/** The newest jobs, newest first. */
export interface JobList {
  jobs: Job[];
  /** Whether there are older ones. */
  more: boolean;
}

/** Most jobs that one request may ask for (contract, `limit` of listJobs). */
const JOBS_PER_REQUEST = 1000;

/** Reads the newest `wanted` jobs in as many requests as that takes. */
export async function collectJobs(
  wanted: number,
  read: (limit: number, before: string | undefined) => Promise<Job[]>,
): Promise<JobList> {
  const jobs: Job[] = [];
  while (jobs.length < wanted) {
    const limit = Math.min(JOBS_PER_REQUEST, wanted - jobs.length);
    const batch = await read(limit, jobs.at(-1)?.id);
    jobs.push(...batch);
    if (batch.length < limit) return { jobs, more: false };
  }
  return { jobs, more: true };
}

export function applyToJobs(list: JobList, event: FarmEvent, reread: () => void): JobList {
  if (event.kind !== "job") return list;
  const at = list.jobs.findIndex((job) => job.id === event.job.id);
  const known = list.jobs[at];
  if (event.job.was_deleted === true) {
    return known === undefined ? list : { ...list, jobs: list.jobs.toSpliced(at, 1) };
  }
  if (known === undefined) {
    // The event lacks members of a whole job, so a new one is read.
    reread();
    return list;
  }
  return { ...list, jobs: list.jobs.with(at, mergeJob(known, event.job)) };
}

function mergeJob(job: Job, event: JobEvent): Job {
  const { name, status, priority, updated, steps_completed, steps_total, delete_requested_at, task_counts } = event;
  const merged: Job = { ...job, name, status, priority, updated, steps_completed, steps_total };
  if (task_counts !== undefined) merged.task_counts = task_counts;
  if (delete_requested_at !== undefined) merged.delete_requested_at = delete_requested_at;
  return merged;
}

/** One job, or the knowledge that it was deleted while the page showed it. */
export interface JobState {
  job: Job;
  deleted: boolean;
}

export function applyToJob(state: JobState, event: FarmEvent, reread: () => void): JobState {
  if (event.kind === "task" && event.task.job_id === state.job.id) {
    // The counts by status are the manager's; events alone would let them drift.
    reread();
    return state;
  }
  if (event.kind !== "job" || event.job.id !== state.job.id) return state;
  if (event.job.was_deleted === true) return { ...state, deleted: true };
  reread();
  return { ...state, job: mergeJob(state.job, event.job) };
}

/** Applies an event to one page of the tasks of a job. */
export function applyToTasks(jobId: string, tasks: TaskSummary[], event: FarmEvent, reread: () => void): TaskSummary[] {
  if (event.kind === "job" && event.job.id === jobId && event.job.refresh_tasks) reread();
  if (event.kind !== "task") return tasks;
  const { id, status, updated, steps_completed, steps_total, worker } = event.task;
  const at = tasks.findIndex((task) => task.id === id);
  const known = tasks[at];
  if (known === undefined) return tasks;
  // The event leaves out the worker's address.
  if (worker?.uuid !== known.worker?.id) reread();
  return tasks.with(at, { ...known, status, updated, steps_completed, steps_total });
}

export function applyToWorkers(workers: WorkerSummary[], event: FarmEvent): WorkerSummary[] {
  if (event.kind !== "worker") return workers;
  const at = workers.findIndex((worker) => worker.id === event.worker.id);
  if (event.worker.deleted_at !== undefined) return at < 0 ? workers : workers.toSpliced(at, 1);
  const summary = summarise(event.worker, workers[at]);
  return at < 0 ? [...workers, summary] : workers.with(at, summary);
}

function summarise(event: WorkerEvent, known: WorkerSummary | undefined): WorkerSummary {
  const { id, name, status, version, can_restart, status_change } = event;
  const summary: WorkerSummary = { id, name, status, version, can_restart };
  const lastSeen = event.last_seen ?? known?.last_seen;
  if (lastSeen !== undefined) summary.last_seen = lastSeen;
  // A change that is not named is not wanted any more.
  if (status_change !== undefined) summary.status_change = status_change;
  return summary;
}

const WORKER_ORDER = Object.keys(WORKER_STATUS) as WorkerStatus[];

const NAME_ORDER = new Intl.Collator(undefined, { numeric: true });

/** Workers whose name contains `filter` in any case, by name; digits in names count as numbers. */
export function selectWorkers(workers: readonly WorkerSummary[], filter: string): WorkerSummary[] {
  const wanted = filter.trim().toLocaleLowerCase();
  return workers
    .filter((worker) => worker.name.toLocaleLowerCase().includes(wanted))
    .sort((a, b) => NAME_ORDER.compare(a.name, b.name) || NAME_ORDER.compare(a.id, b.id));
}

/** How many workers are in each status, those of no worker left out. */
export function countWorkers(workers: readonly WorkerSummary[]): [WorkerStatus, number][] {
  return WORKER_ORDER.map((status): [WorkerStatus, number] => [
    status,
    workers.filter((worker) => worker.status === status).length,
  ]).filter(([, count]) => count > 0);
}

/** A job's tasks by status in drawing order, those of no task left out. */
export function countTasks(job: Pick<Job, "task_counts">): [TaskStatus, number][] {
  return TASK_STATUS_ORDER.map((status): [TaskStatus, number] => [status, job.task_counts?.[status] ?? 0]).filter(
    ([, count]) => count > 0,
  );
}

/** From submission to now, or to the last change of a job that ended; in seconds. `now` in ms since the epoch. */
export function elapsedSeconds(job: Pick<Job, "created" | "updated" | "status">, now: number): number {
  const end = hasEnded(job.status) ? Date.parse(job.updated) : now;
  return Math.max(0, (end - Date.parse(job.created)) / 1000);
}

/**
 * Address of an image of a size in `suffixes`, or undefined when there is none or the manager's answer would lead to
 * another origin. `edition` makes a new image of the same name a new address.
 */
export function imageAddress(image: LastRendered, size: "small" | "full", edition: number): string | undefined {
  const small = image.suffixes.find((suffix) => suffix.includes("-small"));
  const suffix = size === "small" ? (small ?? image.suffixes[0]) : image.suffixes[0];
  const local = image.base.startsWith("/") && !image.base.startsWith("//") && !image.base.includes("\\");
  if (suffix === undefined || !local) return undefined;
  return `${image.base}/${suffix}?edition=${edition}`;
}
