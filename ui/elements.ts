/** Returns the element of index.html with this id. Throws if there is none. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`index.html has no element #${id}`)
  return element as T
}

/** Creates an element with a class and a text. Texts are never parsed as HTML. */
export function create<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className = '',
  text = '',
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  if (className !== '') element.className = className
  element.textContent = text
  return element
}

/** Sets a text only if it differs, so that screen readers do not read it again. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/**
 * Makes the children of an element equal to `wanted`. What is equal already stays, with its focus, its selection, and
 * the place that a screen reader reads.
 */
export function update(parent: Element, wanted: readonly Element[]): void {
  const present = [...parent.children]
  for (const [index, child] of wanted.entries()) {
    const old = present[index]
    if (old === undefined) parent.append(child)
    else if (isSameFrame(old, child)) update(old, [...child.children])
    else if (!old.isEqualNode(child)) old.replaceWith(child)
  }
  for (const old of present.slice(wanted.length)) old.remove()
}

/** Returns true if two elements have the same name and attributes, and contain nothing but elements. */
function isSameFrame(one: Element, other: Element): boolean {
  const isFrame = ({ childElementCount, childNodes }: Element) => childElementCount === childNodes.length
  return isFrame(one) && isFrame(other) && one.cloneNode().isEqualNode(other.cloneNode())
}

/** Disables buttons while work is under way. The one that had the focus gets it back, unless it has moved on. */
export async function whileDisabled(
  buttons: readonly HTMLButtonElement[],
  work: () => Promise<void>,
): Promise<void> {
  const focused = buttons.find((button) => button === document.activeElement)
  for (const button of buttons) button.disabled = true
  try {
    await work()
  } finally {
    for (const button of buttons) button.disabled = false
    if (document.activeElement === document.body) focused?.focus({ preventScroll: true })
  }
}
