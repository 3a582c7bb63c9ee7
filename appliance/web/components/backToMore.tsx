import { useSpeech } from "../language/language.tsx";
import { toHref } from "../route.ts";
import { Icon } from "./icon.tsx";

/** On a phone, the way back from a screen that has no tab there. */
export function BackToMore() {
  const { words } = useSpeech();
  return (
    <a className="back" href={toHref("more")}>
      <Icon name="chevron" />
      {words.navigation.more}
    </a>
  );
}
