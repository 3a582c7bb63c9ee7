import { useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { useSpeech } from "../language/language.tsx";
import { isAside, routes, toHref, type Route } from "../route.ts";
import { Icon } from "./icon.tsx";

export function Navigation({ route }: { route: Route }) {
  const { words, number } = useSpeech();
  const counts = useQuery(api.jobs.counts);
  const open = counts ? counts.ready + counts.leased : 0;
  return (
    <nav className="tabs" aria-label={words.navigation.label}>
      {routes.map((one) => (
        <a
          key={one}
          className={`tab tab-${one}${isAside(one) ? " is-aside" : ""}`}
          href={toHref(one)}
          aria-current={one === route ? "page" : one === "more" && isAside(route) ? "true" : undefined}
          data-testid={`tab-${one}`}
        >
          <Icon name={one} />
          <span>{words.navigation[one]}</span>
          {one === "activity" && open > 0 && (
            <span className="tab-count" data-testid="open-jobs">
              <span aria-hidden="true">{number(open)}</span>
              <span className="unseen">{words.navigation.openJobs(open)}</span>
            </span>
          )}
        </a>
      ))}
    </nav>
  );
}
