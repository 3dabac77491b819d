// The page's one stream of events, and the hooks by which components follow it.

import { useEffect, useRef, useState } from "preact/hooks";
import { eventsAddress } from "../api";
import { systemClock } from "./clock";
import { LiveValue, type Reading, type Recipe } from "./live";
import { EventStream, type Connection } from "./stream";
import { Throttle } from "./throttle";

/** Least time between two drawings of one value, in milliseconds: a busy farm sends hundreds of events a second. */
const DRAW_GAP = 100;

const stream = new EventStream({
  open: (topics) => new EventSource(eventsAddress(topics)),
  clock: systemClock,
  random: Math.random,
});

/** Ties the stream to the life of the page: none while it is hidden, a new try when the network comes back. */
export function startFarm(): void {
  document.addEventListener("visibilitychange", () => stream.setVisible(!document.hidden));
  addEventListener("online", () => stream.retryNow());
  stream.setVisible(!document.hidden);
}

export function retryNow(): void {
  stream.retryNow();
}

export function useConnection(): Connection {
  const [connection, setConnection] = useState(stream.connection);
  useEffect(() => stream.watch(() => setConnection(stream.connection)), []);
  return connection;
}

export interface Live<T> extends Reading<T> {
  /** The value belongs to the key before; the one of the present key is being read. */
  stale: boolean;
}

/**
 * Keeps a value live. `key` names the value: another key is another value and is read anew, with the old one kept as
 * `stale` meanwhile. `topics` and `recipe` may depend on nothing but the key.
 */
export function useLive<T>(key: string, topics: readonly string[], recipe: Recipe<T>): Live<T> {
  const [held, setHeld] = useState<Reading<T> & { key: string }>({ key, value: undefined, error: undefined });
  useEffect(() => {
    const drawing = new Throttle<Reading<T>>(DRAW_GAP, systemClock, (reading) => setHeld({ ...reading, key }));
    const live = new LiveValue<T>(recipe, systemClock, (reading) => drawing.put(reading));
    const unsubscribe = stream.subscribe({
      topics,
      onSync: () => live.sync(),
      onEvent: (event) => live.handle(event),
    });
    return () => {
      unsubscribe();
      live.close();
      drawing.close();
    };
  }, [key]);
  return { value: held.value, error: held.error, stale: held.key !== key };
}

const TICK = 1000;

const tickers = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;

// All texts on the page share one timer, which stops with the last of them.
function everyTick(run: () => void): () => void {
  tickers.add(run);
  ticking ??= setInterval(() => {
    for (const each of [...tickers]) each();
  }, TICK);
  return () => {
    tickers.delete(run);
    if (tickers.size > 0) return;
    clearInterval(ticking);
    ticking = undefined;
  };
}

/** A text about the present time, kept right; the component is drawn again only when the text changes. */
export function useTimeText(text: (now: number) => string): string {
  const latest = useRef(text);
  latest.current = text;
  const shown = text(Date.now());
  const [, redraw] = useState(shown);
  useEffect(() => everyTick(() => redraw(latest.current(Date.now()))), []);
  return shown;
}
