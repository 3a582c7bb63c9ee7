import { createContext, useCallback, useContext, useState, type ReactNode } from "react";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf, toFailure } from "../language/sentence.ts";
import { Icon } from "./icon.tsx";

/** Runs something the owner asked for; when it fails, says so. */
export type Attempt = (action: () => Promise<unknown>) => void;

const AttemptContext = createContext<Attempt>(() => undefined);

export function useAttempt(): Attempt {
  return useContext(AttemptContext);
}

/** One notice at a time, until it is dismissed or the next attempt begins: a sentence that vanishes by itself was not read. */
export function NoticeProvider({ children }: { children: ReactNode }) {
  const { words, language } = useSpeech();
  const [failed, setFailed] = useState<unknown>();

  const attempt = useCallback<Attempt>((action) => {
    setFailed(undefined);
    void action().catch((error: unknown) => setFailed(error ?? "unknown"));
  }, []);

  return (
    <AttemptContext value={attempt}>
      {children}
      <div className="notices" role="alert">
        {failed !== undefined && (
          <div className="notice">
            <Icon name="alert" />
            <p>{sentenceOf(toFailure(failed), language, words)}</p>
            <button type="button" className="icon-button" aria-label={words.notice.dismiss} onClick={() => setFailed(undefined)}>
              <Icon name="close" />
            </button>
          </div>
        )}
      </div>
    </AttemptContext>
  );
}
