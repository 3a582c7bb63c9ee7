import { useId, useState } from "react";
import type { ServerFacts } from "../../../convex/model/serverView.ts";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { Sheet } from "../components/sheet.tsx";
import { useSpeech } from "../language/language.tsx";
import { askAppliance } from "../session/requests.ts";

const ask = (verb: string, body: object): Promise<unknown> => askAppliance("POST", `/nika/mcp/${verb}`, { body });

/** Turns a server off and on, or takes it out. */
export function ServerActions({ server: { name, state } }: { server: ServerFacts }) {
  const { shelf } = useSpeech().words;
  const attempt = useAttempt();
  const title = useId();
  const [isAsking, setAsking] = useState(false);
  const isOff = state === "off";
  return (
    <div className="actions">
      <button
        type="button"
        className="button small"
        data-testid="server-turn"
        onClick={() => attempt(() => ask("turn", { name, isOn: isOff }))}
      >
        {isOff ? shelf.turnOn : shelf.turnOff}
      </button>
      <button type="button" className="button small" data-testid="server-remove" onClick={() => setAsking(true)}>
        <Icon name="trash" />
        {shelf.remove}
      </button>
      <Sheet isOpen={isAsking} labelledBy={title} onClose={() => setAsking(false)}>
        <h2 id={title}>{shelf.removeTitle(name)}</h2>
        <p className="sheet-text">{shelf.removeText}</p>
        <div className="actions end">
          <button type="button" className="button" autoFocus onClick={() => setAsking(false)}>
            {shelf.keep}
          </button>
          <button
            type="button"
            className="button danger filled"
            data-testid="server-remove-confirm"
            onClick={() => {
              attempt(() => ask("remove", { name }));
              setAsking(false);
            }}
          >
            <Icon name="trash" />
            {shelf.remove}
          </button>
        </div>
      </Sheet>
    </div>
  );
}
