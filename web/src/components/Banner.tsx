import { retryNow, useConnection, useTimeText } from "../lib/farm";
import { formatDuration, formatMoment } from "../lib/format";

/** Says that the manager is away, for as long as it is. */
export function Banner() {
  const connection = useConnection();
  const wait = useTimeText((now) =>
    connection.state === "away" ? formatDuration(Math.ceil((connection.retryAt - now) / 1000)) : "",
  );
  // The region stays in the document, because screen readers announce only what appears inside a known one.
  return (
    <div role="status">
      {connection.state === "away" && (
        <div class="banner">
          <p>
            <strong>The manager does not answer.</strong>
            {connection.since !== undefined && ` What you see is from ${formatMoment(connection.since)}.`} This page
            tries again by itself <span aria-hidden="true">in {wait}</span>.
          </p>
          <button type="button" onClick={retryNow}>
            Try now
          </button>
        </div>
      )}
    </div>
  );
}
