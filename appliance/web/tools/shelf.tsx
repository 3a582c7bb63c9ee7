import { useMutation, useQuery } from "convex/react";
import { memo, useId, useState, type FormEvent } from "react";
import { api } from "../../../convex/_generated/api.js";
import { installSteps, type FoundServers, type InstallView } from "../../../convex/model/install.ts";
import type { RegistryView } from "../../../convex/model/registry.ts";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { ProgressBar } from "../components/progressBar.tsx";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf } from "../language/sentence.ts";
import { askAppliance } from "../session/requests.ts";
import { InstallSheet, type Chosen } from "./installSheet.tsx";

const limit = 30;

/** Servers of others: found in registries, looked at, installed. Nobody is asked anything before the owner searches. */
export function Shelf() {
  const { shelf } = useSpeech().words;
  const attempt = useAttempt();
  const field = useId();
  const [searched, setSearched] = useState<FoundServers>();
  const [isAsking, setAsking] = useState(false);
  const [chosen, setChosen] = useState<Chosen>();
  const search = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const given = new FormData(event.currentTarget).get("words");
    const words = typeof given === "string" ? given : "";
    setAsking(true);
    attempt(async () => {
      try {
        setSearched(await askAppliance<FoundServers>("POST", "/nika/mcp/search", { body: { words, limit } }));
      } finally {
        setAsking(false);
      }
    });
  };
  return (
    <>
      <section className="section shelf" data-testid="shelf">
        <h2>{shelf.title}</h2>
        <form className="shelf-form" role="search" onSubmit={search}>
          <label htmlFor={field} className="unseen">
            {shelf.label}
          </label>
          <input id={field} name="words" type="search" className="field" placeholder={shelf.placeholder} maxLength={200} />
          <button type="submit" className="button" disabled={isAsking} data-testid="shelf-search">
            <Icon name="search" />
            {shelf.search}
          </button>
        </form>
        {isAsking && <ProgressBar label={shelf.searching} />}
        {searched && <Results searched={searched} onChoose={setChosen} />}
        {!searched && !isAsking && <p className="fine">{shelf.hint}</p>}
        <Installs onChoose={setChosen} />
        <Registries />
      </section>
      <InstallSheet chosen={chosen} onClose={() => setChosen(undefined)} />
    </>
  );
}

function Results({ searched, onChoose }: { searched: FoundServers; onChoose: (chosen: Chosen) => void }) {
  const { shelf } = useSpeech().words;
  const { servers, problems, asked } = searched;
  return (
    <>
      {problems.map(({ source, message }) => (
        <p key={source} className="fine owned-problem">
          {source}: {message}
        </p>
      ))}
      {servers.length === 0 && <p className="fine">{asked.length === 0 ? shelf.nobodyAsked : shelf.nothing(asked.join(", "))}</p>}
      <ul className="rows" data-testid="shelf-results">
        {servers.map(({ source, name, title, description, version, status, offer, alias }) => (
          <li key={`${source} ${name}`} className="row" data-testid="shelf-result" data-name={name}>
            <button type="button" className="row-head" onClick={() => onChoose({ name, registry: source })}>
              <span className="row-name">
                <span className="document-name">{title ?? name}</span>
                <span className="row-facts">
                  {[
                    name,
                    version,
                    source,
                    alias === undefined ? (offer ?? shelf.notInstallable) : shelf.isHere(alias),
                    status === "deprecated" ? shelf.deprecated : "",
                  ]
                    .filter((fact) => fact !== "")
                    .join(" · ")}
                </span>
                <span className="tool-text">{description}</span>
              </span>
              <Icon name="chevron" />
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

const recentMs = 10 * 60_000;

/** What is being installed, and what has just failed. */
function Installs({ onChoose }: { onChoose: (chosen: Chosen) => void }) {
  const installs = useQuery(api.installs.list);
  const [openedAt] = useState(() => Date.now());
  const shown = installs?.filter(
    ({ state, at }) => state === "waiting" || state === "working" || (state === "failed" && at > openedAt - recentMs),
  );
  if (!shown || shown.length === 0) return null;
  return (
    <ul className="rows" data-testid="installs">
      {shown.map((install) => (
        <InstallRow key={install.id} install={install} onChoose={onChoose} />
      ))}
    </ul>
  );
}

const InstallRow = memo(function InstallRow({ install, onChoose }: { install: InstallView; onChoose: (chosen: Chosen) => void }) {
  const { words, language } = useSpeech();
  const cancel = useMutation(api.jobs.cancel);
  const attempt = useAttempt();
  const { name, state, step, problem, jobId } = install;
  const isOpen = state === "waiting" || state === "working";
  return (
    <li className="row" data-testid="install-row" data-state={state}>
      <div className="row-head">
        <span className="row-name">
          <span className="document-name">{name}</span>
          <span className="row-facts">{isOpen ? words.shelf.steps[step] : words.shelf.states[state]}</span>
          {problem && <span className="row-why">{sentenceOf(problem, language, words)}</span>}
        </span>
        {isOpen ? (
          <button type="button" className="button small" onClick={() => attempt(() => cancel({ id: jobId }))}>
            {words.shelf.stop}
          </button>
        ) : (
          <button type="button" className="button small" onClick={() => onChoose({ name })}>
            {words.shelf.again}
          </button>
        )}
      </div>
      {isOpen && (
        <ProgressBar
          label={words.shelf.steps[step]}
          progress={{ done: installSteps.indexOf(step), total: installSteps.length - 1 }}
          testId="install-progress"
        />
      )}
    </li>
  );
});

/** Which registries there are, behind a press: most owners look once. */
function Registries() {
  const { shelf } = useSpeech().words;
  const registries = useQuery(api.registries.list);
  return (
    <details className="registries">
      <summary>{shelf.registries}</summary>
      <p className="fine">{shelf.registriesHint}</p>
      <ul className="registry-list">
        {registries?.map((one) => (
          <Registry key={one.name} registry={one} />
        ))}
      </ul>
    </details>
  );
}

function Registry({ registry }: { registry: RegistryView }) {
  const { words, when, number } = useSpeech();
  const set = useMutation(api.registries.set);
  const attempt = useAttempt();
  const { name, url, isOn, isCopying, copiedAt, servers, problem } = registry;
  const facts = [
    new URL(url).host,
    servers === undefined ? "" : words.shelf.servers(number(servers)),
    copiedAt === undefined ? "" : words.shelf.copied(when(copiedAt)),
    isCopying ? words.shelf.copying : "",
  ];
  return (
    <li data-testid="registry" data-name={name}>
      <label className="registry">
        <input type="checkbox" checked={isOn} onChange={() => attempt(() => set({ name, isOn: !isOn }))} />
        <span className="row-name">
          <span>{name}</span>
          <span className="row-facts">{facts.filter((fact) => fact !== "").join(" · ")}</span>
          {problem !== undefined && <span className="row-facts owned-problem">{problem}</span>}
        </span>
      </label>
    </li>
  );
}
