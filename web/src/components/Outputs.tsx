import { useState } from "preact/hooks";
import { archiveAddress, type JobOutput, outputAddress, readOutputs } from "../api";
import { useLive } from "../lib/farm";
import { formatSize, plural } from "../lib/format";
import { pure } from "../lib/pure";
import { formatRoute } from "../lib/route";
import { Link, Pending } from "./parts";

/** The list comes whole at each read, so it is read seldom; in milliseconds. */
const OUTPUTS_GAP = 3000;

/** Rows that are drawn before the reader asks for more. */
const ROWS = 200;

/** The files that a job's tasks produced, each a link to its bytes. */
export function Outputs({ jobId }: { jobId: string }) {
  const [rows, setRows] = useState(ROWS);
  const outputs = useLive<JobOutput[]>(`outputs:${jobId}`, [`job:${jobId}`], {
    gap: OUTPUTS_GAP,
    read: (signal) => readOutputs(jobId, signal),
    apply(value, event, reread) {
      if (event.kind === "task" && event.task.job_id === jobId) reread();
      return value;
    },
  });
  const all = outputs.value;
  if (all === undefined) return <Pending error={outputs.error} />;
  if (all.length === 0) return <p class="pending">No files yet. Frames are listed here as they are saved.</p>;
  const bytes = all.reduce((sum, output) => sum + output.size, 0);
  return (
    <>
      <p class="note">
        {plural(all.length, "file")}, {formatSize(bytes)}.{" "}
        <a href={archiveAddress(jobId)} download>
          All as a zip, with the logs
        </a>
      </p>
      <table>
        <caption class="unseen">Files that this job produced</caption>
        <thead>
          <tr>
            <th scope="col">File</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">SHA-256</th>
            <th scope="col">Task</th>
          </tr>
        </thead>
        <tbody>
          {all.slice(0, rows).map((output) => (
            <OutputRow key={output.path} jobId={jobId} output={output} />
          ))}
        </tbody>
      </table>
      {rows < all.length && (
        <button type="button" class="more" onClick={() => setRows(rows + ROWS)}>
          Show more of {plural(all.length, "file")}
        </button>
      )}
    </>
  );
}

const OutputRow = pure(({ jobId, output }: { jobId: string; output: JobOutput }) => {
  const name = output.path.split("/").at(-1) ?? output.path;
  return (
    <tr>
      <th scope="row">
        <a href={outputAddress(jobId, output.path)} download={name} title={output.location}>
          {output.path}
        </a>
      </th>
      <td class="number">{formatSize(output.size)}</td>
      <td title={output.sha256}>
        <code>{output.sha256.slice(0, 12)}</code>
      </td>
      <td>
        <Link href={formatRoute({ page: "job", id: jobId, view: "outputs", after: 0, task: output.task_id })}>
          Log<span class="unseen"> of the task that made {name}</span>
        </Link>
      </td>
    </tr>
  );
});
