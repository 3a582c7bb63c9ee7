import { Icon } from "../components/icon.tsx";
import { useSpeech } from "../language/language.tsx";
import { asideRoutes, toHref } from "../route.ts";

/** On a phone: the screens that have no tab of their own there. */
export function MoreScreen() {
  const { words } = useSpeech();
  return (
    <div className="screen more">
      <h1>{words.navigation.more}</h1>
      <ul className="more-list">
        {asideRoutes.map((route) => (
          <li key={route}>
            <a href={toHref(route)} data-testid={`more-${route}`}>
              <Icon name={route} />
              <span>
                <strong>{words.navigation[route]}</strong>
                <span className="fine">{words[route].look}</span>
              </span>
              <Icon name="chevron" />
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}
