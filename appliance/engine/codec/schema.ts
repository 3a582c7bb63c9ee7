/** What `schema.export()` gives, reduced to what the engine uses. */
import { limits } from "./limits.ts";
import { DeveloperError } from "./value.ts";
import type { Validator } from "./validator.ts";

export type IndexDefinition = { readonly name: string; readonly fields: readonly string[] };
export type SearchDefinition = { readonly name: string; readonly searchField: string; readonly filterFields: readonly string[] };
export type VectorDefinition = {
  readonly name: string;
  readonly vectorField: string;
  readonly dimensions: number;
  readonly filterFields: readonly string[];
};
export type TableDefinition = {
  readonly name: string;
  readonly indexes: readonly IndexDefinition[];
  readonly texts: readonly SearchDefinition[];
  readonly vectors: readonly VectorDefinition[];
  /** Absent when any document may be stored. */
  readonly document: Validator | undefined;
};
export type Schema = { readonly isEnforced: boolean; readonly tables: readonly TableDefinition[] };

type ExportedSchema = {
  readonly schemaValidation?: boolean;
  readonly tables: readonly {
    readonly tableName: string;
    readonly indexes?: readonly { readonly indexDescriptor: string; readonly fields: readonly string[] }[];
    readonly searchIndexes?: readonly (Omit<SearchDefinition, "name"> & { readonly indexDescriptor: string })[];
    readonly vectorIndexes?: readonly (Omit<VectorDefinition, "name"> & { readonly indexDescriptor: string })[];
    readonly stagedSearchIndexes?: readonly unknown[];
    readonly stagedVectorIndexes?: readonly unknown[];
    readonly documentType?: Validator | null;
  }[];
};

export const noSchema: Schema = { isEnforced: false, tables: [] };

/** Fails on what the embedded engine cannot hold to. */
export function parseSchema(text: string): Schema {
  const exported = JSON.parse(text) as ExportedSchema;
  const tables = exported.tables.map((table): TableDefinition => {
    const named = `Table "${table.tableName}"`;
    if (!isName(table.tableName))
      throw new DeveloperError(`${named}: a table's name is letters, digits and underscores, a letter first, 64 at most.`);
    checkFields(named, table.documentType ?? undefined);
    if (table.stagedSearchIndexes?.length || table.stagedVectorIndexes?.length)
      throw new DeveloperError(`${named} has a staged search or vector index: not supported by the embedded engine yet.`);
    const indexes = (table.indexes ?? []).map((one) => ({ name: one.indexDescriptor, fields: one.fields }));
    if (indexes.length > limits.indexesPerTableMax)
      throw new DeveloperError(`${named} has ${indexes.length} indexes; ${limits.indexesPerTableMax} is the most.`);
    for (const index of indexes)
      if (index.fields.length > limits.fieldsPerIndexMax)
        throw new DeveloperError(`${named}: index ${index.name} has more than ${limits.fieldsPerIndexMax} fields.`);
    const texts = (table.searchIndexes ?? []).map(({ indexDescriptor: name, searchField, filterFields }) => ({
      name,
      searchField,
      filterFields,
    }));
    const vectors = (table.vectorIndexes ?? []).map(({ indexDescriptor: name, vectorField, dimensions, filterFields }) => ({
      name,
      vectorField,
      dimensions,
      filterFields,
    }));
    for (const { name } of [...indexes, ...texts, ...vectors])
      if (!isName(name) || reserved.has(name))
        throw new DeveloperError(
          `${named}: "${name}" cannot name an index: letters, digits and underscores, a letter first, 64 at most, and not by_id or by_creation_time.`,
        );
    checkSearches(named, texts, vectors);
    checkReferences(table.tableName, table.documentType ?? undefined, { indexes, texts, vectors });
    return { name: table.tableName, indexes, texts, vectors, document: table.documentType ?? undefined };
  });
  return { isEnforced: exported.schemaValidation ?? true, tables };
}

const reserved = new Set(["by_id", "by_creation_time"]);

function isName(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(text);
}

/** Fields that begin with an underscore are the system's. */
function checkFields(named: string, document: Validator | undefined): void {
  if (document?.type === "union") for (const one of document.value) checkFields(named, one);
  if (document?.type !== "object") return;
  for (const field in document.value)
    if (field.startsWith("_") && field !== "_id" && field !== "_creationTime")
      throw new DeveloperError(`${named}: field "${field}" begins with an underscore, which only system fields may.`);
}

/** An index on a field that no document can have is a mistake, and told in the original's words. */
function checkReferences(
  table: string,
  document: Validator | undefined,
  { indexes, texts, vectors }: Pick<TableDefinition, "indexes" | "texts" | "vectors">,
): void {
  for (const { name, fields } of indexes) {
    if (fields.includes("_id"))
      throw new DeveloperError(`In table "${table}" the index "${name}" has the field _id, which is always there.`);
    if (new Set(fields).size < fields.length)
      throw new DeveloperError(`In table "${table}" the index "${name}" has a field more than once.`);
  }
  const referenced = [
    ...indexes.map(({ name, fields }) => ({ name, fields })),
    ...texts.map(({ name, searchField, filterFields }) => ({ name, fields: [searchField, ...filterFields] })),
    ...vectors.map(({ name, vectorField, filterFields }) => ({ name, fields: [vectorField, ...filterFields] })),
  ];
  for (const { name, fields } of referenced)
    for (const field of fields)
      if (document && !/^_[^.]*$/.test(field) && !canContain(document, field.split(".")))
        throw new DeveloperError(
          `In table "${table}" the index "${name}" is invalid because it references the field ${field} that does not exist.`,
        );
}

function canContain(validator: Validator, [first, ...rest]: readonly string[]): boolean {
  if (first === undefined) return true;
  if (validator.type === "any") return true;
  if (validator.type === "union") return validator.value.some((one) => canContain(one, [first, ...rest]));
  if (validator.type === "record") return canContain(validator.values.fieldType, rest);
  if (validator.type !== "object") return false;
  const field = Object.hasOwn(validator.value, first) ? validator.value[first] : undefined;
  return field !== undefined && canContain(field.fieldType, rest);
}

function checkSearches(named: string, texts: readonly SearchDefinition[], vectors: readonly VectorDefinition[]): void {
  if (texts.length > limits.searchIndexesPerTableMax || vectors.length > limits.searchIndexesPerTableMax)
    throw new DeveloperError(`${named} may have ${limits.searchIndexesPerTableMax} search and as many vector indexes.`);
  for (const { name, filterFields } of [...texts, ...vectors])
    if (filterFields.length > limits.fieldsPerIndexMax)
      throw new DeveloperError(`${named}: index ${name} has more than ${limits.fieldsPerIndexMax} filter fields.`);
  for (const { name, dimensions } of vectors)
    if (!Number.isInteger(dimensions) || dimensions < limits.dimensionsMin || dimensions > limits.dimensionsMax)
      throw new DeveloperError(
        `${named}: vector index ${name} has ${dimensions} dimensions; it may have ${limits.dimensionsMin} to ${limits.dimensionsMax}.`,
      );
}
