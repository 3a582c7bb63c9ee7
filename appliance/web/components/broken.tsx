import { Component, type ReactNode } from "react";
import { useSpeech } from "../language/language.tsx";

type Props = { readonly children: ReactNode };

/** What is shown when something below fails while drawing. A class, because React asks for one here. */
export class Broken extends Component<Props, { hasFailed: boolean }> {
  override readonly state = { hasFailed: false };

  static getDerivedStateFromError(): { hasFailed: boolean } {
    return { hasFailed: true };
  }

  override render(): ReactNode {
    return this.state.hasFailed ? <BrokenPage /> : this.props.children;
  }
}

function BrokenPage() {
  const { broken } = useSpeech().words;
  return (
    <div className="empty" role="alert">
      <h1>{broken.title}</h1>
      <p>{broken.text}</p>
      <button type="button" className="button primary" onClick={() => window.location.reload()}>
        {broken.reload}
      </button>
    </div>
  );
}
