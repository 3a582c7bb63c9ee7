import type { FunctionArgs, FunctionReference, FunctionReturnType } from "convex/server";

/** The control plane, reached as any client reaches it, with the appliance's own authority. */
export type State = {
  query<F extends FunctionReference<"query", "public" | "internal">>(f: F, args: FunctionArgs<F>): Promise<FunctionReturnType<F>>;
  mutation<F extends FunctionReference<"mutation", "public" | "internal">>(
    f: F,
    args: FunctionArgs<F>,
  ): Promise<FunctionReturnType<F>>;
  /**
   * Calls back with each new result, never before `watch` has returned, until the returned function is called. Errors go to
   * `onError`; the watch goes on.
   */
  watch<F extends FunctionReference<"query", "public" | "internal">>(
    f: F,
    args: FunctionArgs<F>,
    onResult: (result: FunctionReturnType<F>) => void,
    onError: (error: Error) => void,
  ): () => void;
};
