import { useQuery } from "convex/react";
import { useEffect, useRef, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { GpuJobView } from "../../../convex/model/gpuJob.ts";
import { useSpeech } from "../language/language.tsx";

/** What is shown of a long output is its end. */
const shownCharsMax = 100_000;
/** What has arrived is not sent again with what comes; the query moves on in steps of so many bytes. */
const stepBytes = 64_000;

/** Output as it comes, of the present machine or of an earlier one, kept at its end while that is looked at. */
export function Log({ id, attempt, isOver }: { id: GpuJobView["id"]; attempt?: number | undefined; isOver: boolean }) {
  const { gpu, gpuDetail: said } = useSpeech().words;
  const [past, setPast] = useState({ offset: 0, text: "", attempt: 0 });
  const page = useQuery(api.gpuJobs.log, { id, offset: past.offset, ...(attempt !== undefined && { attempt }) });
  const box = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);

  useEffect(() => {
    if (!page) return;
    // Another machine begins its output anew.
    if (page.attempt !== past.attempt) setPast({ offset: 0, text: "", attempt: page.attempt });
    else if (page.next - past.offset > stepBytes)
      setPast(({ text, attempt }) => ({ offset: page.next, text: (text + page.text).slice(-shownCharsMax), attempt }));
  }, [page, past]);

  const text = past.text + (page?.attempt === past.attempt ? page.text : "");
  useEffect(() => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);

  if (page === undefined && text === "") return null;
  return (
    <pre
      ref={box}
      className="gpu-log"
      data-testid="gpu-log"
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls, so keys must reach it
      tabIndex={0}
      aria-label={gpu.output}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {text === "" ? (isOver ? said.wroteNothing : gpu.noOutput) : text.slice(-shownCharsMax)}
    </pre>
  );
}
