import { useEffect, useRef, useState } from "react";
import type { Settings } from "../../../convex/model/setting.ts";
import { useAsking } from "../ask.ts";
import { useSpeech } from "../language/language.tsx";
import { useDetail, useRoute, type Detail, type Route } from "../route.ts";
import { ActivityScreen } from "../screens/activity.tsx";
import { AskScreen } from "../screens/ask.tsx";
import { BatchScreen } from "../screens/batch.tsx";
import { DocumentScreen } from "../screens/document.tsx";
import { DocumentsScreen } from "../screens/documents.tsx";
import { BridgeScreen } from "../screens/bridge.tsx";
import { FoldersScreen } from "../screens/folders.tsx";
import { FunctionsScreen } from "../screens/functions.tsx";
import { GpuScreen } from "../screens/gpu.tsx";
import { ModelsScreen } from "../screens/models.tsx";
import { MoreScreen } from "../screens/more.tsx";
import { OwnedScreen } from "../screens/owned.tsx";
import { RunsScreen } from "../screens/runs.tsx";
import { SchedulesScreen } from "../screens/schedules.tsx";
import { ToolsScreen } from "../screens/tools.tsx";
import { SettingsSheet } from "../screens/settingsSheet.tsx";
import { ApplianceStatus, ConnectionBanner } from "./applianceStatus.tsx";
import { Broken } from "./broken.tsx";
import { DropOverlay } from "./dropOverlay.tsx";
import { Icon } from "./icon.tsx";
import { Navigation } from "./navigation.tsx";
import { Wordmark } from "./wordmark.tsx";

/** The page around the screens: a bar above and tabs below on a phone, a rail beside on anything wide. */
export function Frame({ settings }: { settings: Settings }) {
  const { words } = useSpeech();
  const route = useRoute();
  const asking = useAsking();
  const [isSettingsOpen, setSettingsOpen] = useState(false);
  const detail = useDetail();
  const main = useArrival(route, detail);

  return (
    <div className="frame">
      <a className="skip" href={`#${route}`} onClick={() => main.current?.focus()}>
        {words.navigation.skip}
      </a>
      <header className="bar">
        <Wordmark />
        <ApplianceStatus />
        <button
          type="button"
          className="icon-button settings-button"
          aria-label={words.navigation.settings}
          data-testid="settings-button"
          onClick={() => setSettingsOpen(true)}
        >
          <Icon name="settings" />
          <span className="settings-label">{words.navigation.settings}</span>
        </button>
      </header>
      <Navigation route={route} />
      <main ref={main} className="main" tabIndex={-1}>
        <ConnectionBanner />
        <Broken key={`${route} ${JSON.stringify(detail)}`}>
          {route === "ask" && <AskScreen asking={asking} />}
          {route === "documents" && !detail && <DocumentsScreen />}
          {detail?.type === "document" && <DocumentScreen key={detail.id} id={detail.id} passage={detail.passage} />}
          {detail?.type === "batch" && <BatchScreen key={detail.id} id={detail.id} />}
          {detail?.type === "folders" && <FoldersScreen />}
          {route === "schedules" && <SchedulesScreen />}
          {route === "activity" && <ActivityScreen />}
          {route === "runs" && <RunsScreen />}
          {route === "bridge" && <BridgeScreen />}
          {route === "tools" && <ToolsScreen />}
          {route === "owned" && <OwnedScreen />}
          {route === "gpu" && <GpuScreen />}
          {route === "models" && <ModelsScreen />}
          {route === "functions" && <FunctionsScreen />}
          {route === "more" && <MoreScreen />}
        </Broken>
      </main>
      <DropOverlay />
      <SettingsSheet isOpen={isSettingsOpen} settings={settings} onClose={() => setSettingsOpen(false)} />
    </div>
  );
}

/** Each screen begins at its top and says its name in the window's title. */
function useArrival(route: Route, detail: Detail | undefined) {
  const { navigation } = useSpeech().words;
  const main = useRef<HTMLElement>(null);
  const title = navigation[route];
  useEffect(() => {
    document.title = `${title} · Nika`;
    return () => {
      document.title = "Nika";
    };
  }, [title]);
  useEffect(() => {
    // In braces: newer browsers return a promise, which React would take for a clean-up.
    window.scrollTo(0, 0);
  }, [route, detail]);
  return main;
}
