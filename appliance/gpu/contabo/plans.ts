/** Plans that may be bought, as the owner writes them: `V94:6:12000:100000:PRICE:EUR:2026-11-21`, several with spaces between. */
import { NikaError } from "../../../convex/model/error.ts";

/** What nobody entered is not bought. */
export type ContaboPlan = {
  /** "V94" */
  readonly productId: string;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
  /** Of a month, without what is paid once. */
  readonly monthlyMicros: number;
  readonly currency: "EUR" | "USD";
  /** When the owner read it: "2026-11-21". */
  readonly readOn: string;
};

const written =
  /^(?<productId>V\d{1,4}):(?<cpus>\d{1,3}):(?<memoryMb>\d{1,7}):(?<diskMb>\d{1,8}):(?<price>\d{1,5}(?:\.\d{1,6})?):(?<currency>EUR|USD):(?<readOn>\d{4}-\d{2}-\d{2})$/;

/** Fails with `invalid`, naming the one that cannot be read. */
export function parsePlans(text: string): ContaboPlan[] {
  return text
    .split(/[\s,]+/)
    .filter((one) => one !== "")
    .map((one): ContaboPlan => {
      const { productId, cpus, memoryMb, diskMb, price, currency, readOn } = written.exec(one)?.groups ?? {};
      if (productId === undefined || readOn === undefined || Number.isNaN(Date.parse(readOn)))
        throw new NikaError(
          "invalid",
          `"${one}" is no plan; write PRODUCT:CPUS:MEMORY_MB:DISK_MB:PRICE:EUR:DATE, as V94:6:12000:100000:PRICE:EUR:2026-11-21.`,
        );
      return {
        productId,
        cpus: Number(cpus),
        memoryMb: Number(memoryMb),
        diskMb: Number(diskMb),
        monthlyMicros: Math.round(Number(price) * 1e6),
        currency: currency === "USD" ? "USD" : "EUR",
        readOn,
      };
    });
}
