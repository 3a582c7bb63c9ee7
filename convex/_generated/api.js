/* Written by scripts/codegen.ts. Do not edit: change the functions and run `npm run codegen`. */
import { anyApi } from "convex/server";

export const api = anyApi;
export const internal = anyApi;
