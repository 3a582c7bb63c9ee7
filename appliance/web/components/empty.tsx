import type { ReactNode } from "react";

type Props = { readonly title: string; readonly hint?: string; readonly children?: ReactNode };

/** Nothing to show, and what to do about it. */
export function Empty({ title, hint, children }: Props) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {hint && <p>{hint}</p>}
      {children}
    </div>
  );
}
