/** Which screen is shown, kept in the fragment, so that the back button works and a reload stays. */
import { useMemo, useSyncExternalStore } from "react";

/** What has a tab everywhere. */
const mainRoutes = ["ask", "documents", "schedules", "activity"] as const;
/** What has one only where there is room; on a phone the way leads through `more`. */
export const asideRoutes = ["runs", "bridge", "tools", "owned", "models", "gpu", "functions"] as const;
export const routes = [...mainRoutes, ...asideRoutes, "more"] as const;
export type Route = (typeof routes)[number];

export const isAside = (route: Route): boolean => asideRoutes.some((one) => one === route);

export function useRoute(): Route {
  return useSyncExternalStore(onHashChange, currentRoute);
}

/** What is looked at more closely on the documents' screen: one of them, what was handed in together, or the watched folders. */
export type Detail =
  | { readonly type: "document"; readonly id: string; readonly passage: number | undefined }
  | { readonly type: "batch"; readonly id: string }
  | { readonly type: "folders" };

export function useDetail(): Detail | undefined {
  const hash = useSyncExternalStore(onHashChange, () => window.location.hash);
  return useMemo(() => toDetail(hash), [hash]);
}

/** The question of a program that wants to connect, when this page was opened to answer one. */
export function useConsent(): string | undefined {
  const hash = useSyncExternalStore(onHashChange, () => window.location.hash);
  return /^#tools\/consent\/([\w-]{1,64})$/.exec(hash)?.[1];
}

/** What is looked at more closely on the machines' screen. */
export type GpuDetail = { readonly type: "job" | "machine"; readonly id: string };

export function useGpuDetail(): GpuDetail | undefined {
  const hash = useSyncExternalStore(onHashChange, () => window.location.hash);
  return useMemo(() => toGpuDetail(hash), [hash]);
}

export function toGpuDetail(hash: string): GpuDetail | undefined {
  const [, type, id] = /^#gpu\/(job|machine)\/([\w-]{1,64})$/.exec(hash) ?? [];
  return id === undefined ? undefined : { type: type as GpuDetail["type"], id };
}

export const toGpuHref = ({ type, id }: GpuDetail): string => `#gpu/${type}/${id}`;

/** `passage`: which of its passages to show first, from 0. */
export const toDocumentHref = (id: string, passage?: number): string =>
  `#documents/document/${id}${passage === undefined ? "" : `/${passage}`}`;
export const toBatchHref = (id: string): string => `#documents/batch/${id}`;
export const foldersHref = "#documents/folders";

export function toDetail(hash: string): Detail | undefined {
  const [route, type, id = "", passage] = hash.slice(1).split("/");
  if (route !== "documents") return undefined;
  if (type === "folders") return { type };
  if (id === "" || (type !== "document" && type !== "batch")) return undefined;
  if (type === "batch") return { type, id };
  return { type, id, passage: passage !== undefined && /^\d{1,9}$/.test(passage) ? Number(passage) : undefined };
}

export function toHref(route: Route): string {
  return `#${route}`;
}

function currentRoute(): Route {
  const [name] = window.location.hash.slice(1).split("/");
  return routes.find((route) => route === name) ?? "ask";
}

function onHashChange(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}
