import { readTasks, type TaskSummary } from "../api";
import { useLive } from "../lib/farm";
import { formatCount } from "../lib/format";
import { pure } from "../lib/pure";
import { formatRoute, type Route, TASKS_PER_PAGE } from "../lib/route";
import { applyToTasks } from "../lib/state";
import { TASK_STATUS } from "../lib/status";
import { Link, Pending, Progress, Status, TimeAgo } from "./parts";

type JobRoute = Extract<Route, { page: "job" }>;

/** Least time between two reads of a page of tasks, in milliseconds. */
const TASKS_GAP = 500;

/** One page of a job's tasks. `total` is undefined where the manager does not count them. */
export function TaskTable({ route, total }: { route: JobRoute; total: number | undefined }) {
  const { id, after } = route;
  const tasks = useLive<TaskSummary[]>(`tasks:${id}:${after}`, ["jobs", `job:${id}`], {
    gap: TASKS_GAP,
    read: (signal) => readTasks(id, after, TASKS_PER_PAGE, signal),
    apply: (value, event, reread) => applyToTasks(id, value, event, reread),
  });
  if (tasks.value === undefined) return <Pending error={tasks.error} />;
  if (tasks.value.length === 0 && after === 0) {
    return <p class="pending">This job has no tasks.</p>;
  }
  return (
    <div class={tasks.stale ? "stale" : undefined} aria-busy={tasks.stale}>
      <table class="choosable">
        <caption class="unseen">Tasks of this job</caption>
        <thead>
          <tr>
            <th scope="col" class="number">
              #
            </th>
            <th scope="col">Task</th>
            <th scope="col">Status</th>
            <th scope="col">Progress</th>
            <th scope="col">Worker</th>
            <th scope="col">Last change</th>
          </tr>
        </thead>
        <tbody>
          {tasks.value.map((task) => (
            <TaskRow
              key={task.id}
              task={task}
              address={formatRoute({ ...route, task: task.id })}
              selected={route.task === task.id}
            />
          ))}
        </tbody>
      </table>
      <Pager route={route} shown={tasks.value.length} total={total} />
    </div>
  );
}

const TaskRow = pure(({ task, address, selected }: { task: TaskSummary; address: string; selected: boolean }) => {
  const look = TASK_STATUS[task.status];
  return (
    <tr class={selected ? "selected" : undefined}>
      <td class="number">{task.index_in_job}</td>
      <th scope="row">
        <Link class="row-link" href={address} current={selected ? "true" : undefined}>
          {task.name}
        </Link>
      </th>
      <td>
        <Status look={look} />
      </td>
      <td>
        <Progress
          label={`Progress of ${task.name}`}
          completed={task.steps_completed}
          total={task.steps_total}
          look={look}
        />
      </td>
      <td>{task.worker?.name ?? "–"}</td>
      <td>
        <TimeAgo at={task.updated} />
      </td>
    </tr>
  );
});

function Pager({ route, shown, total }: { route: JobRoute; shown: number; total: number | undefined }) {
  const { after } = route;
  const last = total === undefined ? undefined : Math.max(0, Math.ceil(total / TASKS_PER_PAGE) - 1) * TASKS_PER_PAGE;
  const hasNext = last === undefined ? shown === TASKS_PER_PAGE : after < last;
  if (after === 0 && !hasNext) return null;
  const to = (start: number) => formatRoute({ ...route, after: Math.max(0, start) });
  return (
    <nav class="pager" aria-label="Pages of tasks">
      <PagerLink label="First" href={after > 0 ? to(0) : undefined} />
      <PagerLink label="Previous" href={after > 0 ? to(after - TASKS_PER_PAGE) : undefined} />
      <span>
        {shown === 0 ? "None here" : `${formatCount(after + 1)} to ${formatCount(after + shown)}`}
        {total !== undefined && ` of ${formatCount(total)}`}
      </span>
      <PagerLink label="Next" href={hasNext ? to(after + TASKS_PER_PAGE) : undefined} />
      {last !== undefined && <PagerLink label="Last" href={hasNext ? to(last) : undefined} />}
    </nav>
  );
}

function PagerLink({ label, href }: { label: string; href: string | undefined }) {
  return href === undefined ? <span class="pager-off">{label}</span> : <Link href={href}>{label}</Link>;
}
