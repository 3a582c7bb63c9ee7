/** A file that is whole and known. `uuid` is in its address, `storageId` is its document. */
export type StoredFile = {
  readonly storageId: string;
  readonly uuid: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly contentType: string | null;
};
