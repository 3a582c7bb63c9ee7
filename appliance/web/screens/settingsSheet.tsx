import { useMutation, useQuery } from "convex/react";
import { useId } from "react";
import { api } from "../../../convex/_generated/api.js";
import { defaultSettings, type Settings } from "../../../convex/model/setting.ts";
import { Choice } from "../components/choice.tsx";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { Secrets } from "../components/secrets.tsx";
import { Sheet } from "../components/sheet.tsx";
import { useSpeech } from "../language/language.tsx";
import { leave } from "../session/session.ts";

type Props = { readonly isOpen: boolean; readonly settings: Settings; readonly onClose: () => void };

/** The owner's few choices, and the way out. */
export function SettingsSheet({ isOpen, settings, onClose }: Props) {
  const { words } = useSpeech();
  const attempt = useAttempt();
  const title = useId();
  const set = useMutation(api.settings.set).withOptimisticUpdate((store, changes) => {
    store.setQuery(api.settings.get, {}, { ...(store.getQuery(api.settings.get, {}) ?? defaultSettings), ...changes });
  });
  const { language, theme } = settings;
  return (
    <Sheet isOpen={isOpen} labelledBy={title} onClose={onClose} className="settings">
      <div className="sheet-head">
        <h2 id={title}>{words.settings.title}</h2>
        <button type="button" className="icon-button" aria-label={words.settings.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <Choice
        label={words.settings.language}
        value={language}
        options={[
          { value: "auto", text: words.settings.auto },
          { value: "en", text: words.settings.english, lang: "en" },
          { value: "fr", text: words.settings.french, lang: "fr" },
        ]}
        onChange={(value) => attempt(() => set({ language: value }))}
      />
      <Choice
        label={words.settings.theme}
        value={theme}
        options={[
          { value: "auto", text: words.settings.auto },
          { value: "light", text: words.settings.light },
          { value: "dark", text: words.settings.dark },
        ]}
        onChange={(value) => attempt(() => set({ theme: value }))}
      />
      <Secrets />
      <About />
      <div className="leave">
        <button type="button" className="button" data-testid="sign-out" onClick={() => attempt(leave)}>
          {words.settings.leave}
        </button>
        <p className="fine">{words.settings.leaveHint}</p>
      </div>
    </Sheet>
  );
}

function About() {
  const { words } = useSpeech();
  const about = useQuery(api.appliance.status);
  if (!about) return null;
  const { status } = words;
  const facts = [
    { term: status.version, value: about.version },
    { term: status.embedder, value: about.embedder.isBaseline ? status.baseline : about.embedder.label },
    { term: "", value: about.embedder.isBaseline ? status.wordsNotMeanings : status.meanings },
    { term: status.state, value: about.mode.state === "embedded" ? status.embedded : "Convex" },
    { term: status.vectors, value: about.mode.vectors === "embedded" ? status.embedded : "Qdrant" },
  ];
  return (
    <section className="about">
      <h3>{words.settings.about}</h3>
      <dl className="facts">
        {facts.map(({ term, value }) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
