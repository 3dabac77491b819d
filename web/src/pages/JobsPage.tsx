import { useState } from "preact/hooks";
import { type Job, readJobs } from "../api";
import { CommandLine, EmptyState, Link, PageTitle, Pending, Progress, Status, TimeAgo } from "../components/parts";
import { useLive, useTimeText } from "../lib/farm";
import { formatDuration } from "../lib/format";
import { pure } from "../lib/pure";
import { jobAddress } from "../lib/route";
import { applyToJobs, collectJobs, elapsedSeconds, type JobList } from "../lib/state";
import { JOB_STATUS } from "../lib/status";

/** Jobs that are shown at first, and that are added by each asking for older ones. */
const JOBS_STEP = 100;

/** Least time between two reads of the list, in milliseconds. */
const JOBS_GAP = 500;

export function JobsPage() {
  const [wanted, setWanted] = useState(JOBS_STEP);
  const list = useLive<JobList>(`jobs:${wanted}`, ["jobs"], {
    gap: JOBS_GAP,
    read: (signal) => collectJobs(wanted, (limit, before) => readJobs(limit, before, signal)),
    apply: applyToJobs,
  });
  return (
    <>
      <PageTitle title="Jobs" />
      {list.value === undefined ? <Pending error={list.error} /> : <JobTable list={list.value} />}
      {list.value?.more === true && (
        <button type="button" class="more" disabled={list.stale} onClick={() => setWanted(wanted + JOBS_STEP)}>
          Show older jobs
        </button>
      )}
    </>
  );
}

function JobTable({ list }: { list: JobList }) {
  if (list.jobs.length === 0) {
    return (
      <EmptyState title="No jobs yet">
        <p>Send a scene from the machine that has it:</p>
        <CommandLine text={`hayloft submit --manager ${location.origin} scene.blend`} />
      </EmptyState>
    );
  }
  return (
    <table class="choosable">
      <caption class="unseen">Jobs, newest first</caption>
      <thead>
        <tr>
          <th scope="col">Job</th>
          <th scope="col">Status</th>
          <th scope="col">Progress</th>
          <th scope="col" class="number">
            Priority
          </th>
          <th scope="col">Submitted</th>
          <th scope="col" class="number" title="From submission to now, or to the last change of a job that ended">
            Elapsed
          </th>
        </tr>
      </thead>
      <tbody>
        {list.jobs.map((job) => (
          <JobRow key={job.id} job={job} />
        ))}
      </tbody>
    </table>
  );
}

const JobRow = pure(({ job }: { job: Job }) => {
  const look = JOB_STATUS[job.status];
  return (
    <tr>
      <th scope="row">
        <Link class="row-link" href={jobAddress(job.id)}>
          {job.name}
        </Link>
        <small>{job.type}</small>
      </th>
      <td>
        <JobStatusCell job={job} />
      </td>
      <td>
        <Progress
          label={`Progress of ${job.name}`}
          completed={job.steps_completed}
          total={job.steps_total}
          look={look}
        />
      </td>
      <td class="number">{job.priority}</td>
      <td>
        <TimeAgo at={job.created} />
      </td>
      <td class="number">
        <Elapsed job={job} />
      </td>
    </tr>
  );
});

function JobStatusCell({ job }: { job: Job }) {
  if (job.delete_requested_at !== undefined) return <Status look={{ label: "Being deleted", tone: "quiet" }} />;
  return <Status look={JOB_STATUS[job.status]} />;
}

function Elapsed({ job }: { job: Job }) {
  return <>{useTimeText((now) => formatDuration(elapsedSeconds(job, now)))}</>;
}
