import type { Progress } from "../../../convex/model/document.ts";

type Props = { readonly label: string; readonly progress?: Progress | undefined; readonly testId?: string };

/** The browser's own progress element; without numbers yet it shows that something is going on. */
export function ProgressBar({ label, progress, testId }: Props) {
  const amount = progress && progress.total > 0 ? { value: progress.done, max: progress.total } : {};
  return <progress className="progress" aria-label={label} data-testid={testId} {...amount} />;
}
