// Every request of the page. Paths, parameters and answers are typed by the contract (api/openapi.yaml), so a route
// that changes there stops this file from compiling.

import createClient from "openapi-fetch";
import type { components, paths } from "./generated/openapi";

type Schemas = components["schemas"];
export type Job = Schemas["Job"];
export type JobStatus = Schemas["JobStatus"];
export type JobOutput = Schemas["JobOutput"];
export type LastRendered = Schemas["LastRendered"];
export type Task = Schemas["Task"];
export type TaskStatus = Schemas["TaskStatus"];
export type TaskSummary = Schemas["TaskSummary"];
export type Worker = Schemas["Worker"];
export type WorkerStatus = Schemas["WorkerStatus"];
export type WorkerSummary = Schemas["WorkerSummary"];
export type FarmStatus = Schemas["FarmStatus"];
export type Downloads = Schemas["Downloads"];
export type JobEvent = Schemas["JobEvent"];
export type TaskEvent = Schemas["TaskEvent"];
export type WorkerEvent = Schemas["WorkerEvent"];

/** The manager answered, and the answer is no. `message` is the manager's own sentence for people. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** The manager did not answer at all. */
export class UnreachableError extends Error {
  constructor(cause: unknown) {
    super("The manager does not answer.", { cause });
    this.name = "UnreachableError";
  }
}

/** Milliseconds after which a request counts as unanswered. */
const REQUEST_DEADLINE = 20_000;

const client = createClient<paths>({
  fetch: (request) =>
    fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(REQUEST_DEADLINE)]) }),
});

interface Reply<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

async function settle<T>(request: Promise<Reply<T>>): Promise<Reply<T>> {
  let reply: Reply<T>;
  try {
    reply = await request;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new UnreachableError(cause);
  }
  if (!reply.response.ok) throw new ApiError(reply.response.status, messageOf(reply));
  return reply;
}

function messageOf({ error, response }: Reply<unknown>): string {
  if (typeof error === "object" && error !== null && "message" in error && typeof error.message === "string") {
    return error.message;
  }
  return `The manager answered with status ${response.status}.`;
}

/** The body of an answer that always has one. */
async function body<T>(request: Promise<Reply<T>>): Promise<NonNullable<T>> {
  const { data, response } = await settle(request);
  if (data === undefined || data === null) throw new ApiError(response.status, "The manager's answer was empty.");
  return data;
}

/** The body of an answer that is 204 while there is nothing to tell. */
async function optionalBody<T>(request: Promise<Reply<T>>): Promise<T | undefined> {
  return (await settle(request)).data;
}

async function done(request: Promise<Reply<unknown>>): Promise<void> {
  await settle(request);
}

/** The manager's name and version. */
export const readVersion = (signal: AbortSignal) => body(client.GET("/api/v3/version", { signal }));

/** What this manager hands out for the artists' computers. */
export const readDownloads = (signal: AbortSignal) => body(client.GET("/api/v3/downloads", { signal }));

/** What the farm as a whole is doing. */
export async function readFarmStatus(signal: AbortSignal): Promise<FarmStatus> {
  return (await body(client.GET("/api/v3/status", { signal }))).status;
}

/** At most `limit` (1 to 1000) jobs, newest first; with `before`, only those older than that job. */
export async function readJobs(limit: number, before: string | undefined, signal: AbortSignal): Promise<Job[]> {
  const query = before === undefined ? { limit } : { limit, before };
  return (await body(client.GET("/api/v3/jobs", { params: { query }, signal }))).jobs;
}

export const readJob = (id: string, signal: AbortSignal) =>
  body(client.GET("/api/v3/jobs/{job_id}", { params: { path: { job_id: id } }, signal }));

/** At most `limit` tasks whose `index_in_job` is larger than `after`. */
export async function readTasks(
  jobId: string,
  after: number,
  limit: number,
  signal: AbortSignal,
): Promise<TaskSummary[]> {
  const params = { path: { job_id: jobId }, query: { after, limit } };
  return (await body(client.GET("/api/v3/jobs/{job_id}/tasks", { params, signal }))).tasks;
}

/** The job's newest image; undefined while there is none. */
export const readLastRendered = (jobId: string, signal: AbortSignal): Promise<LastRendered | undefined> =>
  optionalBody(client.GET("/api/v3/jobs/{job_id}/last-rendered", { params: { path: { job_id: jobId } }, signal }));

export async function readOutputs(jobId: string, signal: AbortSignal): Promise<JobOutput[]> {
  const params = { path: { job_id: jobId } };
  return (await body(client.GET("/api/v3/jobs/{job_id}/outputs", { params, signal }))).outputs;
}

/** Address of the bytes of one output, for a link. */
export function outputAddress(jobId: string, path: string): string {
  return `/api/v3/jobs/${encodeURIComponent(jobId)}/output?path=${encodeURIComponent(path)}`;
}

/** Address of a zip of all outputs and logs of a job, for a link. */
export function archiveAddress(jobId: string): string {
  return `/api/v3/jobs/${encodeURIComponent(jobId)}/outputs.zip`;
}

export const readTask = (id: string, signal: AbortSignal) =>
  body(client.GET("/api/v3/tasks/{task_id}", { params: { path: { task_id: id } }, signal }));

/** Where a task's whole log lies and how many bytes it has; undefined while nothing is logged. */
export const readLogInfo = (taskId: string, signal: AbortSignal): Promise<Schemas["TaskLogInfo"] | undefined> =>
  optionalBody(client.GET("/api/v3/tasks/{task_id}/log", { params: { path: { task_id: taskId } }, signal }));

/** The bytes of a task's log from byte `from` on, at most 1 MiB; empty when there are none. */
export async function readLog(taskId: string, from: number, signal: AbortSignal): Promise<Uint8Array> {
  const params = { path: { task_id: taskId }, query: { from } };
  const request = client.GET("/api/v3/tasks/{task_id}/logtext", { params, parseAs: "arrayBuffer", signal });
  return new Uint8Array((await optionalBody<ArrayBuffer>(request)) ?? new ArrayBuffer(0));
}

export async function readWorkers(signal: AbortSignal): Promise<WorkerSummary[]> {
  return (await body(client.GET("/api/v3/worker-mgt/workers", { signal }))).workers;
}

export const readWorker = (id: string, signal: AbortSignal) =>
  body(client.GET("/api/v3/worker-mgt/workers/{worker_id}", { params: { path: { worker_id: id } }, signal }));

const BY_PERSON = "asked for on the page";

export const setJobStatus = (id: string, status: JobStatus) =>
  done(
    client.POST("/api/v3/jobs/{job_id}/setstatus", {
      params: { path: { job_id: id } },
      body: { status, reason: BY_PERSON },
    }),
  );

export const setTaskStatus = (id: string, status: TaskStatus) =>
  done(
    client.POST("/api/v3/tasks/{task_id}/setstatus", {
      params: { path: { task_id: id } },
      body: { status, reason: BY_PERSON },
    }),
  );

/** Whether deleting the job also removes a checkout. */
export async function readDeletion(id: string, signal: AbortSignal): Promise<boolean> {
  const params = { path: { job_id: id } };
  return (await body(client.GET("/api/v3/jobs/{job_id}/what-would-delete-do", { params, signal }))).shaman_checkout;
}

export const deleteJob = (id: string) =>
  done(client.DELETE("/api/v3/jobs/{job_id}", { params: { path: { job_id: id } } }));

/** Address of the stream of events about `topics`. */
export function eventsAddress(topics: readonly string[]): string {
  return `/api/v3/events?${topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join("&")}`;
}
