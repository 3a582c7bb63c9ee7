import type { Form, ProviderId } from "../../convex/model/gpu.ts";

/** Machines that are rented to work for this appliance. */
export type Workers = {
  /** Why a machine there could do nothing for it, in a sentence on what to do about that; undefined when it can. */
  problem(machine: {
    readonly provider: ProviderId;
    readonly form: Form;
    readonly image?: string | undefined;
  }): string | undefined;
};
