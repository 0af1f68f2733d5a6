/** What the keyboard does. The help dialog lists the same keys from the table of texts. */

/**
 * Listens for the page's shortcuts.
 *
 * @param {object} actions functions: generate, stop (false when nothing ran), regenerate, focusText, help, undo, redo,
 *   turn(step), openAtCaret, pick(number), closePopover (false when it was closed)
 * @param {() => boolean} singleKeys whether single letters outside text fields count
 */
export function listenToKeys(actions, singleKeys) {
  document.addEventListener("keydown", (event) => {
    const action = find(event, actions, singleKeys);
    if (action && action() !== false) event.preventDefault();
  });
}

function find(event, actions, singleKeys) {
  if (document.querySelector("dialog[open]")) return undefined;
  const isCommand = event.ctrlKey || event.metaKey;
  if (isCommand) return event.key === "Enter" ? actions.generate : undefined;
  if (event.key === "Escape") return () => actions.closePopover() || actions.stop();
  if (event.altKey) return withAlt(event, actions);
  const isTyping = event.target.closest?.("input, textarea, select");
  return isTyping || !singleKeys() ? undefined : singles(actions)[event.key];
}

function singles({ generate, regenerate, focusText, help }) {
  return { g: generate, r: regenerate, t: focusText, "?": help };
}

function withAlt(event, { undo, redo, turn, openAtCaret, pick }) {
  const digit = /^Digit([1-9])$/.exec(event.code);
  if (digit) return () => pick(Number(digit[1]));
  return { ArrowLeft: undo, ArrowRight: redo, ArrowUp: () => turn(-1), ArrowDown: () => turn(1), Enter: openAtCaret }[event.key];
}
