import { readLogInfo, readTask, type Task } from "../api";
import { useLive } from "../lib/farm";
import { plural } from "../lib/format";
import { TASK_STATUS } from "../lib/status";
import { TaskActions } from "./Actions";
import { LogTail } from "./LogTail";
import { Link, Pending, Status } from "./parts";

/** Least time between two reads of the task, in milliseconds. */
const TASK_GAP = 1000;

interface TaskState {
  task: Task;
  /** Address of the whole log on this manager; undefined while there is none. */
  logAddress: string | undefined;
}

async function readTaskState(id: string, signal: AbortSignal): Promise<TaskState> {
  const [task, log] = await Promise.all([readTask(id, signal), readLogInfo(id, signal)]);
  const local = log !== undefined && log.url.startsWith("/") && !log.url.startsWith("//");
  return { task, logAddress: local ? log.url : undefined };
}

/** What one task does, who runs it, and the end of its log. */
export function TaskPanel({ jobId, taskId, close }: { jobId: string; taskId: string; close: string }) {
  const state = useLive<TaskState>(`task:${taskId}`, [`job:${jobId}`], {
    gap: TASK_GAP,
    read: (signal) => readTaskState(taskId, signal),
    apply(value, event, reread) {
      if (event.kind !== "task" || event.task.id !== taskId) return value;
      reread();
      return { ...value, task: { ...value.task, status: event.task.status } };
    },
  });
  return (
    <section class="panel" aria-labelledby="task-title">
      <header>
        <h2 id="task-title">{state.value?.task.name ?? "Task"}</h2>
        {state.value !== undefined && <Status look={TASK_STATUS[state.value.task.status]} />}
        <Link class="close" href={close}>
          Close
        </Link>
      </header>
      {state.value === undefined ? <Pending error={state.error} /> : <TaskFacts {...state.value} />}
      <LogTail taskId={taskId} />
    </section>
  );
}

function TaskFacts({ task, logAddress }: TaskState) {
  const failedBy = task.failed_by_workers ?? [];
  return (
    <>
      {task.activity !== "" && <p class="activity">{task.activity}</p>}
      <p class="facts">
        <span>{task.worker === undefined ? "No worker yet" : `On ${task.worker.name}`}</span>
        <span>{task.task_type}</span>
        <span>{plural(task.commands.length, "command")}</span>
        {failedBy.length > 0 && <span>Failed on {failedBy.map((worker) => worker.name).join(", ")}</span>}
        {logAddress !== undefined && (
          <a href={logAddress} target="_blank" rel="noreferrer">
            Whole log
          </a>
        )}
      </p>
      <TaskActions task={task} />
    </>
  );
}
