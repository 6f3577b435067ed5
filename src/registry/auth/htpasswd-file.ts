/** One bcrypt entry of an htpasswd file. */
export interface HtpasswdFile {
  /** User name to bcrypt hash. */
  readonly users: ReadonlyMap<string, string>;
  /** Lines that were left out, never with their content. `line` counts from 1. */
  readonly errors: readonly { readonly line: number; readonly reason: string }[];
  /** The cost that a password of an unknown user is made to pay: the highest of the file. */
  readonly cost: number;
}

const BCRYPT = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/;

/** What `htpasswd -B` uses when it is not told, and so the most common one. */
const DEFAULT_COST = 5;

/**
 * Reads `user:hash` lines. As in docker distribution only bcrypt counts. A corrupt line is reported and left out, the
 * others work. The last entry of a user wins.
 */
export function parseHtpasswd(text: string): HtpasswdFile {
  const users = new Map<string, string>();
  const errors: { line: number; reason: string }[] = [];
  let cost = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const user = line.slice(0, Math.max(colon, 0));
    const hash = line.slice(colon + 1);
    const match = BCRYPT.exec(hash);
    if (user === '') {
      errors.push({ line: index + 1, reason: 'must be user:hash' });
    } else if (match === null) {
      errors.push({ line: index + 1, reason: reasonAgainst(hash) });
    } else {
      users.set(user, hash);
      cost = Math.max(cost, Number(match[1]));
    }
  }
  return { users, errors, cost: cost || DEFAULT_COST };
}

function reasonAgainst(hash: string): string {
  return /^\$2[aby]\$/.test(hash)
    ? 'the bcrypt hash is incomplete or damaged'
    : 'the hash is not bcrypt ($2a$, $2b$, $2y$); make one with stevedore htpasswd or htpasswd -B';
}
