import type { ReactNode } from "react";

export type Fact = { readonly term: string; readonly value: ReactNode };

/** Only what there is. */
export function Facts({ facts, testid }: { facts: readonly Fact[]; testid: string }) {
  return (
    <dl className="facts gpu-facts card" data-testid={testid}>
      {facts.map(
        ({ term, value }) =>
          value !== undefined &&
          value !== "" && (
            <div key={term}>
              <dt>{term}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
