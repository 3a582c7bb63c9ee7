import { useConvex } from "convex/react";
import { createContext, useContext, useEffect, useState, useSyncExternalStore, type ReactNode } from "react";
import type { ConvexReactClient } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { fingerprintOf, sendFile } from "./send.ts";
import { isEnded, openUploads, type Upload, type UploadPort, type Uploads } from "./upload.ts";

const UploadsContext = createContext<Uploads | undefined>(undefined);

/** Holds the uploads above the screens, so that looking elsewhere does not stop them. */
export function UploadsProvider({ children }: { children: ReactNode }) {
  const convex = useConvex();
  const [uploads] = useState(() => openUploads(toPort(convex)));
  const list = useSyncExternalStore(uploads.onChange, uploads.list);
  const isBusy = list.some((upload) => !isEnded(upload));

  useEffect(() => {
    if (!isBusy) return;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [isBusy]);

  return <UploadsContext value={uploads}>{children}</UploadsContext>;
}

export function useUploads(): { uploads: Uploads; list: readonly Upload[] } {
  const uploads = useContext(UploadsContext);
  if (!uploads) throw new Error("useUploads is used outside UploadsProvider");
  return { uploads, list: useSyncExternalStore(uploads.onChange, uploads.list) };
}

function toPort(convex: ConvexReactClient): UploadPort {
  return {
    fingerprint: fingerprintOf,
    note: (files, batch) => convex.mutation(api.documents.note, { files: files.map(withKey), batchId: batch as Id<"batches"> }),
    begin: (label) => convex.mutation(api.batches.open, { label, origin: "page" }),
    end: (batch) => convex.mutation(api.batches.close, { id: batch as Id<"batches"> }),
    uploadUrl: () => convex.mutation(api.documents.uploadUrl, {}),
    send: sendFile,
    add: (files, batch) =>
      convex.mutation(api.documents.add, {
        // The upload answered with it, so it is one.
        files: files.map((file) => ({ ...withKey(file), storageId: file.storageId as Id<"_storage"> })),
        batchId: batch as Id<"batches">,
      }),
    refuse: (files, batch) => convex.mutation(api.documents.refuse, { files, batchId: batch as Id<"batches"> }),
  };
}

/**
 * A file in a dropped folder is the same file when the folder is dropped again. One that was picked by itself is not: phones call every
 * photo "image.jpg".
 */
function withKey<T extends { readonly name: string }>(file: T): T & { key?: string } {
  return file.name.includes("/") ? { ...file, key: `upload:${file.name}` } : file;
}
