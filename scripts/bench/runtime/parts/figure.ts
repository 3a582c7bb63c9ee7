export { atLeast, atMost, quantile, report, reportBeside, sizeOf } from "../../engine/parts/figure.ts";
