import { type LastRendered, readLastRendered } from "../api";
import { useLive } from "../lib/farm";
import { imageAddress } from "../lib/state";

/** Least time between two reads of where the image lies, in milliseconds. */
const IMAGE_GAP = 1000;

interface ImageState {
  image: LastRendered | undefined;
  /** Grows with each new image; the manager gives all of them the same address. */
  edition: number;
}

/** The newest image of a job; nothing while there is none. */
export function LastImage({ jobId, jobName }: { jobId: string; jobName: string }) {
  const state = useLive<ImageState>(`image:${jobId}`, [`job:${jobId}`], {
    gap: IMAGE_GAP,
    read: async (signal) => ({ image: await readLastRendered(jobId, signal), edition: Date.now() }),
    apply: (value, event) =>
      event.kind === "last-rendered" && event.jobId === jobId ? { image: event.image, edition: Date.now() } : value,
  });
  const { image, edition } = state.value ?? { image: undefined, edition: 0 };
  if (image === undefined) return null;
  const small = imageAddress(image, "small", edition);
  if (small === undefined) return null;
  return (
    <figure class="last-image">
      <a href={imageAddress(image, "full", edition)} target="_blank" rel="noreferrer">
        <img src={small} alt={`Newest image of ${jobName}`} />
      </a>
      <figcaption>Newest image</figcaption>
    </figure>
  );
}
