import { useMutation, useQuery } from "convex/react";
import { useId, useState, type FormEvent } from "react";
import { BackToMore } from "../components/backToMore.tsx";
import { api } from "../../../convex/_generated/api.js";
import type { MessageView, TargetView, UpdateView } from "../../../convex/model/bridge.ts";
import { useAttempt } from "../components/notice.tsx";
import { Empty } from "../components/empty.tsx";
import { Icon } from "../components/icon.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";

const messagesShown = 50;
const updatesShown = 50;

/** Remote agents: what waits for each, what they report, and a box to write to them. */
export function BridgeScreen() {
  const { words } = useSpeech();
  const targets = useQuery(api.bridge.targets);
  const [chosen, setChosen] = useState<string>();
  const target = targets?.find(({ name }) => name === chosen)?.name;
  return (
    <div className="screen">
      <BackToMore />
      <div className="screen-head">
        <h1>{words.bridge.title}</h1>
        <Mirror />
      </div>
      {targets === undefined && <Skeleton rows={3} />}
      {targets?.length === 0 && <Empty title={words.bridge.none} hint={words.bridge.noneHint} />}
      {targets && targets.length > 0 && <SendBox targets={targets} chosen={target} />}
      <ul className="rows bridge-targets">
        {targets?.map((one) => (
          <Target
            key={one.name}
            target={one}
            isChosen={one.name === target}
            onChoose={() => setChosen(one.name === target ? undefined : one.name)}
          />
        ))}
      </ul>
      <AddTarget />
      {targets && targets.length > 0 && (
        <div className="columns">
          <Messages target={target} />
          <Updates target={target} />
        </div>
      )}
    </div>
  );
}

/** How the chat that mirrors all this is, when there is one. */
function Mirror() {
  const { bridge } = useSpeech().words;
  const chat = useQuery(api.telegram.status);
  if (!chat) return null;
  const facts = [
    chat.problem ?? (chat.isPaired ? bridge.mirrored(chat.botName) : bridge.unpaired(chat.botName)),
    chat.unknown > 0 ? bridge.unknown(chat.unknown) : "",
  ].filter((fact) => fact !== "");
  return (
    <p className="sums" role="status" data-testid="bridge-mirror">
      {facts.join(" · ")}
    </p>
  );
}

function SendBox({ targets, chosen }: { targets: readonly TargetView[]; chosen: string | undefined }) {
  const { bridge } = useSpeech().words;
  const send = useMutation(api.bridge.send);
  const attempt = useAttempt();
  const field = useId();
  const [text, setText] = useState("");
  const [picked, setPicked] = useState<string>();
  const [said, setSaid] = useState("");
  const target = chosen ?? targets.find(({ name }) => name === picked)?.name ?? targets[0]?.name ?? "";
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    attempt(async () => {
      const sent = await send({ target, text });
      setSaid(sent.queued ? bridge.queued(target) : bridge.duplicate(target));
      if (sent.queued) setText("");
    });
  };
  return (
    <form className="bridge-box" onSubmit={submit}>
      <label htmlFor={field}>{bridge.write}</label>
      <textarea
        id={field}
        className="field"
        rows={3}
        value={text}
        placeholder={bridge.placeholder}
        data-testid="bridge-text"
        onChange={(event) => {
          setText(event.target.value);
          setSaid("");
        }}
      />
      <div className="bridge-send">
        <select
          className="field"
          aria-label={bridge.target}
          value={target}
          disabled={chosen !== undefined}
          onChange={(event) => setPicked(event.target.value)}
        >
          {targets.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <button type="submit" className="button primary" disabled={text.trim() === ""} data-testid="bridge-send">
          {bridge.send}
        </button>
      </div>
      <p className="fine" role="status">
        {said}
      </p>
    </form>
  );
}

function Target({ target, isChosen, onChoose }: { target: TargetView; isChosen: boolean; onChoose: () => void }) {
  const { words, when } = useSpeech();
  const { bridge } = words;
  const { name, counts, currentTask, heardAt } = target;
  const facts = [
    bridge.waiting(counts.pending),
    bridge.takenOn(counts.acknowledged + counts.in_progress),
    heardAt === undefined ? bridge.unheard : bridge.heard(when(heardAt)),
  ];
  return (
    <li className="row" data-testid="bridge-target">
      <button type="button" className="row-head" aria-pressed={isChosen} onClick={onChoose}>
        <span className="row-name">
          <span className="document-name">{name}</span>
          <span className="row-facts">{facts.join(" · ")}</span>
          {currentTask !== undefined && <span className="row-facts bridge-text">{bridge.current(currentTask)}</span>}
        </span>
        {isChosen && <Icon name="check" />}
      </button>
    </li>
  );
}

function AddTarget() {
  const { bridge } = useSpeech().words;
  const add = useMutation(api.bridge.addTarget);
  const attempt = useAttempt();
  const [name, setName] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    attempt(async () => {
      await add({ name });
      setName("");
    });
  };
  return (
    <form className="bridge-send bridge-add" onSubmit={submit}>
      <input
        className="field"
        value={name}
        aria-label={bridge.newName}
        placeholder={bridge.newName}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        data-testid="bridge-name"
        onChange={(event) => setName(event.target.value)}
      />
      <button type="submit" className="button" disabled={name.trim() === ""} data-testid="bridge-add">
        {bridge.add}
      </button>
    </form>
  );
}

function Messages({ target }: { target: string | undefined }) {
  const { bridge } = useSpeech().words;
  const messages = useQuery(api.bridge.messages, { limit: messagesShown, ...(target !== undefined && { target }) });
  return (
    <section className="section">
      <h2>{bridge.messages}</h2>
      {messages === undefined && <Skeleton rows={3} />}
      {messages?.length === 0 && <p className="fine">{bridge.noMessages}</p>}
      <ul className="rows">
        {messages?.map((message) => (
          <Message key={message.id} message={message} />
        ))}
      </ul>
    </section>
  );
}

function Message({ message }: { message: MessageView }) {
  const { words, when } = useSpeech();
  const { bridge } = words;
  const { target, text, state, isUrgent, from, createdAt } = message;
  const facts = [isUrgent ? bridge.urgent : "", bridge.states[state], target, bridge.from(from), when(createdAt)];
  return (
    <li className="row" data-testid="bridge-message">
      <div className="row-head">
        <span className="row-name">
          <span className="bridge-text">{text}</span>
          <span className="row-facts">{facts.filter((fact) => fact !== "").join(" · ")}</span>
        </span>
      </div>
    </li>
  );
}

function Updates({ target }: { target: string | undefined }) {
  const { words, when } = useSpeech();
  const { bridge } = words;
  const updates = useQuery(api.bridge.updates, { limit: updatesShown, ...(target !== undefined && { target }) });
  const mark = (update: UpdateView): string => ({ update: "", complete: "✓ ", error: "✗ " })[update.type];
  return (
    <section className="section events">
      <h2>{bridge.updates}</h2>
      {updates === undefined && <Skeleton rows={3} />}
      {updates?.length === 0 && <p className="fine">{bridge.noUpdates}</p>}
      <ol className="event-list">
        {updates?.map((update) => (
          <li key={`${update.target} ${update.seq}`} className="event" data-testid="bridge-update">
            <time dateTime={new Date(update.createdAt).toISOString()}>{when(update.createdAt)}</time>
            <span className="bridge-text">
              {mark(update)}
              {update.target}: {update.text}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
