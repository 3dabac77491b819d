// The small pieces that every page is made of.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { UnreachableError } from "../api";
import { useTimeText } from "../lib/farm";
import { formatAgo, formatCount, formatMoment, percent } from "../lib/format";
import { followLink } from "../lib/navigation";
import type { StatusLook } from "../lib/status";

export function Status({ look }: { look: StatusLook }) {
  return <span class={`status tone-${look.tone}`}>{look.label}</span>;
}

/** A link to an address of ours. */
export function Link(props: {
  href: string;
  class?: string;
  title?: string;
  current?: "page" | "true" | undefined;
  children: ComponentChildren;
}) {
  return (
    <a href={props.href} class={props.class} title={props.title} aria-current={props.current} onClick={followLink}>
      {props.children}
    </a>
  );
}

/** How long ago a moment was, with the moment itself on hover. `at` as in RFC 3339. */
export function TimeAgo({ at }: { at: string }) {
  const moment = Date.parse(at);
  const text = useTimeText((now) => formatAgo(moment, now));
  return (
    <time dateTime={at} title={formatMoment(moment)}>
      {text}
    </time>
  );
}

/** Steps done of all, as a bar and in numbers. */
export function Progress(props: { label: string; completed: number; total: number; look: StatusLook }) {
  const { label, completed, total, look } = props;
  const share = percent(completed, total);
  return (
    <div class="progress">
      <div
        class={`bar tone-${look.tone}`}
        role="progressbar"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={share}
      >
        <span style={{ width: `${share}%` }} />
      </div>
      <span class="progress-text" title={`${formatCount(completed)} of ${formatCount(total)} steps`}>
        {share}%
      </span>
    </div>
  );
}

export function EmptyState({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A command line to copy. */
export function CommandLine({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  // Browsers offer the clipboard only to pages from a secure origin; elsewhere the text can still be selected.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  return (
    <div class="command">
      <code>{text}</code>
      {clipboard !== undefined && (
        <button type="button" onClick={() => void clipboard.writeText(text).then(() => setCopied(true))}>
          {copied ? "Copied" : "Copy"}
        </button>
      )}
    </div>
  );
}

/** Stands where something is still being read, or says why it could not be. */
export function Pending({ error }: { error: Error | undefined }) {
  // That the manager is away is said once, by the banner, and passes by itself.
  if (error === undefined || error instanceof UnreachableError) return <p class="pending">Reading…</p>;
  return (
    <p class="pending" role="alert">
      {error.message}
    </p>
  );
}

/** The heading of a page. Gets the focus when the page opens, so that keyboard and screen reader start there. */
export function PageTitle({ title, children }: { title: string; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  useEffect(() => {
    document.title = `${title} · Hayloft`;
  }, [title]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children ?? title}
    </h1>
  );
}
