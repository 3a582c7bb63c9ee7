/** Asking, and what came of it. Kept above the screens, so that an answer is still there after a look at the documents. */
import { useCallback, useRef, useState } from "react";
import type { Answer } from "../../convex/model/answer.ts";
import { toFailure, type Failure } from "./language/sentence.ts";
import { noLimits, toFilter, type Limits } from "./searchLimits.ts";
import { fetchToken } from "./session/session.ts";

export type Inquiry =
  | { readonly state: "none" }
  | { readonly state: "asking"; readonly question: string; readonly previous: Answer | undefined }
  | { readonly state: "answered"; readonly question: string; readonly answer: Answer }
  | { readonly state: "failed"; readonly question: string; readonly failure: Failure };

export type Asking = {
  readonly inquiry: Inquiry;
  /** Questions of this visit, latest first. Not stored: what somebody asks is nobody's business. */
  readonly earlier: readonly string[];
  /** What questions are limited to. Changing it asks the present question again. */
  readonly limits: Limits;
  limit(limits: Limits): void;
  ask(question: string): void;
  stop(): void;
};

/** Questions of one visit belong together: who asks again in other words meant the same. */
const session = Math.random().toString(36).slice(2);
const passagesPerAnswer = 8;
const earlierMax = 5;

export function useAsking(): Asking {
  const [inquiry, setInquiry] = useState<Inquiry>({ state: "none" });
  const [earlier, setEarlier] = useState<readonly string[]>([]);
  const current = useRef<AbortController>(undefined);

  const [limits, setLimits] = useState<Limits>(noLimits);

  const askWithin = useCallback((question: string, within: Limits) => {
    current.current?.abort();
    const controller = new AbortController();
    current.current = controller;
    setInquiry((before) => ({ state: "asking", question, previous: answerOf(before) }));
    setEarlier((questions) => [question, ...questions.filter((one) => one !== question)].slice(0, earlierMax + 1));
    void requestAnswer({ question, limits: within }, controller.signal).then(
      (answer) => controller.signal.aborted || setInquiry({ state: "answered", question, answer }),
      (error: unknown) => controller.signal.aborted || setInquiry({ state: "failed", question, failure: toFailure(error) }),
    );
  }, []);

  const ask = useCallback((question: string) => askWithin(question, limits), [askWithin, limits]);
  const limit = useCallback(
    (within: Limits) => {
      setLimits(within);
      if (inquiry.state !== "none") askWithin(inquiry.question, within);
    },
    [askWithin, inquiry],
  );

  const stop = useCallback(() => {
    current.current?.abort();
    setInquiry({ state: "none" });
  }, []);

  return { inquiry, earlier, limits, limit, ask, stop };
}

function answerOf(inquiry: Inquiry): Answer | undefined {
  if (inquiry.state === "asking") return inquiry.previous;
  return inquiry.state === "answered" ? inquiry.answer : undefined;
}

type Asked = { readonly question: string; readonly limits: Limits };

async function requestAnswer(asked: Asked, signal: AbortSignal): Promise<Answer> {
  let response = await post(asked, signal, false);
  // The token may have ended with the appliance's clock or key; a fresh one tells.
  if (response.status === 401) response = await post(asked, signal, true);
  const body: unknown = await response.json();
  if (!response.ok) throw body;
  return body as Answer;
}

async function post({ question, limits }: Asked, signal: AbortSignal, forceRefresh: boolean): Promise<Response> {
  const token = (await fetchToken({ forceRefresh })) ?? "";
  const filter = toFilter(limits, Date.now());
  return fetch("/nika/ask", {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ question, limit: passagesPerAnswer, session: `page ${session}`, ...(filter && { filter }) }),
    signal,
  });
}
