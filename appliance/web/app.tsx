import { useQuery } from "convex/react";
import { useEffect, useMemo, useState } from "react";
import { api } from "../../convex/_generated/api.js";
import type { Settings } from "../../convex/model/setting.ts";
import { Broken } from "./components/broken.tsx";
import { Frame } from "./components/frame.tsx";
import { NoticeProvider } from "./components/notice.tsx";
import { toLanguage } from "./language/choose.ts";
import { SpeechProvider } from "./language/language.tsx";
import { SessionGate } from "./session/sessionGate.tsx";
import { rememberedSettings, rememberSettings, showTheme } from "./settings.ts";
import { UploadsProvider } from "./upload/uploadsProvider.tsx";

export function App() {
  const [settings, setSettings] = useState(rememberedSettings);
  const language = useMemo(() => toLanguage(settings.language, navigator.languages), [settings.language]);

  useEffect(() => {
    document.documentElement.lang = language;
    showTheme(settings.theme);
    rememberSettings(settings);
  }, [language, settings]);

  return (
    <SpeechProvider language={language}>
      <Broken>
        <SessionGate>
          <FollowSettings onSettings={setSettings} />
          <NoticeProvider>
            <UploadsProvider>
              <Frame settings={settings} />
            </UploadsProvider>
          </NoticeProvider>
        </SessionGate>
      </Broken>
    </SpeechProvider>
  );
}

/** Applies what the owner chose, here or on another device, as it changes. */
function FollowSettings({ onSettings }: { onSettings: (settings: Settings) => void }) {
  const settings = useQuery(api.settings.get);
  useEffect(() => {
    if (settings) onSettings(settings);
  }, [settings, onSettings]);
  return null;
}
