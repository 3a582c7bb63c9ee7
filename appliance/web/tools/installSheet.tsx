import { useMutation, useQuery } from "convex/react";
import { useEffect, useId, useState, type FormEvent } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { installSteps, type InstallResult, type InstallView, type ServerInfo } from "../../../convex/model/install.ts";
import type { Input } from "../../../convex/model/entry.ts";
import { useAttempt } from "../components/notice.tsx";
import { ProgressBar } from "../components/progressBar.tsx";
import { Sheet } from "../components/sheet.tsx";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf, toFailure } from "../language/sentence.ts";
import { askAppliance } from "../session/requests.ts";

/** What the owner pressed on. */
export type Chosen = { readonly name: string; readonly registry?: string };

/** Looks at one server, asks for what it needs, installs it, and says what came of it. */
export function InstallSheet({ chosen, onClose }: { chosen: Chosen | undefined; onClose: () => void }) {
  const title = useId();
  return (
    <Sheet isOpen={chosen !== undefined} labelledBy={title} onClose={onClose} className="install-sheet">
      {chosen && <Body key={`${chosen.registry} ${chosen.name}`} chosen={chosen} title={title} onClose={onClose} />}
    </Sheet>
  );
}

type BodyProps = { readonly chosen: Chosen; readonly title: string; readonly onClose: () => void };

function Body({ chosen, title, onClose }: BodyProps) {
  const { words, language } = useSpeech();
  const [info, setInfo] = useState<ServerInfo>();
  const [failed, setFailed] = useState<unknown>();
  const [id, setId] = useState<Id<"installs">>();
  const install = useQuery(api.installs.get, id === undefined ? "skip" : { id });
  useEffect(() => {
    const gone = new AbortController();
    askAppliance<ServerInfo>("POST", "/nika/mcp/info", { body: chosen, signal: gone.signal }).then(setInfo, (error: unknown) => {
      if (!gone.signal.aborted) setFailed(error ?? "unknown");
    });
    return () => gone.abort();
  }, [chosen]);
  return (
    <div data-testid="install-sheet">
      <h2 id={title}>{info?.entry.title ?? info?.entry.name ?? chosen.name}</h2>
      {!info && failed === undefined && <ProgressBar label={words.shelf.looking} />}
      {failed !== undefined && <p className="sheet-text owned-problem">{sentenceOf(toFailure(failed), language, words)}</p>}
      {info && !install && <Offer info={info} chosen={chosen} onBegun={setId} />}
      {install && <Course install={install} />}
      <div className="actions end">
        <button type="button" className="button" autoFocus onClick={onClose}>
          {words.shelf.close}
        </button>
      </div>
    </div>
  );
}

