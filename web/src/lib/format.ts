// Times, sizes and shares in words.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in whole seconds, as `42s`, `3m 05s`, `2h 07m` or `4d 03h`. */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  if (total < MINUTE) return `${total}s`;
  if (total < HOUR) return pair(total, MINUTE, "m", 1, "s");
  if (total < DAY) return pair(total, HOUR, "h", MINUTE, "m");
  return pair(total, DAY, "d", HOUR, "h");
}

function pair(total: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((total % big) / small);
  return `${Math.floor(total / big)}${bigUnit} ${String(rest).padStart(2, "0")}${smallUnit}`;
}

/** How long ago `at` was, both in milliseconds since the epoch. A clock that is ahead of ours reads as `just now`. */
export function formatAgo(at: number, now: number): string {
  const seconds = Math.floor((now - at) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < MINUTE) return `${seconds}s ago`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)}m ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)}h ago`;
  return `${Math.floor(seconds / DAY)}d ago`;
}

/** Date and time of day with seconds in the reader's own time zone and language. */
export function formatMoment(at: number): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }).format(at);
}

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** A number of bytes with three significant digits and a binary unit. */
export function formatSize(bytes: number): string {
  let unit = 0;
  let value = bytes;
  // 999.5 is where three digits round up to a fourth.
  while (value >= 999.5 && unit < SIZE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = unit === 0 ? String(value) : value.toPrecision(3);
  return `${text} ${SIZE_UNITS[unit]}`;
}

/** The share that is done as whole percent from 0 to 100. It is 100 only when nothing is left. */
export function percent(completed: number, total: number): number {
  if (total <= 0) return 0;
  return Math.min(100, Math.max(0, Math.floor((completed / total) * 100)));
}

/** A whole number with the reader's thousands separator. */
export function formatCount(n: number): string {
  return new Intl.NumberFormat().format(n);
}

/** `1 task`, `2 tasks`. */
export function plural(n: number, singular: string): string {
  return `${formatCount(n)} ${singular}${n === 1 ? "" : "s"}`;
}
