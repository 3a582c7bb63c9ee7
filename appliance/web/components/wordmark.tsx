/** The name with a stroke of marker behind it: what Nika does to your documents. */
export function Wordmark() {
  return (
    <span className="wordmark" translate="no">
      <span className="wordmark-stroke">Nika</span>
    </span>
  );
}
