/** Drawn for Nika on a grid of 24, stroked in the colour of the text around them. Decorative: the words beside them speak. */
const paths = {
  ask: "M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v7a2.5 2.5 0 0 1-2.5 2.5H11l-4.5 4v-4A2.5 2.5 0 0 1 4 13.5ZM8 8.5h8M8 11.5h5",
  documents: "M7 3.5h6.5L18 8v11.5a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1v-15a1 1 0 0 1 1-1ZM13.5 3.5V8H18M9 12.5h6M9 16h4",
  schedules: "M5 6.5h14v13H5ZM5 11h14M8.5 4v4M15.5 4v4M12 13.5v2.3l1.8 1.2",
  activity: "M3.5 12.5h4l2.5-7 4 13 2.5-6h4",
  runs: "M6 4.5a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM6 8.5v11M18 12a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM6 14h10",
  bridge: "M4 6h9v6H8l-3 2.5V12H4ZM15 10h5v6h-1v2.5L16 16h-5v-2",
  tools: "M14.5 6.5a4 4 0 0 1 5-1.5l-2.7 2.7.5 2 2 .5L22 7.5a4 4 0 0 1-5.5 5L9 20a2.1 2.1 0 0 1-3-3l7.5-7.5a4 4 0 0 1 1-3Z",
  owned: "M9 7 4 12l5 5M15 7l5 5-5 5",
  models: "M12 4.5 20 9l-8 4.5L4 9ZM4 13l8 4.5 8-4.5M4 17l8 4.5 8-4.5",
  functions: "M5 19.5V11M10 19.5V4.5M15 19.5v-6M20 19.5V8",
  gpu: "M7.5 7.5h9v9h-9ZM10.5 10.5h3v3h-3ZM9.5 4v3.5M14.5 4v3.5M9.5 16.5V20M14.5 16.5V20M4 9.5h3.5M4 14.5h3.5M16.5 9.5H20M16.5 14.5H20",
  settings:
    "M4 8h7.5M16.5 8H20M4 16h3.5M12.5 16H20M14 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5ZM10 13.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5Z",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  plus: "M12 5v14M5 12h14",
  search: "M10.5 4.5a6 6 0 1 1 0 12 6 6 0 0 1 0-12ZM15 15l5 5",
  close: "M6 6l12 12M18 6 6 18",
  arrow: "M12 19V5M6 11l6-6 6 6",
  stop: "M7.5 7.5h9v9h-9Z",
  check: "M5 12.5 10 17 19 7",
  alert: "M12 4 21 19.5H3ZM12 10v4.5M12 16.8v.2",
  clock: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16ZM12 8v4.2l2.8 1.8",
  eye: "M2.5 12S6 5.8 12 5.8 21.5 12 21.5 12 18 18.2 12 18.2 2.5 12 2.5 12ZM12 9.4a2.6 2.6 0 1 1 0 5.2 2.6 2.6 0 0 1 0-5.2Z",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.3 10.5v5.5M13.7 10.5v5.5",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  chevron: "M7 10l5 5 5-5",
  pencil: "M5 19l.8-3.8L16 5l3 3L8.8 18.2ZM13.8 7.2l3 3",
  copy: "M9 9h10v10.5H9ZM5 15V4.5h10",
  drop: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
