import { useId, useRef, useState, type FormEvent } from "react";
import { ProgressBar } from "../components/progressBar.tsx";
import { Sheet } from "../components/sheet.tsx";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf, toFailure } from "../language/sentence.ts";
import { askAppliance } from "../session/requests.ts";
import { SecretForm } from "./installSheet.tsx";

/** What the page shows of a plan; it goes back as it came. */
type Plan = {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly baseUrl: string;
  readonly egress: readonly string[];
  readonly limits: { readonly callsPerMinute: number; readonly timeoutMs: number };
  readonly auth: readonly { readonly id: string; readonly kind: string; readonly secret: string }[];
  readonly tools: readonly {
    readonly name: string;
    readonly title: string;
    readonly class: string;
    readonly approval: string;
    readonly method: string;
    readonly path: string;
  }[];
  readonly left: { readonly count: number };
  readonly notes: readonly string[];
};
type Built = {
  readonly name: string;
  readonly declaredIn?: string;
  readonly trial: {
    readonly isGood: boolean;
    readonly passed: number;
    readonly failed: number;
    readonly way: string;
    readonly said: string;
  };
};

/** Making a server from a document that the owner brings. */
export function BuildServer() {
  const { build } = useSpeech().words;
  const title = useId();
  const [isOpen, setOpen] = useState(false);
  return (
    <section className="section" data-testid="build">
      <h2>{build.title}</h2>
      <p className="fine">{build.hint}</p>
      <button type="button" className="button" data-testid="build-open" onClick={() => setOpen(true)}>
        {build.open}
      </button>
      <Sheet isOpen={isOpen} labelledBy={title} onClose={() => setOpen(false)} className="install-sheet">
        <h2 id={title}>{build.title}</h2>
        {isOpen && <Body onClose={() => setOpen(false)} />}
      </Sheet>
    </section>
  );
}

function Body({ onClose }: { onClose: () => void }) {
  const { words, language } = useSpeech();
  const { build, shelf } = words;
  const [plan, setPlan] = useState<Plan>();
  const [built, setBuilt] = useState<Built>();
  const [busy, setBusy] = useState<string>();
  const [failed, setFailed] = useState<unknown>();
  const run = async (label: string, work: () => Promise<void>): Promise<void> => {
    setBusy(label);
    setFailed(undefined);
    try {
      await work();
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(undefined);
    }
  };
  const read = (body: object): void =>
    void run(build.planning, async () => setPlan(await askAppliance<Plan>("POST", "/nika/mcp/plan", { body })));
  const make = (isReplacing: boolean): void =>
    void run(build.making, async () =>
      setBuilt(await askAppliance<Built>("POST", "/nika/mcp/build", { body: { plan, isReplacing } })),
    );
  return (
    <div>
      {!plan && <Document isBusy={busy !== undefined} onPlan={read} />}
      {plan && !built && <PlanView plan={plan} isBusy={busy !== undefined} onMake={make} />}
      {built && <Outcome built={built} plan={plan} />}
      {busy !== undefined && <ProgressBar label={busy} />}
      {failed !== undefined && (
        <p className="sheet-text owned-problem" role="alert">
          {sentenceOf(toFailure(failed), language, words)}
        </p>
      )}
      <div className="actions end">
        {plan && !built && (
          <button type="button" className="button" disabled={busy !== undefined} onClick={() => setPlan(undefined)}>
            {build.back}
          </button>
        )}
        <button type="button" className="button" onClick={onClose}>
          {shelf.close}
        </button>
      </div>
    </div>
  );
}

