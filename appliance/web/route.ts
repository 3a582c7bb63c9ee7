/** Which screen is shown, kept in the fragment, so that the back button works and a reload stays. */
import { useSyncExternalStore } from "react";

export const routes = ["ask", "documents", "activity"] as const;
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
