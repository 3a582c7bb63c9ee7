import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { questionCharsMax } from "../../../convex/model/answer.ts";
import type { Asking } from "../ask.ts";
import { useSpeech } from "../language/language.tsx";
import { Icon } from "./icon.tsx";

/** The big calm box. Enter asks; with Shift it begins a new line. */
export function QuestionBox({ asking }: { asking: Asking }) {
  const { ask } = useSpeech().words;
  const { inquiry } = asking;
  const asked = inquiry.state === "none" ? "" : inquiry.question;
  const [text, setText] = useState(asked);
  const box = useRef<HTMLTextAreaElement>(null);
  const isAsking = inquiry.state === "asking";
  const isTooLong = text.length > questionCharsMax;

  // A question asked from elsewhere (asked before, asked again) shows in the box.
  useEffect(() => {
    if (asked !== "") setText(asked);
  }, [asked]);
  useFocusKey(box);
  useEffect(() => {
    // With a keyboard at hand one wants to write at once; on a phone it would cover half the page.
    if (hasKeyboard()) box.current?.focus({ preventScroll: true });
  }, []);

  const submit = (): void => {
    const question = text.trim();
    if (question === "" || isTooLong) {
      box.current?.focus();
      return;
    }
    if (!hasKeyboard()) box.current?.blur();
    asking.ask(question);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit();
  };

  return (
    <form
      className="question"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <label className="unseen" htmlFor="question">
        {ask.label}
      </label>
      <textarea
        ref={box}
        id="question"
        rows={1}
        value={text}
        placeholder={ask.placeholder}
        enterKeyHint="search"
        autoComplete="off"
        aria-invalid={isTooLong}
        aria-describedby={isTooLong ? "question-problem" : undefined}
        data-testid="ask-box"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {isAsking ? (
        <button type="button" className="question-button" aria-label={ask.stop} onClick={asking.stop}>
          <Icon name="stop" />
        </button>
      ) : (
        <button type="submit" className="question-button" aria-label={ask.submit} data-testid="ask-submit">
          <Icon name="arrow" />
        </button>
      )}
      {isTooLong && (
        <p id="question-problem" className="question-problem" role="alert">
          {ask.tooLong(questionCharsMax)}
        </p>
      )}
    </form>
  );
}

function hasKeyboard(): boolean {
  return window.matchMedia("(hover: hover) and (pointer: fine)").matches;
}

/** "/" goes to the box from anywhere that is not itself a place to write. */
function useFocusKey(box: { readonly current: HTMLTextAreaElement | null }): void {
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent): void => {
      const isWriting = event.target instanceof Element && event.target.closest("input, textarea, select, dialog") !== null;
      if (event.key !== "/" || isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      box.current?.focus();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [box]);
}
