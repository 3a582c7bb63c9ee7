import { useId } from "react";
import { entityTypes } from "../../../convex/model/document.ts";
import { useSpeech } from "../language/language.tsx";
import { periods, type Limits, type Period } from "../searchLimits.ts";
import { groupName } from "./groupName.ts";

type Props = { readonly limits: Limits; readonly onChange: (limits: Limits) => void };

/** The languages Nika tells questions apart in; others are found without being chosen. */
const languages = ["en", "fr", "de", "es", "it", "nl", "pt"];

/** Type, language and period: three small menus, all of them "any" at first. */
export function SearchFilters({ limits, onChange }: Props) {
  const { words, languageName } = useSpeech();
  const { ask } = words;
  return (
    <div className="search-filters" role="group" aria-label={ask.limits}>
      <Menu
        label={ask.anyType}
        value={limits.type}
        options={entityTypes.map((value) => ({ value, text: groupName({ by: "type", value }, words, languageName) }))}
        onChange={(type) => onChange({ ...limits, type })}
      />
      <Menu
        label={ask.anyLanguage}
        value={limits.language}
        options={languages.map((value) => ({ value, text: languageName(value) }))}
        onChange={(language) => onChange({ ...limits, language })}
      />
      <Menu
        label={ask.anyTime}
        value={limits.period === "any" ? "" : limits.period}
        options={periods.filter((period) => period !== "any").map((value) => ({ value, text: ask.periods[value] }))}
        onChange={(period) => onChange({ ...limits, period: period === "" ? "any" : (period as Period) })}
      />
    </div>
  );
}

type MenuProps = {
  readonly label: string;
  readonly value: string;
  readonly options: readonly { readonly value: string; readonly text: string }[];
  readonly onChange: (value: string) => void;
};

function Menu({ label, value, options, onChange }: MenuProps) {
  const id = useId();
  return (
    <>
      <label className="unseen" htmlFor={id}>
        {label}
      </label>
      <select
        id={id}
        className={value === "" ? "search-filter" : "search-filter is-set"}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      >
        <option value="">{label}</option>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
    </>
  );
}
