import { useConvexConnectionState } from "convex/react";
import { useEffect, useState, useSyncExternalStore } from "react";

export type Connection = "connecting" | "healthy" | "reconnecting" | "offline";

/** A blink of the connection is no news; what lasts longer than this is. */
const blinkMs = 900;

/** How this page is connected, as its owner would say it. */
export function useConnection(): Connection {
  const { isWebSocketConnected, hasEverConnected } = useConvexConnectionState();
  const isOnline = useSyncExternalStore(onOnlineChange, () => navigator.onLine);
  const isOut = useLasting(!isWebSocketConnected);
  if (isWebSocketConnected) return "healthy";
  if (!hasEverConnected) return "connecting";
  if (!isOut) return "healthy";
  return isOnline ? "reconnecting" : "offline";
}

function useLasting(isTrue: boolean): boolean {
  const [hasLasted, setHasLasted] = useState(false);
  useEffect(() => {
    if (!isTrue) return;
    const timer = setTimeout(() => setHasLasted(true), blinkMs);
    return () => {
      clearTimeout(timer);
      setHasLasted(false);
    };
  }, [isTrue]);
  return isTrue && hasLasted;
}

function onOnlineChange(listener: () => void): () => void {
  window.addEventListener("online", listener);
  window.addEventListener("offline", listener);
  return () => {
    window.removeEventListener("online", listener);
    window.removeEventListener("offline", listener);
  };
}
