/** bcrypt, or a stand-in for it. */
export interface PasswordHasher {
  hash(password: Buffer): Promise<string>;
  verify(password: Buffer, hash: string): Promise<boolean>;
}

/** Whether the file says exactly this already, so that nothing need be hashed. */
export async function htpasswdFits(
  passwords: ReadonlyMap<string, Buffer>,
  existing: string,
  hasher: Pick<PasswordHasher, 'verify'>,
): Promise<boolean> {
  const known = parseHtpasswd(existing);
  if (known.size !== passwords.size) return false;
  for (const [name, password] of passwords) {
    const hash = known.get(name);
    if (hash === undefined || !(await hasher.verify(password, hash))) return false;
  }
  return true;
}

/**
 * The htpasswd file for these users, sorted by name. A hash that is in `existing` and still fits is kept, since a new
 * one of the same password would differ and be a change of the Secret for nothing.
 */
export async function writeHtpasswd(
  passwords: ReadonlyMap<string, Buffer>,
  existing: string,
  hasher: PasswordHasher,
): Promise<string> {
  const known = parseHtpasswd(existing);
  const lines: string[] = [];
  // One after the other: each takes a thread of Node's small pool for some 60 ms, and others need it too.
  for (const name of [...passwords.keys()].toSorted()) {
    const password = passwords.get(name);
    if (password === undefined) continue;
    const hash = known.get(name);
    const fits = hash !== undefined && (await hasher.verify(password, hash));
    lines.push(`${name}:${fits ? hash : await hasher.hash(password)}\n`);
  }
  return lines.join('');
}

function parseHtpasswd(text: string): ReadonlyMap<string, string> {
  const entries = text.split('\n').flatMap((line): [string, string][] => {
    const colon = line.indexOf(':');
    return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
  });
  return new Map(entries);
}
