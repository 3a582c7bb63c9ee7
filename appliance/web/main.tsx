import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { rememberedSettings, showTheme } from "./settings.ts";
import { startSession } from "./session/session.ts";
import "./style/tokens.css";
import "./style/base.css";
import "./style/frame.css";
import "./style/parts.css";
import "./style/screens.css";
import "./style/intake.css";
import "./style/schedules.css";
import "./style/bridge.css";
import "./style/models.css";
import "./style/owned.css";
import "./style/tools.css";
import "./style/runs.css";
import "./style/gpu.css";

showTheme(rememberedSettings().theme);
startSession();

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
