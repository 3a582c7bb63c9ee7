import { useEffect, useRef, type ReactNode } from "react";

type Props = {
  readonly isOpen: boolean;
  readonly labelledBy: string;
  readonly onClose: () => void;
  readonly className?: string;
  readonly children: ReactNode;
};

/** A modal dialog, the browser's own: it keeps the focus inside, closes on Escape, and gives the focus back. */
export function Sheet({ isOpen, labelledBy, onClose, className = "", children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);

  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen]);

  return (
    <dialog
      ref={dialog}
      className={`sheet ${className}`}
      aria-labelledby={labelledBy}
      onClose={onClose}
      // The backdrop belongs to the dialog's box; what is inside sits in a box of its own.
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      {isOpen && <div className="sheet-inner">{children}</div>}
    </dialog>
  );
}