function Document({ isBusy, onPlan }: { isBusy: boolean; onPlan: (body: object) => void }) {
  const { build } = useSpeech().words;
  const [text, setText] = useState("");
  const [from, setFrom] = useState<string>();
  const file = useRef<HTMLInputElement>(null);
  const fields = { text: useId(), server: useId(), name: useId() };
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    onPlan({ text, server: form.get("server"), name: form.get("name"), ...(from !== undefined && { from }) });
  };
  const open = async (): Promise<void> => {
    const chosen = file.current?.files?.[0];
    if (!chosen) return;
    setText(await chosen.text());
    setFrom(chosen.name);
  };
  return (
    <form className="install-form" onSubmit={submit}>
      <label htmlFor={fields.text}>{build.document}</label>
      <textarea
        id={fields.text}
        className="field"
        rows={10}
        required
        spellCheck={false}
        placeholder={build.paste}
        value={text}
        data-testid="build-document"
        onChange={(event) => setText(event.target.value)}
      />
      <input
        ref={file}
        type="file"
        accept=".json,.yaml,.yml,.md,.markdown,.txt"
        aria-label={build.file}
        onChange={() => void open()}
      />
      <label htmlFor={fields.server}>{build.server}</label>
      <input
        id={fields.server}
        name="server"
        type="url"
        className="field"
        placeholder="https://api.example.com/v1"
        maxLength={500}
      />
      <label htmlFor={fields.name}>{build.name}</label>
      <input id={fields.name} name="name" className="field" maxLength={20} spellCheck={false} />
      <button type="submit" className="button primary" disabled={isBusy} data-testid="build-plan">
        {build.plan}
      </button>
    </form>
  );
}

function PlanView({ plan, isBusy, onMake }: { plan: Plan; isBusy: boolean; onMake: (isReplacing: boolean) => void }) {
  const { build } = useSpeech().words;
  const [isReplacing, setReplacing] = useState(false);
  const { name, title, about, baseUrl, egress, limits, auth, tools, left, notes } = plan;
  const facts: [string, string][] = [
    [build.service, baseUrl],
    [build.reach, egress.join(", ")],
    [build.limits, build.limitsAre(limits.callsPerMinute, limits.timeoutMs / 1000)],
    [build.signIn, auth.length === 0 ? build.nowhere : auth.map(({ kind, secret }) => `${secret} (${kind})`).join(", ")],
  ];
  return (
    <div className="install-form" data-testid="build-plan-view">
      <p className="sheet-text">
        {title} ({name}). {about}
      </p>
      <dl className="facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p className="sheet-text">{build.tools(tools.length)}</p>
      <ul className="install-steps">
        {tools.map((tool) => (
          <li key={tool.name} className="row-facts" data-testid="build-tool">
            <span className="function-name">{tool.name}</span> {tool.title} · {tool.class}
            {tool.approval === "ask" && ` · ${build.asks}`} · {tool.method} {tool.path}
          </li>
        ))}
      </ul>
      {left.count > 0 && <p className="fine">{build.left(left.count)}</p>}
      {notes.length > 0 && (
        <details>
          <summary>{build.notes}</summary>
          <ul>
            {notes.map((note) => (
              <li key={note} className="fine">
                {note}
              </li>
            ))}
          </ul>
        </details>
      )}
      <label className="registry">
        <input type="checkbox" checked={isReplacing} onChange={() => setReplacing(!isReplacing)} />
        <span>{build.replace}</span>
      </label>
      <button
        type="button"
        className="button primary"
        disabled={isBusy}
        data-testid="build-make"
        onClick={() => onMake(isReplacing)}
      >
        {build.make}
      </button>
    </div>
  );
}

function Outcome({ built: { name, trial }, plan }: { built: Built; plan: Plan | undefined }) {
  const { build } = useSpeech().words;
  return (
    <div className="install-form" data-testid="build-result">
      <p className={`sheet-text${trial.isGood ? "" : " owned-problem"}`}>
        {trial.isGood ? build.good(name, trial.passed) : build.bad(name, trial.failed)}
      </p>
      {trial.way === "process" && <p className="fine">{build.bare}</p>}
      {!trial.isGood && <pre className="fine">{trial.said}</pre>}
      {trial.isGood &&
        plan?.auth.map(({ id, kind, secret }) =>
          kind === "oauth2" ? (
            <p key={id} className="fine">
              {build.grant(`nika mcp grant ${name} --client-id ID`)}
            </p>
          ) : (
            <SecretForm key={id} name={secret} />
          ),
        )}
    </div>
  );
}
