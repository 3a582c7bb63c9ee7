/** What `schema.export()` gives, reduced to what the engine uses. */
import { limits } from "./limits.ts";
import { DeveloperError } from "./value.ts";
import type { Validator } from "./validator.ts";

export type IndexDefinition = { readonly name: string; readonly fields: readonly string[] };
export type TableDefinition = {
  readonly name: string;
  readonly indexes: readonly IndexDefinition[];
  /** Absent when any document may be stored. */
  readonly document: Validator | undefined;
};
export type Schema = { readonly isEnforced: boolean; readonly tables: readonly TableDefinition[] };

type ExportedSchema = {
  readonly schemaValidation?: boolean;
  readonly tables: readonly {
    readonly tableName: string;
    readonly indexes?: readonly { readonly indexDescriptor: string; readonly fields: readonly string[] }[];
    readonly searchIndexes?: readonly unknown[];
    readonly vectorIndexes?: readonly unknown[];
    readonly documentType?: Validator | null;
  }[];
};

export const noSchema: Schema = { isEnforced: false, tables: [] };

/** Fails on what the embedded engine cannot hold to. */
export function parseSchema(text: string): Schema {
  const exported = JSON.parse(text) as ExportedSchema;
  const tables = exported.tables.map((table): TableDefinition => {
    const named = `Table "${table.tableName}"`;
    if (table.searchIndexes?.length || table.vectorIndexes?.length)
      throw new DeveloperError(`${named} has a search or vector index: not supported by the embedded engine yet.`);
    const indexes = (table.indexes ?? []).map((one) => ({ name: one.indexDescriptor, fields: one.fields }));
    if (indexes.length > limits.indexesPerTableMax)
      throw new DeveloperError(`${named} has ${indexes.length} indexes; ${limits.indexesPerTableMax} is the most.`);
    for (const index of indexes)
      if (index.fields.length > limits.fieldsPerIndexMax)
        throw new DeveloperError(`${named}: index ${index.name} has more than ${limits.fieldsPerIndexMax} fields.`);
    return { name: table.tableName, indexes, document: table.documentType ?? undefined };
  });
  return { isEnforced: exported.schemaValidation ?? true, tables };
}
