/** Which screen is shown, kept in the fragment, so that the back button works and a reload stays. */
import { useSyncExternalStore } from "react";

/** The last has a tab only where there is room; elsewhere the way to it leads through the one before. */
export const routes = ["ask", "documents", "activity", "functions"] as const;
export type Route = (typeof routes)[number];

export function useRoute(): Route {
  return useSyncExternalStore(onHashChange, currentRoute);
}

export function toHref(route: Route): string {
  return `#${route}`;
}

function currentRoute(): Route {
  const name = window.location.hash.slice(1);
  return routes.find((route) => route === name) ?? "ask";
}

function onHashChange(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}
