// The end of a task's log. Events only say that there is more; the text is read by byte offset, so that nothing is
// shown twice and nothing is left out, however events and answers overtake each other.

export interface LogText {
  text: string;
  /** Bytes of the log that `text` reaches to, counted from the log's start; always the end of a character. */
  offset: number;
  /** Whether there is text before `text` that is not shown. */
  cut: boolean;
}

/** Bytes before the end of a log at which reading begins. */
export const LOG_START = 64 * 1024;

/** Most characters that are kept. */
export const LOG_KEPT = 256 * 1024;

/** A log of `size` bytes of which nothing has been read. */
export function openLog(size: number): LogText {
  const offset = Math.max(0, size - LOG_START);
  return { text: "", offset, cut: offset > 0 };
}

/** The log with the bytes from `log.offset` on added, save those of a character whose end has not come yet. */
export function appendLog(log: LogText, bytes: Uint8Array): LogText {
  const whole = bytes.subarray(0, wholeCharacters(bytes));
  if (whole.length === 0) return log;
  const begins = log.text === "" && log.cut;
  const added = new TextDecoder().decode(whole);
  const text = log.text + (begins ? fromLineStart(added) : added);
  return { text: bounded(text), offset: log.offset + whole.length, cut: log.cut || text.length > LOG_KEPT };
}

// Length of the longest part of `bytes` that does not end inside a UTF-8 sequence (RFC 3629, section 3).
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    const continues = (byte & 0xc0) === 0x80;
    if (continues) continue;
    return sequenceLength(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function sequenceLength(lead: number): number {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}

function fromLineStart(text: string): string {
  const end = text.indexOf("\n");
  return end < 0 ? text : text.slice(end + 1);
}

function bounded(text: string): string {
  return text.length <= LOG_KEPT ? text : fromLineStart(text.slice(-LOG_KEPT));
}

/** The end of a log, read up to its present end; goes on from `previous` when there is one. */
export async function readLogEnd(
  previous: LogText | undefined,
  readSize: () => Promise<number>,
  read: (from: number) => Promise<Uint8Array>,
): Promise<LogText> {
  let log = previous ?? openLog(await readSize());
  for (;;) {
    const longer = appendLog(log, await read(log.offset));
    if (longer === log) return log;
    log = longer;
  }
}
