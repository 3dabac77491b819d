import { useState } from "preact/hooks";
import { readWorker, readWorkers, type Worker, type WorkerSummary } from "../api";
import { CommandLine, EmptyState, Link, PageTitle, Pending, Status, TimeAgo } from "../components/parts";
import { useLive } from "../lib/farm";
import { formatCount } from "../lib/format";
import { pure } from "../lib/pure";
import { formatRoute } from "../lib/route";
import { applyToWorkers, countWorkers, selectWorkers } from "../lib/state";
import { TASK_STATUS, WORKER_STATUS } from "../lib/status";

/** Least time between two reads of one worker, in milliseconds. */
const WORKER_GAP = 1000;

/** From this many workers on, the list has a filter. */
const FILTER_FROM = 8;

export function WorkersPage({ selected }: { selected: string | undefined }) {
  const workers = useLive<WorkerSummary[]>("workers", ["workers"], { read: readWorkers, apply: applyToWorkers });
  return (
    <>
      <PageTitle title="Workers" />
      {workers.value === undefined ? (
        <Pending error={workers.error} />
      ) : (
        <Workers workers={workers.value} selected={selected} />
      )}
    </>
  );
}

function Workers({ workers, selected }: { workers: WorkerSummary[]; selected: string | undefined }) {
  const [filter, setFilter] = useState("");
  if (workers.length === 0) {
    return (
      <EmptyState title="No workers yet">
        <p>Start one on any machine that has Blender:</p>
        <CommandLine text={`hayloft worker --manager ${location.origin} --data worker-data`} />
      </EmptyState>
    );
  }
  const shown = selectWorkers(workers, filter);
  return (
    <div class="split">
      <div class="main-column">
        <div class="list-head">
          <p class="facts">
            {countWorkers(workers).map(([status, count]) => (
              <span key={status} class={`count tone-${WORKER_STATUS[status].tone}`}>
                {formatCount(count)} {WORKER_STATUS[status].label.toLocaleLowerCase()}
              </span>
            ))}
          </p>
          {workers.length >= FILTER_FROM && (
            <input
              type="search"
              aria-label="Show only workers whose name contains"
              placeholder="Filter by name"
              value={filter}
              onInput={(event) => setFilter(event.currentTarget.value)}
            />
          )}
        </div>
        {shown.length === 0 ? (
          <p class="pending">No worker has “{filter.trim()}” in its name.</p>
        ) : (
          <WorkerTable workers={shown} selected={selected} />
        )}
      </div>
      <div class="side-column">
        {selected === undefined ? (
          <p class="hint">Choose a worker to see what it does.</p>
        ) : (
          <WorkerPanel key={selected} id={selected} />
        )}
      </div>
    </div>
  );
}

function WorkerTable({ workers, selected }: { workers: WorkerSummary[]; selected: string | undefined }) {
  return (
    <table class="choosable">
      <caption class="unseen">Workers by name</caption>
      <thead>
        <tr>
          <th scope="col">Worker</th>
          <th scope="col">Status</th>
          <th scope="col">Last seen</th>
          <th scope="col">Version</th>
        </tr>
      </thead>
      <tbody>
        {workers.map((worker) => (
          <WorkerRow key={worker.id} worker={worker} selected={worker.id === selected} />
        ))}
      </tbody>
    </table>
  );
}

const WorkerRow = pure(({ worker, selected }: { worker: WorkerSummary; selected: boolean }) => {
  const address = formatRoute({ page: "workers", worker: worker.id });
  return (
    <tr class={selected ? "selected" : undefined}>
      <th scope="row">
        <Link class="row-link" href={address} current={selected ? "true" : undefined}>
          {worker.name}
        </Link>
      </th>
      <td>
        <Status look={WORKER_STATUS[worker.status]} />
        {worker.status_change !== undefined && (
          <small>to become {WORKER_STATUS[worker.status_change.status].label.toLocaleLowerCase()}</small>
        )}
      </td>
      <td>{worker.last_seen === undefined ? "never" : <TimeAgo at={worker.last_seen} />}</td>
      <td>{worker.version}</td>
    </tr>
  );
});

/** One worker with its present or latest task. */
function WorkerPanel({ id }: { id: string }) {
  const worker = useLive<Worker>(`worker:${id}`, ["workers", "jobs"], {
    gap: WORKER_GAP,
    read: (signal) => readWorker(id, signal),
    apply(value, event, reread) {
      // A worker's move from task to task shows in the jobs, not in the worker.
      if (event.kind === "job" || (event.kind === "worker" && event.worker.id === id)) reread();
      return value;
    },
  });
  return (
    <section class="panel" aria-labelledby="worker-title">
      <header>
        <h2 id="worker-title">{worker.value?.name ?? "Worker"}</h2>
        {worker.value !== undefined && <Status look={WORKER_STATUS[worker.value.status]} />}
        <Link class="close" href={formatRoute({ page: "workers" })}>
          Close
        </Link>
      </header>
      {worker.value === undefined ? <Pending error={worker.error} /> : <WorkerFacts worker={worker.value} />}
    </section>
  );
}

function WorkerFacts({ worker }: { worker: Worker }) {
  const tags = (worker.tags ?? []).map((tag) => tag.name);
  return (
    <dl>
      <dt>Task</dt>
      <dd>{worker.task === undefined ? "None yet" : <WorkerTask task={worker.task} />}</dd>
      {worker.waiting_because !== undefined && (
        <>
          <dt>Waits</dt>
          <dd>{worker.waiting_because}</dd>
        </>
      )}
      {worker.performance !== undefined && (
        <>
          <dt>Performance</dt>
          <dd>{worker.performance}</dd>
        </>
      )}
      <dt>Takes</dt>
      <dd>{worker.supported_task_types.join(", ")}</dd>
      <dt>Tags</dt>
      <dd>{tags.length === 0 ? "None" : tags.join(", ")}</dd>
      <dt>Platform</dt>
      <dd>{worker.platform}</dd>
      <dt>Address</dt>
      <dd>{worker.ip_address}</dd>
      <dt>Version</dt>
      <dd>{worker.version}</dd>
    </dl>
  );
}

function WorkerTask({ task }: { task: NonNullable<Worker["task"]> }) {
  const address = formatRoute({ page: "job", id: task.job_id, view: "tasks", after: 0, task: task.id });
  return (
    <>
      <Link href={address}>{task.name}</Link> <Status look={TASK_STATUS[task.status]} />
    </>
  );
}
