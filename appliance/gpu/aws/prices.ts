/**
 * What a machine costs on demand, from AWS's price list (its query service: the whole list is a file of gigabytes), and on the spot
 * market, from its history. The list is held for six hours: it changes a few times a year.
 */
import { priceAgeMaxMs } from "../../../convex/model/budget.ts";
import type { AwsJson } from "./json.ts";
import { priceList } from "./json.ts";

const keptMs = 6 * 3_600_000;
const source = "AWS price list";

export type ListPrice = { readonly micros: number; readonly pricedAt: number; readonly source: string };
export type Prices = {
  /** Dollars an hour in micro-units, by the name of the kind of machine; what the list has no price of is absent. */
  onDemand(region: string, types: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, ListPrice>>;
  /** The same for SageMaker's training, whose kinds begin with "ml.". */
  training(region: string, types: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, ListPrice>>;
};

type Asking = { readonly service: string; readonly field: string; readonly filters: readonly object[] };

const term = (Field: string, Value: string): object => ({ Type: "TERM_MATCH", Field, Value });
const anyOf = (Field: string, values: readonly string[]): object => ({ Type: "ANY_OF", Field, Value: values.join(",") });

/** Types asked for at once, so that a filter stays short. */
const typesAtOnce = 50;

export function openPrices(json: AwsJson, now: () => number): Prices {
  const kept = new Map<string, ListPrice | undefined>();
  const keptAt = new Map<string, number>();

  const keyIn = (region: string, { service }: Asking, type: string): string => `${service}/${region}/${type}`;

  async function read(region: string, wanted: readonly string[], ask: Asking, signal: AbortSignal): Promise<void> {
    const keyOf = (type: string): string => keyIn(region, ask, type);
    for (let at = 0; at < wanted.length; at += typesAtOnce) {
      const some = wanted.slice(at, at + typesAtOnce);
      const found = new Map<string, number>();
      let next: string | undefined;
      do {
        const answer = (await json.ask(
          [priceList, "us-east-1", "GetProducts"],
          {
            ServiceCode: ask.service,
            FormatVersion: "aws_v1",
            MaxResults: 100,
            Filters: [term("regionCode", region), anyOf(ask.field, some), ...ask.filters],
            ...(next === undefined ? {} : { NextToken: next }),
          },
          signal,
        )) as { PriceList?: readonly string[]; NextToken?: string };
        for (const line of answer.PriceList ?? []) {
          const { type, micros } = hourlyOf(line, ask.field);
          if (type !== undefined && micros > 0) found.set(type, Math.max(found.get(type) ?? 0, micros));
        }
        next = answer.NextToken;
      } while (next !== undefined && next !== "");
      for (const type of some) {
        const micros = found.get(type);
        kept.set(keyOf(type), micros === undefined ? undefined : { micros, pricedAt: now(), source });
        keptAt.set(keyOf(type), now());
      }
    }
  }

  async function priced(
    region: string,
    types: readonly string[],
    ask: Asking,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ListPrice>> {
    const keyOf = (type: string): string => keyIn(region, ask, type);
    const ageOf = (type: string): number => now() - (keptAt.get(keyOf(type)) ?? Number.NEGATIVE_INFINITY);
    const wanted = types.filter((type) => ageOf(type) >= keptMs);
    try {
      await read(region, wanted, ask, signal);
    } catch (error) {
      signal.throwIfAborted();
      // What was read today is still today's price, and says when it was read.
      if (!wanted.every((type) => ageOf(type) < priceAgeMaxMs)) throw error;
    }
    return new Map(types.flatMap((type) => (kept.get(keyOf(type)) ? [[type, kept.get(keyOf(type)) as ListPrice]] : [])));
  }

  return {
    onDemand: (region, types, signal) =>
      priced(
        region,
        types,
        {
          service: "AmazonEC2",
          field: "instanceType",
          filters: [
            term("operatingSystem", "Linux"),
            term("tenancy", "Shared"),
            term("preInstalledSw", "NA"),
            term("capacitystatus", "Used"),
          ],
        },
        signal,
      ),
    training: (region, types, signal) =>
      priced(
        region,
        types,
        { service: "AmazonSageMaker", field: "instanceName", filters: [term("component", "Training")] },
        signal,
      ),
  };
}

type Product = {
  product?: { attributes?: Readonly<Record<string, string>> };
  terms?: {
    OnDemand?: Readonly<
      Record<string, { priceDimensions?: Readonly<Record<string, { unit?: string; pricePerUnit?: { USD?: string } }>> }>
    >;
  };
};

function hourlyOf(line: string, field: string): { readonly type: string | undefined; readonly micros: number } {
  const { product, terms } = JSON.parse(line) as Product;
  const dollars = Object.values(terms?.OnDemand ?? {})
    .flatMap((one) => Object.values(one.priceDimensions ?? {}))
    .filter(({ unit }) => /^h(ou)?rs?$/i.test(unit ?? ""))
    .map(({ pricePerUnit }) => Number(pricePerUnit?.USD ?? 0));
  const most = Math.max(0, ...dollars);
  return { type: product?.attributes?.[field], micros: Math.round(most * 1_000_000) };
}
