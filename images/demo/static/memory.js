/** The browser's storage, which may be blocked or full: then a choice lasts as long as the page. */

export function stored(storage, name) {
  try {
    return storage.getItem(name);
  } catch {
    return null;
  }
}

/** @returns {boolean} whether it was kept; `null` as value removes what was */
export function store(storage, name, value) {
  try {
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, value);
    return true;
  } catch {
    return false;
  }
}
