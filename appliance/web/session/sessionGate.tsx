import { ConvexProviderWithAuth, ConvexReactClient } from "convex/react";
import { useEffect, useState, useSyncExternalStore, type ReactNode } from "react";
import { Welcome } from "../screens/welcome.tsx";
import { fetchToken, getSession, onSession } from "./session.ts";

/** Shows what is inside once this browser is signed in, with a Convex client that is; until then, how to get in. */
export function SessionGate({ children }: { children: ReactNode }) {
  const session = useSyncExternalStore(onSession, getSession);
  if (session.state !== "open") return <Welcome session={session} />;
  return (
    <Connected key={session.convexUrl} convexUrl={session.convexUrl}>
      {children}
    </Connected>
  );
}

function Connected({ convexUrl, children }: { convexUrl: string; children: ReactNode }) {
  const [client, setClient] = useState<ConvexReactClient>();
  useEffect(() => {
    // `expectAuth` holds the first queries back until the token is sent, so that none is refused on the way in.
    const opened = new ConvexReactClient(convexUrl, { expectAuth: true, skipConvexDeploymentUrlCheck: true });
    setClient(opened);
    // Later, because the provider below still takes its token back while it is unmounted.
    return () => queueMicrotask(() => void opened.close());
  }, [convexUrl]);
  if (!client) return null;
  return (
    <ConvexProviderWithAuth client={client} useAuth={useOwner}>
      {children}
    </ConvexProviderWithAuth>
  );
}

const owner = {
  isLoading: false,
  isAuthenticated: true,
  fetchAccessToken: ({ forceRefreshToken }: { forceRefreshToken: boolean }) => fetchToken({ forceRefresh: forceRefreshToken }),
};

function useOwner(): typeof owner {
  return owner;
}
