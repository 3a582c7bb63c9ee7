import { useMutation } from "convex/react";
import { useId, useState, type FormEvent } from "react";
import { api } from "../../../convex/_generated/api.js";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { RunDetail } from "./runRow.tsx";

/** Runs it once, as a job, and shows what comes of it as it comes. */
export function InvokeBox({ name }: { name: string }) {
  const { owned } = useSpeech().words;
  const invoke = useMutation(api.functions.invoke);
  const attempt = useAttempt();
  const field = useId();
  const [text, setText] = useState("");
  const [id, setId] = useState<string>();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    attempt(async () => setId((await invoke({ name, input: toJson(text) })).id));
  };
  return (
    <form className="invoke-box" onSubmit={submit}>
      <label htmlFor={field}>{owned.input}</label>
      <textarea
        id={field}
        className="field code"
        rows={2}
        value={text}
        placeholder='{"name": "Ada"}'
        spellCheck={false}
        data-testid="function-input"
        onChange={(event) => setText(event.target.value)}
      />
      <div className="actions">
        <button type="submit" className="button primary small" data-testid="function-invoke">
          {owned.invoke}
        </button>
      </div>
      {id !== undefined && <RunDetail id={id} />}
    </form>
  );
}

/** What is no JSON is meant as words. */
function toJson(text: string): string {
  if (text.trim() === "") return "null";
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
