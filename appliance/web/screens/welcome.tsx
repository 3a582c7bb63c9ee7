import { useState } from "react";
import { Icon } from "../components/icon.tsx";
import { Wordmark } from "../components/wordmark.tsx";
import { useSpeech } from "../language/language.tsx";
import { enterAgain, type Session } from "../session/session.ts";

type Props = { readonly session: Exclude<Session, { state: "open" }> };

/** What somebody sees who is not in yet: how to get in. */
export function Welcome({ session }: Props) {
  const { welcome } = useSpeech().words;
  return (
    <main className="welcome" data-testid="welcome" data-state={session.state === "closed" ? session.why : session.state}>
      <div className="welcome-inner">
        <Wordmark />
        {session.state === "opening" && <p role="status">{welcome.opening}</p>}
        {session.state === "unreachable" && <Unreachable />}
        {session.state === "closed" && <Closed why={session.why} />}
      </div>
    </main>
  );
}

function Closed({ why }: { why: "noLink" | "spentLink" | "left" }) {
  const { welcome } = useSpeech().words;
  const texts = {
    noLink: { title: welcome.title, text: welcome.text },
    spentLink: { title: welcome.spentTitle, text: welcome.spentText },
    left: { title: welcome.leftTitle, text: welcome.leftText },
  }[why];
  return (
    <>
      <div role={why === "spentLink" ? "alert" : undefined}>
        <h1>{texts.title}</h1>
        <p>{texts.text}</p>
      </div>
      <ol className="steps">
        <li>
          {welcome.stepRun}
          <Command text="nika link" />
        </li>
        <li>{welcome.stepOpen}</li>
        <li>{welcome.stepPhone}</li>
      </ol>
      <p className="fine">{welcome.note}</p>
    </>
  );
}

function Unreachable() {
  const { welcome } = useSpeech().words;
  return (
    <>
      <div role="alert">
        <h1>{welcome.unreachableTitle}</h1>
        <p>{welcome.unreachableText}</p>
      </div>
      <div>
        <p>{welcome.startHint}</p>
        <Command text="nika up" />
      </div>
      <button type="button" className="button" onClick={enterAgain}>
        <Icon name="retry" />
        {welcome.again}
      </button>
    </>
  );
}

function Command({ text }: { text: string }) {
  const { welcome } = useSpeech().words;
  const [isCopied, setCopied] = useState(false);
  // Only secure origins may write to the clipboard; elsewhere the command is simply read.
  const clipboard = (navigator as { clipboard?: Clipboard }).clipboard;
  return (
    <span className="command">
      <code translate="no">{text}</code>
      {clipboard && (
        <button
          type="button"
          className="icon-button"
          aria-label={isCopied ? welcome.copied : welcome.copy}
          onClick={() => void clipboard.writeText(text).then(() => setCopied(true))}
        >
          <Icon name={isCopied ? "check" : "copy"} />
        </button>
      )}
    </span>
  );
}
