/** What `nika model train --with lora` asks for, and how a model of that kind is told. */
import { InvalidArgumentError } from "commander";
import { NikaError } from "../../convex/model/error.ts";
import type { Money } from "../../convex/model/gpu.ts";
import type { LoraWish, ModelResult } from "../../convex/model/model.ts";
import type { Writing } from "../../convex/model/written.ts";
import { oneLine } from "./text.ts";

const amount = /^(\d{1,6}(?:\.\d{1,2})?) ?(EUR|USD)$/iu;

/** Reads "5 EUR" or "2.50USD". */
export function moneyFlag(text: string): Money {
  const [, number, currency] = amount.exec(text.trim()) ?? [];
  if (number === undefined || Number(number) === 0)
    throw new InvalidArgumentError("It must be an amount of EUR or USD above 0: 5EUR, 2.50USD.");
  return { micros: Math.round(Number(number) * 1_000_000), currency: currency!.toUpperCase() === "USD" ? "USD" : "EUR" };
}

export type TuneFlags = { readonly with?: string; readonly base?: string; readonly spend?: Money };

/** Undefined for a model that is trained here. Fails with `invalid` on flags that do not go together. */
export function toWish({ with: way, base, spend }: TuneFlags): LoraWish | undefined {
  if (way !== undefined && way !== "lora")
    throw new NikaError("invalid", "`--with` knows `lora` alone; without it Nika trains its own table.");
  if (way === undefined && (base !== undefined || spend !== undefined))
    throw new NikaError("invalid", "`--base` and `--spend` belong to `--with lora`.");
  return way === "lora" ? { ...(base !== undefined && { base }), ...(spend && { costMax: spend }) } : undefined;
}

export type WriteFlags = { readonly write?: number; readonly send?: true };

/** Undefined where no language model is to be asked. */
export function toWriting({ write, send }: WriteFlags): Writing | undefined {
  if (write === undefined && send === true) throw new NikaError("invalid", "`--send` belongs to `--write`.");
  return write === undefined ? undefined : { passagesMax: write, sends: send === true };
}

type Lora = NonNullable<NonNullable<ModelResult["trained"]>["lora"]>;

export const loraLines = (lora: Lora): string[] => [
  `Trained beside ${oneLine(lora.base)}: rank ${lora.rank}, ${count(lora.trained)} numbers beside ${count(lora.numbers)}; loss from ${lora.firstLoss.toFixed(3)} to ` +
    `${lora.lastLoss.toFixed(3)}, ${Math.round(lora.seconds)} s on ${lora.device === "cpu" ? "a processor" : oneLine(lora.device)}, ${lora.memoryMb} MB` +
    `${lora.gpuMemoryMb === undefined ? "" : ` and ${lora.gpuMemoryMb} MB of the GPU`}.`,
  `The graph differs from torch by ${lora.maxAbsDifference.toExponential(1)}; served ${lora.isQuantized ? "in bytes" : "whole"}, cosine ${lora.servedCosine.toFixed(4)} to what the trainer gave.`,
  ...(lora.facts.length === 0 ? [] : [`Machine: ${lora.facts.map(oneLine).join("; ")}.`]),
];

const count = (number: number): string => number.toLocaleString("en");
