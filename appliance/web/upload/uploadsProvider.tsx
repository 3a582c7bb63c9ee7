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
    known: (sha256s) => convex.query(api.documents.known, { sha256s }),
    uploadUrl: () => convex.mutation(api.documents.uploadUrl, {}),
    send: sendFile,
    add: (files) =>
      convex.mutation(api.documents.add, {
        // The upload answered with it, so it is one.
        files: files.map(({ name, storageId }) => ({ name, storageId: storageId as Id<"_storage"> })),
      }),
    refuse: (files) => convex.mutation(api.documents.refuse, { files }),
  };
}
