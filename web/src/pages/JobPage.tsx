import { ApiError, type Job, readJob } from "../api";
import { JobActions } from "../components/Actions";
import { LastImage } from "../components/LastImage";
import { Outputs } from "../components/Outputs";
import { EmptyState, Link, PageTitle, Pending, Progress, Status, TimeAgo } from "../components/parts";
import { TaskPanel } from "../components/TaskPanel";
import { TaskTable } from "../components/TaskTable";
import { useLive, useTimeText } from "../lib/farm";
import { formatCount, formatDuration } from "../lib/format";
import { formatRoute, type Route } from "../lib/route";
import { applyToJob, countTasks, elapsedSeconds, type JobState } from "../lib/state";
import { JOB_STATUS, TASK_STATUS } from "../lib/status";

type JobRoute = Extract<Route, { page: "job" }>;

/** Least time between two reads of the job, in milliseconds. */
const JOB_GAP = 1000;

export function JobPage({ route }: { route: JobRoute }) {
  const { id } = route;
  const state = useLive<JobState>(`job:${id}`, ["jobs", `job:${id}`], {
    gap: JOB_GAP,
    read: async (signal) => ({ job: await readJob(id, signal), deleted: false }),
    apply: applyToJob,
  });
  const gone = state.error instanceof ApiError && state.error.status === 404;
  if (gone || state.value?.deleted === true) return <GoneJob name={state.value?.job.name} />;
  if (state.value === undefined) {
    return (
      <>
        <PageTitle title="Job" />
        <Pending error={state.error} />
      </>
    );
  }
  return <JobView job={state.value.job} route={route} />;
}

function GoneJob({ name }: { name: string | undefined }) {
  return (
    <>
      <PageTitle title="Job" />
      <EmptyState title={name === undefined ? "There is no such job" : `“${name}” was deleted`}>
        <p>
          <Link href={formatRoute({ page: "jobs" })}>See all jobs</Link>
        </p>
      </EmptyState>
    </>
  );
}

function JobView({ job, route }: { job: Job; route: JobRoute }) {
  const counts = countTasks(job);
  const total = job.task_counts === undefined ? undefined : counts.reduce((sum, [, count]) => sum + count, 0);
  return (
    <>
      <JobHead job={job} />
      <div class="split">
        <div class="main-column">
          <Views route={route} total={total} />
          {route.view === "tasks" ? <TaskTable route={route} total={total} /> : <Outputs jobId={job.id} />}
        </div>
        <div class="side-column">
          {route.task === undefined ? (
            <p class="hint">Choose a task to see its log.</p>
          ) : (
            <TaskPanel key={route.task} jobId={job.id} taskId={route.task} close={withoutTask(route)} />
          )}
          <LastImage jobId={job.id} jobName={job.name} />
        </div>
      </div>
    </>
  );
}

function withoutTask({ id, view, after }: JobRoute): string {
  return formatRoute({ page: "job", id, view, after });
}

function JobHead({ job }: { job: Job }) {
  const look = JOB_STATUS[job.status];
  const elapsed = useTimeText((now) => formatDuration(elapsedSeconds(job, now)));
  return (
    <header class="job-head">
      <div class="title-line">
        <PageTitle title={job.name} />
        <Status look={job.delete_requested_at === undefined ? look : { label: "Being deleted", tone: "quiet" }} />
        <JobActions job={job} />
      </div>
      <Progress label="Progress of the job" completed={job.steps_completed} total={job.steps_total} look={look} />
      <p class="facts">
        <span>{job.type}</span>
        <span>Priority {job.priority}</span>
        <span>
          Submitted <TimeAgo at={job.created} />
        </span>
        <span>Elapsed {elapsed}</span>
        <TaskCounts job={job} />
      </p>
      {job.activity !== "" && <p class="activity">{job.activity}</p>}
    </header>
  );
}

function TaskCounts({ job }: { job: Job }) {
  return (
    <>
      {countTasks(job).map(([status, count]) => (
        <span key={status} class={`count tone-${TASK_STATUS[status].tone}`}>
          {formatCount(count)} {TASK_STATUS[status].label.toLocaleLowerCase()}
        </span>
      ))}
    </>
  );
}

function Views({ route, total }: { route: JobRoute; total: number | undefined }) {
  const to = (view: JobRoute["view"]) => formatRoute({ ...route, view, after: 0 });
  return (
    <nav class="views" aria-label="Views of this job">
      <Link href={to("tasks")} current={route.view === "tasks" ? "page" : undefined}>
        Tasks{total === undefined ? "" : ` (${formatCount(total)})`}
      </Link>
      <Link href={to("outputs")} current={route.view === "outputs" ? "page" : undefined}>
        Outputs
      </Link>
    </nav>
  );
}
