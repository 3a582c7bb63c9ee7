type Props = { readonly values: readonly number[]; readonly label?: string; readonly isLarge?: boolean };

const height = 24;

/** One bar a value, the newest on the right; the highest fills the height. What it shows is said in words beside it, or in `label`. */
export function Sparkline({ values, label, isLarge = false }: Props) {
  const most = Math.max(1, ...values);
  const words = label === undefined ? { "aria-hidden": true } : { role: "img", "aria-label": label };
  return (
    <svg
      className={isLarge ? "sparkline large" : "sparkline"}
      viewBox={`0 0 ${values.length} ${height}`}
      preserveAspectRatio="none"
      {...words}
    >
      {values.map((value, at) => {
        // Any call at all can be seen.
        const tall = value === 0 ? 0.5 : Math.max(1.5, (value / most) * height);
        return (
          <rect
            key={at}
            className={value === 0 ? "rest" : undefined}
            x={at + 0.12}
            y={height - tall}
            width={0.76}
            height={tall}
          />
        );
      })}
    </svg>
  );
}
