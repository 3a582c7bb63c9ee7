import { useMutation, useQuery } from "convex/react";
import { useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { BatchView } from "../../../convex/model/batch.ts";
import { defaultSettings } from "../../../convex/model/setting.ts";
import { useSpeech } from "../language/language.tsx";
import { foldersHref } from "../route.ts";
import { BatchCard } from "./batchCard.tsx";
import { Icon } from "./icon.tsx";
import { useAttempt } from "./notice.tsx";

const listedMax = 20;
/** Those that are over say so for this long. */
const freshMs = 10 * 60_000;

/** What is under way, what waits for the owner's word, and on request what came before. */
export function BatchList() {
  const { batches: words, ...rest } = useSpeech().words;
  const batches = useQuery(api.batches.list, { limit: listedMax });
  const room = useQuery(api.appliance.readingRoom);
  const [isAll, setAll] = useState(false);
  const [openedAt] = useState(() => Date.now());
  const isFresh = ({ state, endedAt = 0 }: BatchView): boolean =>
    (state !== "done" && state !== "cancelled") || endedAt > openedAt - freshMs;
  const shown = (batches ?? []).filter((batch) => isAll || isFresh(batch));
  const isReading = shown.some(({ state }) => state === "reading");
  const isMore = !isAll && shown.length < (batches?.length ?? 0);
  return (
    <section className="batches" aria-label={words.title}>
      <ReviewSwitch />
      {isReading && room?.because && <p className="fine">{words.slower(room.slots, room.because)}</p>}
      {shown.map((batch) => (
        <BatchCard key={batch.id} batch={batch} />
      ))}
      <div className="batch-links">
        {isMore && (
          <button type="button" className="link-button" onClick={() => setAll(true)}>
            {words.all}
          </button>
        )}
        <a className="link-button" href={foldersHref} data-testid="folders-link">
          <Icon name="eye" />
          {rest.folders.link}
        </a>
      </div>
    </section>
  );
}

/** Whether what is added waits for the owner's word. */
function ReviewSwitch() {
  const { batches } = useSpeech().words;
  const settings = useQuery(api.settings.get) ?? defaultSettings;
  const set = useMutation(api.settings.set).withOptimisticUpdate((store, changes) => {
    store.setQuery(api.settings.get, {}, { ...(store.getQuery(api.settings.get, {}) ?? defaultSettings), ...changes });
  });
  const attempt = useAttempt();
  return (
    <label className="switch">
      <input
        type="checkbox"
        role="switch"
        checked={settings.review === true}
        data-testid="review-switch"
        onChange={({ currentTarget: { checked } }) => attempt(() => set({ review: checked }))}
      />
      <span className="switch-words">
        <span>{batches.review}</span>
        <span className="fine">{batches.reviewHint}</span>
      </span>
    </label>
  );
}