function Offer({ info, chosen, onBegun }: { info: ServerInfo; chosen: Chosen; onBegun: (id: Id<"installs">) => void }) {
  const { words, when } = useSpeech();
  const { shelf } = words;
  const begin = useMutation(api.installs.begin);
  const attempt = useAttempt();
  const [isSure, setSure] = useState(false);
  const { entry, offer, inputs, warnings, publisher, signature, publishedAt, installed, source, alias } = info;
  const isGrave = warnings.some((one) => one.isGrave);
  const facts: [string, string][] = [
    [offer.type === "remote" ? shelf.elsewhere : shelf.package, offer.what],
    [shelf.version, installed === undefined ? offer.version : shelf.versionAfter(offer.version, installed)],
    [shelf.from, source],
    [
      shelf.published,
      [publisher ?? "", publishedAt === undefined ? "" : when(publishedAt)].filter((one) => one !== "").join(" · "),
    ],
    [shelf.signature, signature === undefined ? "" : shelf.signatures[signature]],
    [shelf.code, entry.repository ?? ""],
    [shelf.alias, alias],
  ];
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const textOf = (name: string): string => {
      const value = form.get(name);
      return typeof value === "string" ? value.trim() : "";
    };
    const values = Object.fromEntries(
      inputs.flatMap(({ name, isSecret }) => {
        const value = isSecret ? "" : textOf(`value ${name}`);
        return value === "" ? [] : [[name, value]];
      }),
    );
    attempt(async () =>
      onBegun(
        await begin({
          wish: {
            ...chosen,
            ...(offer.type === "package" && { version: offer.version }),
            offer: offer.type,
            alias,
            values,
            args: [],
            env: {},
            secrets: [],
            egress: textOf("egress")
              .split(/[\s,]+/)
              .filter((one) => one !== ""),
            mounts: [],
            despiteWarnings: isSure,
          },
        }),
      ),
    );
  };
  return (
    <form onSubmit={submit} className="install-form">
      <p className="sheet-text">{entry.description}</p>
      <dl className="facts">
        {facts
          .filter(([, value]) => value !== "")
          .map(([term, value]) => (
            <div key={term}>
              <dt>{term}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      {warnings.length > 0 && (
        <ul className="install-warnings" data-testid="install-warnings">
          {warnings.map(({ text }) => (
            <li key={text} className="row-facts owned-problem">
              {words.tools.careful}: {text}
            </li>
          ))}
        </ul>
      )}
      {inputs.map((input) => (
        <Asked key={input.name} input={input} />
      ))}
      {offer.type === "package" && <Egress />}
      {isGrave && (
        <label className="registry">
          <input type="checkbox" checked={isSure} onChange={() => setSure(!isSure)} data-testid="install-despite" />
          <span>{shelf.despite}</span>
        </label>
      )}
      <button type="submit" className="button primary" disabled={isGrave && !isSure} data-testid="install-begin">
        {installed === undefined ? shelf.install : shelf.installAgain}
      </button>
      <p className="fine">{shelf.installWhy}</p>
    </form>
  );
}

function Asked({ input }: { input: Input }) {
  const { shelf } = useSpeech().words;
  const id = useId();
  const { name, description, isRequired, isSecret, fallback, choices } = input;
  if (isSecret)
    return (
      <p className="fine">
        {shelf.secretLater(name)} {description}
      </p>
    );
  return (
    <div>
      <label htmlFor={id}>
        {name}
        {isRequired ? "" : ` (${shelf.optional})`}
      </label>
      {choices && choices.length > 0 ? (
        <select id={id} name={`value ${name}`} className="field" defaultValue={fallback ?? ""} required={isRequired}>
          {!isRequired && <option value="" />}
          {choices.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      ) : (
        <input id={id} name={`value ${name}`} className="field" defaultValue={fallback} required={isRequired} maxLength={2000} />
      )}
      {description !== undefined && <p className="fine">{description}</p>}
    </div>
  );
}

function Egress() {
  const { shelf } = useSpeech().words;
  const id = useId();
  return (
    <div>
      <label htmlFor={id}>{shelf.egress}</label>
      <input id={id} name="egress" className="field" placeholder="api.example.com:443" spellCheck={false} maxLength={1000} />
      <p className="fine">{shelf.egressWhy}</p>
    </div>
  );
}

/** How far it is, then what came of it. */
function Course({ install }: { install: InstallView }) {
  const { words, language } = useSpeech();
  const { shelf } = words;
  const { state, step, problem, result } = install;
  if (result) return <Outcome result={result} />;
  const isOpen = state === "waiting" || state === "working";
  return (
    <div data-testid="install-course" data-state={state} data-step={step}>
      <ol className="install-steps">
        {installSteps.slice(0, -1).map((one, at) => (
          <li
            key={one}
            aria-current={isOpen && one === step ? "step" : undefined}
            className={at < installSteps.indexOf(step) ? "is-done" : ""}
          >
            {shelf.steps[one]}
          </li>
        ))}
      </ol>
      {isOpen && (
        <ProgressBar label={shelf.steps[step]} progress={{ done: installSteps.indexOf(step), total: installSteps.length - 1 }} />
      )}
      {!isOpen && <p className="sheet-text">{shelf.states[state]}</p>}
      {problem && <p className="sheet-text owned-problem">{sentenceOf(problem, language, words)}</p>}
    </div>
  );
}

function Outcome({ result }: { result: InstallResult }) {
  const { shelf } = useSpeech().words;
  const { alias, version, tools, waiting, marked, secrets, hosts, notes } = result;
  return (
    <div className="install-form" data-testid="install-result">
      <p className="sheet-text">{shelf.installed(alias, version, tools)}</p>
      {waiting > 0 && <p className="sheet-text">{shelf.waiting(waiting)}</p>}
      {marked > 0 && <p className="sheet-text owned-problem">{shelf.marked(marked)}</p>}
      {notes.map((note) => (
        <p key={note} className="fine">
          {note}
        </p>
      ))}
      {hosts.length > 0 && (
        <p className="fine">
          {shelf.hosts} {hosts.join(", ")}
        </p>
      )}
      {secrets.map((name) => (
        <SecretForm key={name} name={name} />
      ))}
    </div>
  );
}

/** A value goes in once and never comes back. */
export function SecretForm({ name }: { name: string }) {
  const { words } = useSpeech();
  const attempt = useAttempt();
  const id = useId();
  const [isKept, setKept] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const value = new FormData(event.currentTarget).get("value");
    attempt(async () => {
      await askAppliance("POST", "/nika/secrets", { body: { name, value } });
      setKept(true);
    });
  };
  if (isKept) return <p className="fine">{words.shelf.secretKept(name)}</p>;
  return (
    <form className="secret-form" onSubmit={submit} autoComplete="off">
      <label htmlFor={id}>{words.shelf.secret(name)}</label>
      <input id={id} name="value" type="password" className="field" required autoComplete="new-password" />
      <button type="submit" className="button">
        {words.secrets.set}
      </button>
    </form>
  );
}
