/** A due job of `ctx.scheduler` or of crons.ts, claimed durably before it is handed out. */
export type DueJob = { readonly id: string; readonly path: string; readonly args: string; readonly kind: "mutation" | "action" };
