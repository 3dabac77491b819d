import { useLayoutEffect, useRef } from "preact/hooks";
import { readLog, readLogInfo } from "../api";
import { useLive } from "../lib/farm";
import { type LogText, readLogEnd } from "../lib/log";
import { Pending } from "./parts";

/** Least time between two reads of a log, in milliseconds: a chatty task then costs a few small requests a second. */
const LOG_GAP = 250;

/** Distance from the end, in pixels, within which the view follows new lines. */
const FOLLOW_WITHIN = 24;

/** The end of a task's log; follows new lines as long as the reader has not scrolled up. */
export function LogTail({ taskId }: { taskId: string }) {
  const log = useLive<LogText>(`log:${taskId}`, [`tasklog:${taskId}`], {
    gap: LOG_GAP,
    read: (signal, previous) =>
      readLogEnd(
        previous,
        async () => (await readLogInfo(taskId, signal))?.size ?? 0,
        (from) => readLog(taskId, from, signal),
      ),
    apply(value, event, reread) {
      if (event.kind === "tasklog" && event.taskId === taskId) reread();
      if (event.kind === "task" && event.task.id === taskId) reread();
      return value;
    },
  });
  const view = useRef<HTMLPreElement>(null);
  const following = useRef(true);
  const text = log.value?.text ?? "";
  useLayoutEffect(() => {
    if (following.current && view.current !== null) view.current.scrollTop = view.current.scrollHeight;
  }, [text]);
  const watchScroll = ({ currentTarget: at }: { currentTarget: HTMLPreElement }) => {
    following.current = at.scrollHeight - at.scrollTop - at.clientHeight < FOLLOW_WITHIN;
  };
  if (log.value === undefined) return <Pending error={log.error} />;
  if (text === "") return <p class="pending">Nothing has been logged yet.</p>;
  return (
    <>
      {log.value.cut && <p class="note">Earlier lines are left out here.</p>}
      <pre ref={view} class="log" role="region" aria-label="Log" tabIndex={0} onScroll={watchScroll}>
        {text}
      </pre>
    </>
  );
}
