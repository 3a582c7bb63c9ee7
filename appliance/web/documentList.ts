/** Which documents are on the list: all of them page by page, those of one state, or those a search finds. */
import { usePaginatedQuery, useQuery } from "convex/react";
import { useEffect } from "react";
import { api } from "../../convex/_generated/api.js";
import type { DocumentState, DocumentView } from "../../convex/model/document.ts";

export type DocumentList = {
  /** Undefined while the first ones are on their way. */
  readonly documents: readonly DocumentView[] | undefined;
  /** Present when there are more. */
  readonly more?: (() => void) | undefined;
};

const pageSize = 50;
/** As many as a search by part of a name looks through; a whole name is found among all. */
const searchedMax = 1_000;
const stateMax = 200;

export function useDocumentList(state: DocumentState | undefined, search: string): DocumentList {
  const everything = usePaginatedQuery(api.documents.page, state === undefined ? {} : "skip", { initialNumItems: pageSize });
  const ofState = useQuery(api.documents.list, state === undefined ? "skip" : { state, limit: stateMax });
  const wanted = search.trim();
  const named = useQuery(api.documents.find, wanted === "" ? "skip" : { name: wanted });

  const { status, loadMore, results } = everything;
  useEffect(() => {
    if (wanted !== "" && status === "CanLoadMore" && results.length < searchedMax) loadMore(pageSize * 4);
  }, [wanted, status, results.length, loadMore]);

  const isLoading = state === undefined ? status === "LoadingFirstPage" : ofState === undefined;
  if (isLoading) return { documents: undefined };
  const listed = state === undefined ? results : (ofState ?? []);
  if (wanted !== "") return { documents: withNamed(listed.filter(matches(wanted)), named ?? [], state) };
  return { documents: listed, more: status === "CanLoadMore" ? () => loadMore(pageSize * 2) : undefined };
}

/** Case and accents do not count: people type what is quickest. */
export function matches(wanted: string): (document: { readonly name: string }) => boolean {
  const plain = toPlain(wanted);
  return ({ name }) => toPlain(name).includes(plain);
}

function toPlain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function withNamed(
  found: readonly DocumentView[],
  named: readonly DocumentView[],
  state: DocumentState | undefined,
): readonly DocumentView[] {
  const held = new Set(found.map(({ id }) => id));
  const others = named.filter((document) => !held.has(document.id) && (state === undefined || document.state === state));
  return [...others, ...found];
}
