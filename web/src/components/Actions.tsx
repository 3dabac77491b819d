import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { deleteJob, type Job, readDeletion, setJobStatus, setTaskStatus, type TaskSummary } from "../api";
import { type JobAction, jobActions, type TaskAction, taskActions } from "../lib/status";
import { ConfirmDialog } from "./ConfirmDialog";

/** Runs one request at a time and keeps what went wrong with the last one. */
function useRequest() {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const run = async (attempt: string, request: () => Promise<void>) => {
    setBusy(true);
    setFailure(undefined);
    try {
      await request();
    } catch (error) {
      setFailure(`Could not ${attempt}. ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      setBusy(false);
    }
  };
  return { busy, failure, run };
}

function Toolbar(props: { label: string; failure: string | undefined; children: ComponentChildren }) {
  return (
    <div class="actions">
      <div class="buttons" role="group" aria-label={props.label}>
        {props.children}
      </div>
      {props.failure !== undefined && (
        <p class="failure" role="alert">
          {props.failure}
        </p>
      )}
    </div>
  );
}

function jobLabel(action: JobAction, job: Job): string {
  switch (action) {
    case "pause":
      return "Pause";
    case "requeue":
      return job.status === "paused" ? "Resume" : "Requeue";
    case "cancel":
      return "Cancel";
    case "delete":
      return "Delete…";
  }
}

const JOB_REQUESTS = { pause: "pause-requested", requeue: "requeueing", cancel: "cancel-requested" } as const;

/** The buttons for what may be asked of a job now. */
export function JobActions({ job }: { job: Job }) {
  const { busy, failure, run } = useRequest();
  const [confirming, setConfirming] = useState(false);
  const ask = (action: JobAction) => {
    if (action === "delete") setConfirming(true);
    else void run(`${action} the job`, () => setJobStatus(job.id, JOB_REQUESTS[action]));
  };
  const remove = () => {
    setConfirming(false);
    void run("delete the job", () => deleteJob(job.id));
  };
  return (
    <Toolbar label="Job actions" failure={failure}>
      {jobActions(job).map((action) => (
        <button
          key={action}
          type="button"
          class={action === "delete" ? "danger" : undefined}
          disabled={busy}
          onClick={() => ask(action)}
        >
          {jobLabel(action, job)}
        </button>
      ))}
      {confirming && <DeleteDialog job={job} onConfirm={remove} onClose={() => setConfirming(false)} />}
    </Toolbar>
  );
}

function DeleteDialog({ job, onConfirm, onClose }: { job: Job; onConfirm(): void; onClose(): void }) {
  const [checkout, setCheckout] = useState(false);
  useEffect(() => {
    const abort = new AbortController();
    // The dialog also serves without this answer; it then leaves the checkout unmentioned.
    readDeletion(job.id, abort.signal).then(setCheckout, () => setCheckout(false));
    return () => abort.abort();
  }, [job.id]);
  return (
    <ConfirmDialog title={`Delete “${job.name}”?`} confirm="Delete job" onConfirm={onConfirm} onClose={onClose}>
      <p>
        The job, its tasks and their logs{checkout ? ", and its checkout of the project" : ""} go away for good. Rendered
        frames stay where they are.
      </p>
    </ConfirmDialog>
  );
}

const TASK_LABELS: Readonly<Record<TaskAction, string>> = { requeue: "Requeue task", cancel: "Cancel task" };
const TASK_REQUESTS = { requeue: "queued", cancel: "canceled" } as const;

/** The buttons for what may be asked of a task now. */
export function TaskActions({ task }: { task: Pick<TaskSummary, "id" | "status"> }) {
  const { busy, failure, run } = useRequest();
  const actions = taskActions(task.status);
  if (actions.length === 0 && failure === undefined) return null;
  return (
    <Toolbar label="Task actions" failure={failure}>
      {actions.map((action) => (
        <button
          key={action}
          type="button"
          disabled={busy}
          onClick={() => void run(`${action} the task`, () => setTaskStatus(task.id, TASK_REQUESTS[action]))}
        >
          {TASK_LABELS[action]}
        </button>
      ))}
    </Toolbar>
  );
}
