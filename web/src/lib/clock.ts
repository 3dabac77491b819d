/** Time as a parameter. Both in milliseconds; `after` returns a function that calls the timer off. */
export interface Clock {
  now(): number;
  after(delay: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delay, run) {
    const timer = setTimeout(run, delay);
    return () => clearTimeout(timer);
  },
};
